"""Every option, in one place: its name, type, default, help text and check.

A group of options is a dataclass, a command is a choice of groups. From these are made: the keyword arguments of the public
functions and their documentation, the command line, what run.json records, and the command in a report that repeats its run.
A new option is one new field, here, in `bert_tf.many_runs` or `bert_tf.in_use`; `bert_tf.options` says what it may declare.
"""

import functools
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bert_tf import options
from bert_tf.in_use import Bulk, Export, Serving
from bert_tf.many_runs import Curve, Ladder, Processes, Race, Repeats, Search, Space, Tracking, Trials
from bert_tf.options import Command, Group, depth, names, number_or_never, option, seconds
from bert_tf.options import unrecorded as _unrecorded

_unrepeated = functools.partial(_unrecorded, repeat=False)
_FRACTION = {"least": 0, "below": 1}


def _column(help: str, absent: str = "the one with a usual name", **more: Any) -> Any:
    return _unrecorded(None, help, metavar="NAME", absent=absent, **more)


@dataclass(frozen=True)
class Data(Group):
    """data"""

    text_column: str | int | None = _column("column with the text; A,B for pairs of texts", form=options.columns)
    label_column: str | int | None = _column(
        "column with the label; several, with commas between, are labels of which a text has any number, each column 0 or 1",
        form=options.columns,
    )
    weight_column: str | int | None = _column("column with how much each text counts, 0 or more", "all count the same")
    group_column: str | int | None = _column(
        "column whose equal values keep texts together in every split", "no groups"
    )
    task: str = _unrecorded(
        "auto",
        "what a text is given: classification, one class; multi-label, any number of labels (lists, joy|anger, or several label "
        "columns); regression, a number; ordinal, one class of several that are numbers, such as 1 to 5; auto = classification or "
        "multi-label, as the labels look",
        choices=("auto", "classification", "multi-label", "regression", "ordinal"),
    )
    labels: str | None = _unrecorded(
        None,
        "how label values become classes: negative=1-2,positive=4-5, with | between single values",
        metavar="NAME=VALUES,...",
        form=options.assignments,
        absent="each value is a class",
    )
    drop: str | None = _unrecorded(
        None, "label values whose rows are left out", metavar="VALUES", form=options.joined, absent="none"
    )
    fold_case: bool = _unrecorded(False, "treat labels that differ in case only as one class")
    on_bad_rows: str | None = _unrecorded(
        None,
        "what to do with rows that have no text or label or cannot be read: error or skip",
        choices=("error", "skip"),
        absent="a few, under 1 %, are skipped and named; more are an error",
    )
    encoding: str | None = _unrecorded(
        None, "encoding of text files", absent="UTF-8 or UTF-16, else cp1252 or a neighbour"
    )
    separator: str | None = _unrecorded(
        None,
        "separator of a CSV file: one character, or tab",
        metavar="CHARACTER",
        form=options.separator,
        absent="the comma, semicolon, tab or pipe that splits its rows evenly",
    )
    quoting: str | None = _unrecorded(
        None,
        "quotes of a CSV file: standard; spaced, with spaces after separators; backslash before quotes inside texts; single "
        "quotes; raw, part of the texts",
        choices=("standard", "spaced", "backslash", "single", "raw"),
        absent="judged by the file",
    )
    header: bool | None = _unrecorded(
        None,
        "whether the first row of a file holds the names of the columns",
        off="the first row is data; columns are called 1, 2, ...",
        absent="judged by the row",
    )
    sheet: str | None = _unrecorded(None, "sheet of an Excel file", metavar="NAME", absent="the first")
    validation_share: float = _unrecorded(
        0.2, "fraction of the training texts held out when no validation texts are given", metavar="SHARE"
    )
    max_length: int | None = option(
        None, "tokens after which a text is cut", absent="256, or fewer if the model has fewer positions"
    )


