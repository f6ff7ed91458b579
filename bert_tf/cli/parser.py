"""The command line's parser: short errors that suggest what was meant."""

import argparse
import itertools
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from bert_tf import terminal


class Parser(argparse.ArgumentParser):
    """An `argparse` parser that checks the names of options first and answers in two lines instead of a page of usage."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        known = self._option_string_actions
        for argument in () if self._subparsers else itertools.takewhile(lambda argument: argument != "--", args or ()):
            name = argument.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                self.error(f"there is no option {name}.{suggestion(name, known)}")
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            meant = suggestion(str(value), choices) or f" Use one of: {', '.join(choices)}."
            raise argparse.ArgumentError(action, f"{value!r} is not known.{meant}")

    def error(self, message: str):
        """Ends the program with exit code 2, the message on stderr."""
        self.exit(2, terminal.said(f"{self.prog}: error: {message}\nSee {self.prog} --help.", sys.stderr) + "\n")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns " Did you mean NAME?" for the nearest of the known names; "" if none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
