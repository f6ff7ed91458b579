"""A run of `finetune` as it goes: what it was asked, what it has reached."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bert_tf.data.examples import Examples
from bert_tf.evaluation.blend import Blend
from bert_tf.options import Command
from bert_tf.settings import Settings, Training
from bert_tf.training import stages
from bert_tf.training.backup import Backup
from bert_tf.training.job import Job, Say
from bert_tf.training.recipe import OF_EPOCHS
from bert_tf.training.run_folder import RunFolder

# Seconds at the end of a run with a budget, on a slow machine: for the last validation and the files, and for the report.
SAVING, REPORTING = 3.0, 6.0
COMPARING = 4.0  # with a teacher


@dataclass(frozen=True)
class Run:
    """A run that has been read and checked; `seconds`, `results`, a stage each, and `logits`, the validation texts' after each
    epoch of stage 2, fill up as it goes."""

    job: Job
    test: Examples | None
    asked: Settings
    command: Command
    recorded: dict[str, Any]
    folder: RunFolder
    backup: Backup
    say: Say
    started: float
    seconds: dict[str, float] = field(default_factory=dict)
    results: list[stages.Stage] = field(default_factory=list)
    logits: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def blend(self) -> Blend | None:
        """The second part of the model, if it is better with one."""
        return self.kept.blend if self.results else None

    @property
    def training(self) -> Training:
        return self.job.settings.training

    @property
    def used(self) -> dict[str, Any]:
        """What is recorded of the settings as the run has used them: None for those of epochs if there were none."""
        if self.training.epochs is None:
            return self.recorded | {name: None for name in (*OF_EPOCHS, "dropout") if name in self.recorded}
        if self.training.budget is None:
            return self.recorded
        epochs = {} if self.asked.training.epochs else {"epochs": None}  # the budget decided
        return self.recorded | epochs | {"budget": self.training.budget}

    @property
    def verbose(self) -> bool:
        return bool(self.asked.output.verbose)

    @property
    def kept(self) -> stages.Stage:
        """The best stage so far, the earlier of equals."""
        return min(self.results, key=lambda stage: stage.loss)

    @property
    def deadline(self) -> float | None:
        """When training must end for the run to keep its budget, as `time.monotonic()`."""
        return None if self.training.budget is None else self.started + self.training.budget - self._afterwards

    @property
    def _afterwards(self) -> float:
        """Seconds for what comes after the training."""
        return SAVING + (REPORTING if self.asked.output.report else 0.0) + (COMPARING if self.job.teacher else 0.0)