@dataclass(frozen=True)
class Model(Group):
    """model"""

    checkpoint: str | Path = option(
        "minilm", "what to start from: a folder, a name on the Hugging Face hub, or minilm, which is installed"
    )
    head: str | None = option(
        None,
        "what a new head looks at: first_token, the last layer's first token, as in Hugging Face's classes; or layer_means, "
        "the means of every layer, which says more of a text",
        choices=("first_token", "layer_means"),
        absent="the checkpoint's; for a new one layer_means, or first_token with recipe=plain",
    )
    new_head: bool = _unrecorded(False, "replace the classification head that the checkpoint has")
    prefix: str | None = option(
        None,
        'text put before each text that the model sees, such as "query: " for e5; kept in the model, so that predict, evaluate and '
        "explain put it there too",
        metavar="TEXT",
        absent="the checkpoint's, usually none",
    )
    vocabulary: str = option(
        "whole",
        "which word pieces the model keeps: whole = all, trimmed = those of the training, validation and test texts and single "
        "characters; these texts get the same answers, and a multilingual model is a fraction of its size",
        choices=("whole", "trimmed"),
    )
    unfreeze: int | str | None = option(
        0,
        "how many of the top layers to train beside the head: 0 (the base is frozen), a number, or all (the embeddings too)",
        metavar="K",
        parse=depth,
        check=options.check_unfreeze,
        absent="every layer, but not the embeddings; 0 with recipe=plain",
    )
    dropout: float | None = option(
        None,
        "dropout rate of the head",
        absent="the checkpoint's; for a new head over layer_means 0.5 if the base is frozen, else 0.1",
        **_FRACTION,
    )


@dataclass(frozen=True)
class Training(Group):
    """training"""

    recipe: str = option(
        "plain",
        "auto = first solve a new head on the frozen base, which takes seconds, then train the layers, and keep the "
        "better of both; plain = train once, from a random head, as Keras' fit",
        choices=("auto", "plain"),
    )
    class_weight: str | None = option(
        None,
        "how much the texts of each class count: balanced = the rarer, the more, so that every class counts the same; or a JSON "
        'file such as {"bad": 10, "good": 1}. Probabilities are then those of texts so weighted',
        metavar="balanced|FILE",
        form=options.class_weights,
        absent="all count the same",
    )
    blend: bool = option(
        False,
        "mix the solved head of a frozen base (unfreeze=0) with the TF-IDF baseline, if that lowers the loss of held-out texts; "
        "the baseline then lies beside the model's weights and `predict` uses both",
    )
    budget: float | None = _unrecorded(
        None,
        "time for the whole run, such as 90s, 5m or 1h, again from the start when it is resumed; decides how long the layers are "
        "trained (recipe=auto); test texts and the comparison with a teacher come on top",
        metavar="TIME",
        parse=seconds,
        above=0,
        absent="as long as the epochs take",
    )
    epochs: int | None = option(
        3,
        "passes over the training texts, at most",
        above=0,
        absent="3; with recipe=auto none for a frozen base, whose head is solved instead",
    )
    learning_rate: float | None = option(
        None,
        "step size, at its highest",
        above=0,
        absent="1e-4 after a solved head; else 1e-3 for a frozen base (3e-4 under layer_means), 5e-5 for unfrozen layers",
    )
    batch_size: int | None = option(32, "texts in a step", above=0, absent="16 after a solved head, else 32")
    optimizer: str | None = option(
        "adam", "the name of a Keras optimizer", absent="adamw after a solved head, else adam"
    )
    weight_decay: float | None = option(
        0.0,
        "decoupled weight decay; biases and layer norms are spared",
        least=0,
        absent="0.01 after a solved head, else 0",
    )
    warmup: float | None = option(
        0.0,
        "fraction of all steps in which the learning rate rises from 0",
        metavar="SHARE",
        absent="0.1 after a solved head, else 0",
        **_FRACTION,
    )
    schedule: str | None = option(
        "constant",
        "the learning rate after the warm-up: constant, or linear down to 0",
        choices=("constant", "linear"),
        absent="linear after a solved head, else constant",
    )
    clip: float | None = option(
        0.0,
        "the largest norm of all gradients together; beyond it they are scaled down; 0 = any",
        least=0,
        absent="1 after a solved head, else any",
    )
    early_stopping: int | None = option(
        None,
        "stop after N epochs without improvement; never = do not stop early",
        above=0,
        parse=number_or_never,
        absent="never",
    )
    micro_batch_size: int | None = _unrecorded(
        None,
        "texts whose gradients are computed at once; batch_size of them still make one step",
        above=0,
        absent="batch_size, halved when memory runs out",
    )
    seed: int = option(0, "seed of everything random: split, new head, order of the texts, dropout")

    @property
    def texts_per_step(self) -> int:
        """`batch_size`, which the recipe has filled in."""
        assert self.batch_size
        return self.batch_size


