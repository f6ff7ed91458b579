"""The options of `bert_tf.settings` as command-line options, and what several commands share."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bert_tf import options as parsers
from bert_tf.cli import early
from bert_tf.options import Command, Option
from bert_tf.quiet import load_backend
from bert_tf.settings import Data, Settings

NOT_OPTIONS = ("command", "run", "train", "validation", "test", "teacher", "unlabelled")
METAVARS = {int: "N", float: "NUMBER", str: "NAME"}  # of options that name no other
EXPECTED: dict[Any, str] = {  # what an option is, for the message about something else
    int: "a whole number",
    float: "a number",
    parsers.depth: "a whole number, or all",
    parsers.seconds: "a time such as 90s, 5m or 1.5h",
    parsers.number_or_never: "a number of epochs, or never",
    parsers.names: "one name, or several as lang,source",
    parsers.values_to_search: "one value, several as 0.1,0.3 or a range as 1e-4:1e-2",
}


def add_options(
    parser: argparse.ArgumentParser,
    *commands: Command,
    sources: bool = True,
    test: bool = False,
    unlabelled: bool = False,
) -> None:
    """Adds the data sources and every option of some commands, group by group; `sources=False`: only the options.

    Options that are not given are missing from the parsed namespace: the functions have the defaults.
    """
    found: dict[str, dict[str, list[tuple[Command, Option]]]] = {"data": {}}
    for command in commands:
        for option in command.options():
            if option.about.get("cli", True):
                found.setdefault(option.group, {}).setdefault(option.name, []).append((command, option))
    for group, options in found.items():
        section = parser.add_argument_group(getattr(Settings, group).__doc__)
        if group == "data" and sources:
            what = "labelled texts: .csv, .tsv, .json, .jsonl, .parquet, .xlsx (also as .gz, .zip, .zst, .bz2, .xz), tfds:NAME@SPLIT or hf:NAME@SPLIT; demo = the reviews that come with bert-tf"
            section.add_argument("--train", metavar="FILE", required=True, help=what)
            what = "texts to choose what is kept by (default: a held-out share of --train)"
            section.add_argument("--validation", metavar="FILE", help=what)
            if test:
                what = "texts that nothing is chosen by: classified once, at the end, by what is kept"
                section.add_argument("--test", metavar="FILE", help=what)
            if unlabelled:
                what = "more texts to learn from; labels are not read"
                section.add_argument("--unlabelled", metavar="FILE", help=what)
        for variants in options.values():
            _add(section, variants)


def add_reading(parser: argparse.ArgumentParser, command: Command) -> None:
    """Adds the options of a command, as of how a file of texts is read, without a heading."""
    for option in command.options():
        _add(parser, [(command, option)])


def _add(section, variants: Sequence[tuple[Command, Option]]) -> None:
    """Adds one option; its variants differ in the default."""
    option, about = variants[0][1], variants[0][1].about
    common: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
    if "off" in about:
        section.add_argument(f"--no-{option.name}", action="store_false", help=about["off"], **common)
        if option.default is None:
            section.add_argument(option.flag, action="store_true", help=f"the opposite of --no-{option.name}", **common)
    elif option.kind is bool:
        section.add_argument(option.flag, action="store_true", help=about["help"], **common)
    else:
        choices, parse = about.get("choices"), about.get("parse", option.kind)
        metavar = None if choices else about.get("metavar", METAVARS.get(option.kind))

        section.add_argument(
            option.flag, type=value_of(parse), metavar=metavar, choices=choices, help=_help(variants), **common
        )


def value_of(parse: Callable[[str], Any], least: float | None = None) -> Callable[[str], Any]:
    """Returns a reader of an option's value that says what is expected.

    Args:
        parse: text -> value; ValueError for text that is none.
        least: the smallest number that can be.
    """
    expected = EXPECTED.get(parse, "a value of another form") + ("" if least is None else f" of {least:g} or more")

    def read_value(text: str) -> Any:
        with contextlib.suppress(ValueError):
            value = parse(text)
            if least is None or value >= least:
                return value
        raise argparse.ArgumentTypeError(f"{expected} is expected. Received: {text!r}")

    return read_value


def _help(variants: Sequence[tuple[Command, Option]]) -> str:
    """Returns help text with the default, by command where they differ."""
    defaults = {command.name: _default(option) for command, option in variants}
    said = defaults[variants[0][0].name]
    if len(set(defaults.values())) > 1:
        said = ", ".join(f"{name}: {text}" for name, text in defaults.items())
    return f"{variants[0][1].about['help']} (default: {said})".replace("%", "%%")


def _default(option: Option) -> str:
    if option.default is None:
        return option.about.get("absent", "by the kind of run")
    return ",".join(map(str, option.default)) if isinstance(option.default, tuple) else str(option.default)


def read(options: argparse.Namespace, command: Command) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Returns training, validation and test texts and the options that were given; then Keras has loaded."""
    settings = given(options, command)
    chosen = command.settings(**settings)
    early.check_run(command, chosen, [options.train, options.validation, getattr(options, "test", None)])
    train, validation, test = read_sources(options)
    early.check_texts(train, chosen)
    load_backend()
    return train, validation, test, settings


