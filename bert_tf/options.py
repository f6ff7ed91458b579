"""How options work: declared as fields of dataclasses, gathered into commands, checked, documented.

`bert_tf.settings` says which options there are.
"""

import difflib
import functools
import inspect
import itertools
import operator
import textwrap
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from bert_tf import terminal

HELP_WIDTH = 94  # `help()` indents by four more
_UNITS = {"s": 1, "m": 60, "h": 3600}
_LIMITS = {
    "above": (operator.gt, "greater than"),
    "least": (operator.ge, "at least"),
    "most": (operator.le, "at most"),
    "below": (operator.lt, "less than"),
}


def option(default: Any, help: str, **more: Any) -> Any:
    """Declares an option, as a field of a group.

    Args:
        default: its value where nothing is given.
        help: what it is, in a phrase that fits both the command line and a docstring.
        **more: `absent`, what None stands for; `choices`; `above`, `least`, `below`, `most`, the limits of a number; `metavar`, what
            the command line calls its value, if not as its type says; `parse`, text -> value, where the type does not say
            it; `form`, a function that turns another form of the value into the option's; `check`, one that raises
            ValueError; `off`, the help text of its `--no-...`, for what is on by default; `cli=False`, not on the command line; `recorded=False`, decides no result or is recorded by what comes
            of it, so that run.json leaves it out; `repeat=False`, not part of the command that repeats a run.
    """
    return field(default=default, metadata={"help": help, **more})


unrecorded = functools.partial(option, recorded=False)


def depth(value: str) -> int | str:
    """Reads how many layers to train: "2", or "all"."""
    return value if value == "all" else int(value)


def check_unfreeze(value: Any) -> None:
    if value != "all" and (isinstance(value, (str, bool)) or operator.index(value) < 0):
        raise ValueError(f"`unfreeze` must be a number of layers or 'all'. Received: unfreeze={value!r}")


def check_devices(value: Any) -> None:
    if value != "all" and (isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < 1):
        raise ValueError(f"`devices` must be a number of devices, at least 1, or 'all'. Received: devices={value!r}")


def check_cache(value: Any) -> None:
    if value not in (True, False, "disk", "memory"):
        raise ValueError(f"`cache` must be True, False or 'memory'. Received: cache={value!r}")


def listed(value: str) -> list[int | str]:
    """Reads values with commas between: "100,300,all"."""
    return [int(part) if part.isdigit() else part for part in value.split(",")]


def names(value: Any) -> tuple[str, ...]:
    """Reads names with commas between, or several: "lang,source" or ["lang", "source"]."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) and part.strip() for part in parts):
        raise ValueError(f"Expected one name, or several as lang,source. Received: {value!r}")
    return tuple(dict.fromkeys(part.strip() for part in parts))


def assignments(value: Any) -> Any:
    """Returns "negative=1|2,positive=4-5" for {"negative": [1, 2], "positive": "4-5"}; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    several = {name: values if isinstance(values, (list, tuple)) else [values] for name, values in value.items()}
    return ",".join(f"{name}={'|'.join(map(str, values))}" for name, values in several.items())


def columns(value: Any) -> Any:
    """Returns "premise,hypothesis" for ("premise", "hypothesis"); anything else as it is."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def joined(value: Any) -> str:
    """Returns "1,2" for [1, 2] and "3" for 3."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def class_weights(value: Any) -> str:
    """Returns "balanced", or the weights of classes as JSON: of a mapping, of a list by index, or of a file with an object.

    Raises: ValueError or FileNotFoundError if it is none of these.
    """
    import json
    import math

    if isinstance(value, str) and value == "balanced":
        return value
    if isinstance(value, Mapping):
        weights: Any = {str(getattr(name, "item", lambda name=name: name)()): weight for name, weight in value.items()}
    elif isinstance(value, str | Path):
        text, where = str(value), "`class_weight`"
        if not text.lstrip().startswith(("{", "[")):
            where = f"class_weight: {text}"
            if not Path(text).expanduser().is_file():
                raise FileNotFoundError(
                    f'{where}: no such file. `class_weight` is balanced, or a JSON file such as {{"bad": 10, "good": 1}}.'
                )
            text = Path(text).expanduser().read_text(encoding="utf-8")
        try:
            weights = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{where}: is not valid JSON ({error}).") from error
    else:
        weights = getattr(value, "tolist", lambda: value)()
    listed = [*weights.values()] if isinstance(weights, dict) else weights
    if not isinstance(listed, (list, tuple)) or not listed:
        raise ValueError(f"`class_weight` must be balanced, or weights by class. Received: class_weight={value!r}")
    for weight in listed:
        if isinstance(weight, (bool, str)) or not hasattr(weight, "__float__") or not 0 <= float(weight) < math.inf:
            raise ValueError(f"`class_weight`: the weights must be numbers of 0 or more. Received: {weight!r}")
    named = isinstance(weights, dict)
    return json.dumps({name: float(w) for name, w in weights.items()} if named else [float(w) for w in listed])