@dataclass(frozen=True)
class Compute(Group):
    """compute"""

    precision: str = option(
        "auto",
        "precision of the computation; auto = bfloat16 where hardware and backend have it; trained weights are always float32",
        choices=("auto", "float32", "bfloat16"),
    )
    devices: int | str = _unrepeated(
        1, "GPUs or TPU cores that share each batch, or all", metavar="N|all", parse=depth, check=options.check_devices
    )
    cache: bool | str = _unrecorded(
        True,
        'whether to keep the output of the frozen layers: True = on disk, "memory" = for this run, False = compute it anew '
        "in every epoch, with dropout, as Keras' fit does",
        off="compute the frozen layers anew in every epoch, with dropout, as Keras' fit does",
        check=options.check_cache,
    )
    cache_dir: str | Path | None = _unrepeated(
        None, "folder of the cache", metavar="DIR", absent="the user's cache folder"
    )


@dataclass(frozen=True)
class Output(Group):
    """output"""

    output_dir: str | Path | None = _unrepeated(None, "folder for the results", metavar="DIR")
    overwrite: bool = _unrepeated(False, "replace an earlier run in the same place")
    resume: bool = _unrepeated(False, "resume an interrupted run where it stopped")
    report: bool = _unrepeated(
        True,
        "whether to write report.html and the model card, which takes some seconds",
        off="do not write report.html and the model card",
    )
    verbose: bool | str | int = _unrepeated(
        "auto",
        '"auto" or True = say what happens, with bars where they can be drawn; 0 or False = be silent; 1 or 2 = show epochs as '
        "Keras' fit does",
        cli=False,
    )


@dataclass(frozen=True)
class Student(Group):
    """student"""

    layers: int = option(3, "layers of the student, fewer than the teacher has; taken from it, evenly spread", least=1)
    teacher_weight: float = option(
        0.5,
        "weight of the teacher's probabilities in the targets of labelled texts, from 0 to 1; the label has the rest",
        metavar="SHARE",
        least=0,
        most=1,
    )


@dataclass(frozen=True)
class Slices(Group):
    """slices"""

    by: Any = _unrecorded(
        None,
        "slices of the texts (with training, of the test texts) that are scored by themselves: columns of the file, and length = "
        "quartiles of the number of tokens; several as lang,source",
        metavar="COLUMNS",
        parse=names,
        form=names,
        absent="none",
    )


@dataclass(frozen=True)
class Settings:
    """The options of one run, checked, group by group."""

    data: Data = Data()
    model: Model = Model()
    training: Training = Training()
    compute: Compute = Compute()
    output: Output = Output()
    space: Space = Space()
    trials: Trials = Trials()
    search: Search = Search()
    processes: Processes = Processes()
    repeats: Repeats = Repeats()
    student: Student = Student()
    ladder: Ladder = Ladder()
    race: Race = Race()
    curve: Curve = Curve()
    slices: Slices = Slices()
    bulk: Bulk = Bulk()
    serving: Serving = Serving()
    tracking: Tracking = Tracking()
    export: Export = Export()

    def replace(self, **changes: Any) -> "Settings":
        """Returns the same with other values, by option name. A name that stands in two groups is changed in the first."""
        new = self
        for name, value in changes.items():
            group = next(g.name for g in fields(self) if name in {item.name for item in fields(getattr(self, g.name))})
            new = replace(new, **{group: replace(getattr(new, group), **{name: value})})
        return new


