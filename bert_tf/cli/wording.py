"""What the library says, in the words of the command line: it speaks of arguments, here they are options."""

import functools
import re
from dataclasses import fields

SOURCES = ("train", "validation", "test", "texts", "unlabelled", "text")  # options that no settings have
OTHER_FLAGS = {"sizes": "--data-sizes"}

_VALUE = r"""'[^']*'|"[^"]*"|\[[^\]]*\]|\.\.\.|[-+.\w/:]*[-+\w/]"""
_NAMED = rf"`?(?P<name>[a-z]\w*)`?(?:=(?P<value>{_VALUE}))?"


def as_options(message: str) -> str:
    """Returns a message with options in place of arguments.

    >>> as_options("`max_length` must be at least 3. Received: max_length=1")
    '--max-length must be at least 3. Received: --max-length 1'
    >>> as_options("Start anew with overwrite=True (--overwrite), or leave out `cache`.")
    'Start anew with --overwrite, or leave out --cache.'
    """
    flags = _flags()

    def both(found: re.Match) -> str:  # overwrite=True (--overwrite)
        if found["name"] not in flags:
            return found[0]
        value = found["value"]
        has_value = " " in found["option"] or value in (None, "...", "True", "False")
        return found["option"] if has_value else f"{found['option']} {_plain(value)}"

    def named(found: re.Match) -> str:  # max_length=1, or `max_length`
        flag, value = flags.get(found["name"]), found["value"]
        if flag is None or (value is None and not found[0].startswith("`")):
            return found[0]
        if value in (None, "True", "..."):
            return flag
        return flag.replace("--", "--no-", 1) if value == "False" else f"{flag} {_plain(value)}"

    message = re.sub(rf"{_NAMED} \((?P<option>--[^();]*)\)", both, message)
    return re.sub(rf"(?<![-\w./'\"?&]){_NAMED}(?![\w(])", named, message)  # not in a path, a quotation or an address


def _plain(value: str) -> str:
    """Returns a value as it is written after an option."""
    inside = value[1:-1] if value[:1] in "'\"" else value
    return value if " " in inside or not inside else inside


@functools.cache
def _flags() -> dict[str, str]:
    """Returns the arguments that are options: name -> option."""
    from bert_tf.settings import Settings

    groups = [type(getattr(Settings(), group.name)) for group in fields(Settings)]
    names = [item.name for group in groups for item in fields(group) if item.metadata.get("cli", True)]
    return {name: "--" + name.replace("_", "-") for name in (*names, *SOURCES)} | OTHER_FLAGS