def separator(value: Any) -> str:
    """Reads a separator: one character, or the word tab."""
    character = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if not isinstance(character, str) or len(character) != 1 or character in '"\r\n':
        raise ValueError(f"`separator` must be one character, or tab. Received: separator={value!r}")
    return character


def values_to_search(value: str) -> Any:
    """Reads one value ("0.1"), several ("0.1,0.3") or a range ("1e-4:1e-2", a pair)."""

    def number(text: str) -> int | float | str:
        text = text.strip()
        return text if text == "all" else int(text) if text.isdigit() else float(text)

    if ":" in value:
        lowest, highest = map(number, value.split(":"))
        return lowest, highest
    several = [number(part) for part in value.split(",")]
    return several if len(several) > 1 else several[0]


def seconds(value: str) -> float:
    """Reads a time: "90", "90s", "5m" or "1.5h"."""
    number, unit = (value[:-1], value[-1]) if value[-1:] in _UNITS else (value, "s")
    return float(number) * _UNITS[unit]


def number_or_never(value: str) -> int | None:
    return None if value == "never" else int(value)


@functools.cache
def _kinds(group: type) -> dict[str, type]:
    """Returns the first type of each field's annotation: of `int | None` int."""
    return {name: (get_args(hint) or (hint,))[0] for name, hint in get_type_hints(group).items()}


def _checked(item: Field, group: type, value: Any) -> Any:
    """Returns a value as its option holds it, or raises a ValueError that names it."""
    name, about = item.name, item.metadata
    received = f"Received: {name}={value!r}"
    kind = _kinds(group)[name]
    if value is None and (item.default is None or "None" in str(item.type)):
        return None
    if "form" in about:
        value = about["form"](value)
    if "choices" in about and value not in about["choices"]:
        raise ValueError(f"`{name}` must be one of {', '.join(about['choices'])}. {received}")
    if "check" in about:
        about["check"](value)
    elif kind is int and (isinstance(value, bool) or not hasattr(value, "__index__")):
        raise ValueError(f"`{name}` must be a whole number. {received}")
    elif kind is float and (isinstance(value, (bool, str)) or not hasattr(value, "__float__")):
        raise ValueError(f"`{name}` must be a number. {received}")
    elif item.type in (str, str | None) and not isinstance(value, str):
        raise ValueError(f"`{name}` must be text: {about['help']}. {received}")
    if kind is int and hasattr(value, "__index__"):
        value = operator.index(value)
    elif kind is float:
        value = float(value)
    for limit, (allowed, words) in _LIMITS.items():
        if limit in about and not allowed(value, about[limit]):
            raise ValueError(f"`{name}` must be {words} {about[limit]}. {received}")
    return value


@dataclass(frozen=True)
class Group:
    """Checks every field when it is made, and turns NumPy's numbers into Python's."""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item, type(self), getattr(self, item.name)))