command = functools.partial(Command, Settings)
_BASE = ("data", "model", "training", "compute")
_KEPT = ("tracking", "output")
# None: the recipe decides.
_BY_RECIPE = ("unfreeze", "epochs", "batch_size", "optimizer", "weight_decay", "warmup", "schedule", "clip")
_AUTO = {"recipe": "auto", **dict.fromkeys(_BY_RECIPE)}
FINETUNE = command("finetune", (*_BASE, "slices", *_KEPT), defaults={**_AUTO, "output_dir": "runs/finetune"})
DISTILL = command(
    "distill",
    ("student", *_BASE, *_KEPT),
    {"task", "checkpoint", "head", "new_head", "prefix", "vocabulary", "recipe", "blend"},
    {**dict.fromkeys(_BY_RECIPE), "output_dir": "runs/distill"},
    {
        "max_length": "the teacher's",
        "unfreeze": "every layer, but not the embeddings",
        "dropout": "0.1 under a head over layer_means, else the teacher's",
        "epochs": "3", "batch_size": "16", "learning_rate": "1e-4", "optimizer": "adamw", "weight_decay": "0.01", "warmup": "0.1",
        "schedule": "linear", "clip": "1",
    },
)  # fmt: skip
READ = command("read_examples", ("data",), {"text_column", "label_column", "validation_share", "max_length"})
_PREDICTED: Any = (
    {
        "label_column",
        "task",
        "weight_column",
        "group_column",
        "validation_share",
        "labels",
        "drop",
        "fold_case",
        "output_dir",
        "report",
        "verbose",
    },
    {},
    {"on_bad_rows": "an error: each row needs an answer", "max_length": "the model's"},
)
PREDICT = command("predict_file", ("data", "output"), *_PREDICTED)
PREDICT_FILES = command("predict_files", ("data", "output", "bulk"), *_PREDICTED)
SERVE = command("serve", ("serving",))
_OF_TRAINING = {"task", "weight_column", "group_column", "validation_share", "resume", "report"}
EVALUATE = command(
    "evaluate",
    ("slices", "data", "output"),
    _OF_TRAINING,
    {"output_dir": "runs/evaluate"},
    {"max_length": "the model's", "output_dir": "no files are written"},
)
EXPORT = command(
    "export", ("export", "data", "output"), _OF_TRAINING | {"output_dir"}, absent={"max_length": "the model's"}
)
PLAN = command("plan", _BASE, {"budget", "blend", "vocabulary", "devices"}, _AUTO)
_SEARCHED = {f"{group}.{item.name}" for group in ("model", "training") for item in fields(Space)}
_SEARCHED |= {"cache", "blend", "budget", "vocabulary"}
_TRIAL = ("data", "model", "training", "space", "trials", "compute")
_TRIAL_DEFAULTS = {"recipe": "auto", "epochs": 10, "early_stopping": 5, "verbose": True}
_TRIAL_DEFAULTS |= dict.fromkeys(("optimizer", "schedule", "clip"))
HYPERMODEL = command(
    "ClassifierHyperModel",
    (*_TRIAL, "output"),
    _SEARCHED | {"output_dir", "overwrite", "resume", "report", "devices"},
    _TRIAL_DEFAULTS,
)
SEARCH = command(
    "search", (*_TRIAL, "search", "processes", *_KEPT), _SEARCHED, {**_TRIAL_DEFAULTS, "output_dir": "runs/search"}
)
_FIXED = {"optimizer", "weight_decay", "warmup", "schedule", "early_stopping", "micro_batch_size"}  # in a comparison
_FIXED |= {"vocabulary", "dropout", "cache", "report", "recipe", "blend", "budget", "clip", "devices"}
LADDER = command(
    "ladder",
    (*_BASE, "slices", "ladder", "repeats", "output"),
    _FIXED | {"unfreeze", "head", "seed"},
    {"epochs": 2, "output_dir": "runs/ladder", "verbose": True},
)
RACE = command(
    "race",
    (*_BASE, "slices", "race", "repeats", "output"),
    _FIXED | {"checkpoint", "unfreeze", "new_head", "seeds"},
    {"epochs": None, "head": "layer_means", "output_dir": "runs/race", "verbose": True},
    {"epochs": "no epochs: the head is solved"},
)
CURVE = command(
    "curve",
    (*_BASE, "slices", "curve", "repeats", "output"),
    _FIXED | {"seed"},
    {"epochs": None, "output_dir": "runs/curve", "verbose": True},
    {
        "epochs": "no epochs for a frozen base, whose head is solved, else 2",
        "head": "layer_means for a frozen base, else first_token",
    },
)
