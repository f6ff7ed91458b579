"""The options of `bert_tf.settings` as command-line options, and what several commands share."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.options import Command, Option
from bert_tf.settings import Settings

NOT_OPTIONS = ("command", "run", "train", "validation")


def add_options(parser: argparse.ArgumentParser, *commands: Command) -> None:
    """Adds the data sources and every option of some commands, group by group.

    Options that are not given are missing from the parsed namespace: the functions have the defaults.
    """
    found: dict[str, dict[str, list[tuple[Command, Option]]]] = {"data": {}}
    for command in commands:
        for option in command.options():
            if option.about.get("cli", True):
                found.setdefault(option.group, {}).setdefault(option.name, []).append((command, option))
    for group, options in found.items():
        title = (getattr(Settings, group).__doc__ or group).strip()
        section = parser.add_argument_group(title)
        if group == "data":
            _add_sources(section)
        for variants in options.values():
            _add(section, variants)


def _add_sources(section) -> None:
    section.add_argument(
        "--train",
        metavar="FILE",
        required=True,
        help="labelled texts: .csv, .tsv, .jsonl, .parquet, or tfds:NAME@SPLIT; demo = the reviews that come with bert-tf",
    )
    section.add_argument(
        "--validation",
        metavar="FILE",
        help="texts to choose the best epoch by; if omitted, some training texts are held out",
    )


def _add(section, variants: Sequence[tuple[Command, Option]]) -> None:
    """Adds one option; its variants differ in the default."""
    option, about = variants[0][1], variants[0][1].about
    common: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
    if "off" in about:
        section.add_argument(f"--no-{option.name}", action="store_false", help=about["off"], **common)
    elif option.kind is bool:
        section.add_argument(option.flag, action="store_true", help=about["help"], **common)
    else:
        parse = about.get("parse") or (str if option.kind in (str, Any) else option.kind)
        common |= {"metavar": about.get("metavar"), "choices": about.get("choices")}
        section.add_argument(option.flag, type=_readable(parse, about), help=_help(variants), **common)


def _readable(parse: Any, about: Mapping[str, Any]) -> Any:
    """Gives a parser the name that argparse shows in `invalid N value`."""

    def read(text: str) -> Any:
        return parse(text)

    read.__name__ = about.get("metavar") or "value"
    return read


def _help(variants: Sequence[tuple[Command, Option]]) -> str:
    """Returns help text with the default, by command where they differ."""
    defaults = {command.name: _default(option) for command, option in variants}
    if len(set(defaults.values())) > 1:
        said = ", ".join(f"{name}: {text}" for name, text in defaults.items())
    else:
        said = next(iter(defaults.values()))
    return f"{variants[0][1].about['help']} (default: {said})".replace("%", "%%")


def _default(option: Option) -> str:
    if option.default is None:
        return option.about.get("absent", "by the kind of run")
    return ",".join(map(str, option.default)) if isinstance(option.default, tuple) else str(option.default)


def given(options: argparse.Namespace, command: Command) -> dict[str, Any]:
    """Returns the options that were given, by name, without the data sources. Checks them, before TensorFlow loads."""
    named = {name: value for name, value in vars(options).items() if name not in NOT_OPTIONS}
    command.settings(**named)
    return named


def read_sources(options: argparse.Namespace) -> tuple[Any, Any]:
    """Reads the training and validation texts.

    Here, so that a wrong file is reported before TensorFlow has loaded, which takes seconds.
    """
    from bert_tf.data.readers import DEMO, demo_reviews, read_examples

    train, validation = options.train, options.validation
    columns = [getattr(options, name, None) for name in ("text_column", "label_column")]
    if train == DEMO:
        train, validation = demo_reviews()[0], validation or DEMO
    if validation == DEMO:
        validation = demo_reviews()[1]
    train = read_examples(train, *columns)
    return train, validation if validation is None else read_examples(validation, *columns)


def load_tensorflow() -> None:
    """Imports TensorFlow without the notes on its build and on missing GPUs that it writes past its own log level."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow

        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
