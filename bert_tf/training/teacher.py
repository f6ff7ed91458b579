"""The teacher of a distillation: a model whose answers a smaller one learns, its student.

Sanh et al. 2019, DistilBERT (https://arxiv.org/abs/1910.01108), sec. 3: the student is every other layer of the teacher, and
soft targets say more of a text than its label (Hinton et al. 2015, https://arxiv.org/abs/1503.02531). Unlike there it is the
classifier that is distilled, not the pretraining: a few thousand texts, with labels or without.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import hardware
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.folder import has_head
from bert_tf.data.classes import key_of
from bert_tf.data.examples import Examples
from bert_tf.data.tokenizer import load_tokenizer
from bert_tf.evaluation.blend import Blend, load_blend
from bert_tf.formatting import Text
from bert_tf.inference.predict import task_of_model
from bert_tf.models.auto import TFAutoModelForSequenceClassification
from bert_tf.settings import Settings
from bert_tf.tasks.task import Task


@dataclass
class Teacher:
    """A classifier that another one learns from.

    Attributes:  (N training texts, M validation texts, U texts without labels, C classes)
        name: str, where it was loaded from.
        model, tokenizer: the classifier and its tokenizer.
        chosen: int, its layers that the student begins with, 0 = the lowest.
        unlabelled: `Examples`, U of them.
        weight: float in [0, 1], of its answers in the targets of labelled texts.
        blend: its second part, if it has one.
        logits: float32 `(N + M + U, C)`; None = not computed yet.
    """

    name: str
    model: Any
    tokenizer: Any
    chosen: tuple[int, ...]
    unlabelled: Examples
    weight: float
    blend: Blend | None = None
    logits: np.ndarray | None = None

    @property
    def title(self) -> str:
        """What to call it: of the folder model/ of a run, the run's name."""
        folder = Path(self.name)
        return folder.resolve().parent.name if folder.is_dir() and folder.name == "model" else self.name

    def leave_out(self, texts: Iterable[Text]) -> int:
        """Leaves out the texts without labels that are among others, by which the student is judged; returns their number."""
        judged, before = {*texts}, len(self.unlabelled)
        rest = [text for text in self.unlabelled.texts if text not in judged]
        self.unlabelled = Examples(rest, None, (), self.unlabelled.source)
        return before - len(rest)

    def student(self) -> Any:
        """Returns the classifier that training starts from: the chosen layers, the embeddings and the head of the teacher."""
        student = self.model.with_layers(self.chosen)
        student.name_or_path = self.name
        return student

    def relabel(self, examples: Examples) -> Examples:
        """Returns examples with the teacher's classes; ValueError if they have another."""
        names = self.model.label_names
        known = set(map(key_of, names))
        if self.task.has_classes and (unknown := [name for name in examples.label_names if key_of(name) not in known]):
            raise ValueError(
                f"{examples.source}: has labels that the teacher does not know: {', '.join(map(repr, unknown))}. "
                f"{self.name} knows: {', '.join(map(repr, names))}."
            )
        return examples.relabel(names)

    @property
    def task(self) -> Task:
        return task_of_model(self.model)

    def targets(self, labels: np.ndarray, task: Task) -> np.ndarray:
        """Returns what the student learns, float32 `(N + U, C)`.

        A higher temperature gained nothing (docs/accuracy.md): a tuned teacher is calibrated already.

        Args:
            labels: of the N training texts.
            task: `Task`, for these labels.
        """
        if self.logits is None:
            raise ValueError("The teacher has not been asked yet: call `Job.ask_teacher` first.")
        unlabelled = self.logits[len(self.logits) - len(self.unlabelled) :]
        return task.mixed_targets(labels, np.concatenate([self.logits[: len(labels)], unlabelled]), self.weight)


def load_teacher(source: str | Path, unlabelled: Examples, settings: Settings) -> Teacher:
    """Loads a teacher.

    Raises: FileNotFoundError for an unknown checkpoint; ValueError for one that cannot teach, or not so many layers.
    """
    folder = locate.resolve(source)
    if not has_head(folder):
        raise ValueError(
            f"{source}: has no classification head, so it cannot teach. Fine-tune it first: bert-tf finetune."
        )
    dtype = hardware.policy(hardware.resolve_precision(settings.compute.precision))
    model = TFAutoModelForSequenceClassification.from_pretrained(source, dtype=dtype)
    task_of_model(model)  # ValueError for several numbers
    if settings.model.unfreeze == 0:
        raise ValueError(
            "A student's layers must be trained, or it learns nothing from its teacher. Received: unfreeze=0"
        )
    depth, layers = len(model.encoder.blocks.layer), settings.student.layers
    if layers >= depth:
        raise ValueError(
            f"`layers` must be less than the teacher's; {source} has {depth}. Received: layers={layers} (--layers)"
        )
    return Teacher(
        str(source),
        model,
        load_tokenizer(source),
        evenly_spread(layers, depth),
        unlabelled,
        settings.student.teacher_weight,
        load_blend(folder),
    )


def evenly_spread(layers: int, depth: int) -> tuple[int, ...]:
    """Returns which layers of a teacher become the student's, 0 = the lowest, which is among them.

    Of a tuned MiniLM the layers 0, 2, 4 made a better student than 1, 3, 5 (docs/accuracy.md).

    >>> evenly_spread(3, 6)
    (0, 2, 4)
    """
    return tuple(i * depth // layers for i in range(layers))
