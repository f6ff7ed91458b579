"""What `finetune` and `distill` return."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_tf.evaluation.blend import Blend
from bert_tf.formatting import format_value
from bert_tf.reporting.display import Displayed, table
from bert_tf.tasks.task import task_of


@dataclass(frozen=True, repr=False)
class Finetuned(Displayed):
    """The result of `finetune`.

    Attributes:
        model, tokenizer: the classifier, with the weights that were kept, and the checkpoint's tokenizer.
        history: dict, metric -> value of each epoch.
        blend: `Blend`, the second part of the classifier, with `blend=True`; pass it to `bert_tf.predict` with the model.
        metrics: dict, the content of metrics.json; `stages` are those of the recipe, `temperature` what the logits of the
            trained model were divided by.
        output_dir: Path of the run.
    """

    model: Any
    tokenizer: Any
    history: dict[str, list[float]]
    metrics: dict[str, Any]
    output_dir: Path
    blend: Blend | None = None

    def to_pandas(self) -> Any:
        """Returns the history as a DataFrame, a row for each epoch, from 1; no rows if nothing was trained by epochs."""
        import pandas

        history = pandas.DataFrame(self.history)
        history.index = pandas.RangeIndex(1, len(history) + 1, name="epoch")
        return history

    def _title(self) -> str:
        return f"Fine-tuned model in {self.output_dir / 'model'}"

    def _picture(self) -> Path:
        return self.output_dir / "curves.png"

    def _blocks(self) -> list[dict[str, Any]]:
        measured: list[tuple[str, Any]] = [
            (name.replace("val_", "validation ").replace("_", " "), value)
            for name, value in self.metrics.items()
            if name.startswith("val_") and isinstance(value, float)
        ]
        tested = self.metrics.get("test", {}).get("scores", {})
        measured += [
            (f"test {name.replace('_', ' ')}", v) for name, v in tested.items() if isinstance(v, (dict, float))
        ]
        seconds = format_value(self.metrics.get("seconds"), "seconds")
        rows = self.metrics.get("stages", ())
        kind = task_of(self.metrics.get("settings", {}).get("task", "classification")).measure.kind
        kinds = {
            name: "seconds" if name == "seconds" else kind for name in (rows[0] if rows else ()) if name != "stage"
        }
        stages_ = [(row["stage"], *(row[name] for name in kinds)) for row in rows]
        columns = {"stage": "text"} | {name.replace("_", " "): kind for name, kind in kinds.items()}
        return [
            table({"": "text", "score": kind}, measured),
            *([table(columns, stages_)] if len(stages_) > 1 else []),
            {"text": f"Took {seconds}. More: .metrics, .history and the files in {self.output_dir}"},
        ]