@dataclass(frozen=True)
class Option:
    """An option as a command has it; see `option` for what its `about` may hold."""

    name: str
    group: str
    default: Any
    kind: type
    about: Mapping[str, Any]

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Command:
    """The options of a public function or command.

    Attributes:
        kind: dataclass of all groups, by name.
        name: the function's.
        groups: those of its fields that the command has.
        without: options of these that it does not take.
        defaults: option -> its default here, where that differs.
        absent: option -> what None stands for here, where that differs.
    """

    kind: type
    name: str
    groups: tuple[str, ...]
    without: Container[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> Iterator[Option]:
        classes = _kinds(self.kind)
        for group in self.groups:
            for item in fields(classes[group]):
                if f"{group}.{item.name}" not in self.without and item.name not in self.without:
                    default = self.defaults.get(item.name, item.default)
                    absent = {"absent": self.absent[item.name]} if item.name in self.absent else {}
                    about = {**item.metadata, **absent}
                    yield Option(item.name, group, default, _kinds(classes[group])[item.name], about)

    def settings(self, **given: Any) -> Any:
        """Checks options by their names, fills in the defaults; returns an instance of `kind`.

        Raises: TypeError for an unknown name, ValueError for a value that cannot be.
        """
        known = {option.name: option for option in self.options()}
        if unknown := sorted(set(given) - set(known)):
            near = difflib.get_close_matches(unknown[0], known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{self.name}() got an unexpected keyword argument {unknown[0]!r}.{hint}")
        values: dict[str, dict[str, Any]] = {}
        for name, option in known.items():
            value = given.get(name, option.default)
            if value is None and option.default is not None and "absent" not in option.about:
                raise ValueError(f"`{name}` must not be None; leave it out for {option.default!r}.")
            values.setdefault(option.group, {})[name] = value
        return self.kind(**{group: _kinds(self.kind)[group](**chosen) for group, chosen in values.items()})

    def values(self, settings: Any) -> dict[str, Any]:
        """Returns the options as keyword arguments: name -> value."""
        return {option.name: getattr(getattr(settings, option.group), option.name) for option in self.options()}

    def recorded(self, settings: Any) -> dict[str, Any]:
        """Returns the options that decide a result, as JSON values: name -> value."""
        values = self.values(settings)
        return {o.name: _plain(values[o.name]) for o in self.options() if o.about.get("recorded", True)}

    def arguments(self, settings: Any) -> list[str]:
        """Returns the command-line arguments that give these settings again, those that are not the default."""
        parts: list[str] = []
        for option, value in zip(self.options(), self.values(settings).values(), strict=True):
            if value == option.default or not option.about.get("repeat", True):
                continue
            if value is False:
                parts.append(option.flag.replace("--", "--no-", 1))
            else:
                parts += [option.flag, *([] if value is True else [_written(value)])]
        return parts


def with_options(command: Command) -> Callable[[Any], Any]:
    """Gives a function that takes `settings` the options of a command as keyword arguments in its place.

    They stand in its signature, and in its docstring in place of the line `{options}`. Of a class it is the constructor.
    """
    options = [*command.options()]
    documented = ""
    for group, some in itertools.groupby(options, lambda option: option.group):
        title = (_kinds(command.kind)[group].__doc__ or "").partition(" (")[
            0
        ]  # in brackets: how the command line writes them
        documented += f"    Options, {title}:\n" + "".join(map(_documented, some))

    def decorate(target: Any) -> Any:
        target.__doc__ = (target.__doc__ or "").replace("        {options}\n", documented)
        if inspect.isclass(target):
            target.__init__ = decorate(target.__init__)  # type: ignore[method-assign]
            return target
        own = inspect.signature(target)

        @functools.wraps(target)
        def with_settings(*args: Any, **kwargs: Any) -> Any:
            named = {name: kwargs.pop(name) for name in own.parameters if name in kwargs}
            settings = command.settings(**kwargs)
            with terminal.showing(bool(settings.output.verbose)):
                return target(*args, **named, settings=settings)

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [p for name, p in own.parameters.items() if name not in ("settings", "options")]
        parameters += [inspect.Parameter(o.name, kind, default=o.default, annotation=o.kind) for o in options]
        with_settings.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return with_settings

    return decorate


def _documented(option: Option) -> str:
    absent = f" None = {option.about['absent']}." if "absent" in option.about else ""
    default = f" Default: {option.default!r}." if option.default is not None else ""
    text = f"{option.name}: {option.kind.__name__}, {option.about['help']}.{absent}{default}"
    return textwrap.fill(text, HELP_WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 12) + "\n"


def _written(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return joined(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "never" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