def given(options: argparse.Namespace, command: Command) -> dict[str, Any]:
    """Returns the options that were given, by name, without the data sources. Checks them, before TensorFlow loads."""
    named = {name: value for name, value in vars(options).items() if name not in NOT_OPTIONS}
    command.settings(**named)
    return named


def read_sources(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Reads training, validation and test texts, so that a wrong file is reported before TensorFlow has loaded, which takes
    seconds; None for what was not given."""
    from bert_tf.data.readers import DEMO, DEMO_VALIDATION
    from bert_tf.evaluation import slices

    validation = options.validation or (DEMO if options.train == DEMO else None)
    validation = DEMO_VALIDATION if validation == DEMO else validation
    by, tested = getattr(options, "by", None), getattr(options, "test", None)
    if not tested:
        slices.check(by)
    # Whatever the labels look like, a student gives a text what its teacher does.
    known: dict[str, Any] = {"task": models_task([options.teacher])[0]} if hasattr(options, "teacher") else {}
    train = read_source(options, options.train, **known)
    test = read_source(options, tested, keep=slices.columns(by), task=train.task)
    if test is not None and not hasattr(options, "teacher"):  # which has the labels
        test.relabel(train.label_names)  # raises ValueError for other labels
    return train, read_source(options, validation, task=train.task), test


def read_unlabelled(options: argparse.Namespace) -> Any:
    """Reads the texts given as `--unlabelled`; None if there are none."""
    return read_source(options, options.unlabelled, labelled=False)


def read_source(
    options: argparse.Namespace, source: str | None, labelled: bool = True, keep: Sequence[str] = (), **more: Any
) -> Any:
    """Reads one source by the options that were given, `more` in place of some; None if there is none. `keep` as of
    `read_examples`."""
    from bert_tf.data.readers import read

    given = {item.name: getattr(options, item.name) for item in fields(Data) if hasattr(options, item.name)}
    return None if source is None else read(source, Data(**{**given, **more}), labelled=labelled, keep=keep)


def models_task(models: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Returns the task of the models and the classes of the first, before TensorFlow has loaded; ValueError for one without a head
    or two that cannot be compared."""
    from bert_tf.checkpoints import locate
    from bert_tf.checkpoints.config import label_names, problem_type, read_config
    from bert_tf.checkpoints.folder import check_head
    from bert_tf.tasks.task import common_task, task_name, task_of

    tasks, classes = [], []
    for model in models:
        folder = locate.resolve(model)
        check_head(folder, model)
        config = read_config(folder)
        tasks.append(task_of(task_name(problem_type(config), config)))
        classes.append(label_names(config))
    return common_task(models, tasks, classes).name, classes[0]


def output_file(flag: str, name: str | None, *endings: str) -> Path | None:
    """Returns the file that was given for a flag; raises ValueError or FileNotFoundError if it cannot be written."""
    file = Path(name) if name else None
    if file and file.suffix not in endings:
        raise ValueError(f"{flag}: expected a file that ends in {' or '.join(endings)}. Received: {file}")
    if file and not file.absolute().parent.is_dir():
        raise FileNotFoundError(f"{flag}: there is no folder {file.parent}.")
    return file
