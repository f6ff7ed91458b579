"""What to do with a finished run: the lines that end a command which has trained a model."""

import shlex
from typing import Any

from bert_tf import terminal


def say_next_steps(run: Any) -> None:
    """Says where the report is and how to use the model, in lines to copy.

    Args:
        run: `Finetuned` or `Searched`; None = a worker of a search, which has no model.
    """
    if run is None:
        return
    folder = run.output_dir
    report = folder / "report.html"
    pair = ' --text-pair "Your second text."' if getattr(run.model.config, "text_pairs", False) else ""
    model = shlex.quote((folder / "model").as_posix())  # forward slashes: no shell reads them as anything else
    lines = [f"The report, for your browser: {report}"] if report.is_file() else []
    terminal.say(
        "\n".join(["", *lines, f'The model, for new texts: bert-tf predict {model} --text "Your text."{pair}'])
    )
