"""A hook of mkdocs: what the pages have from elsewhere. The reference from docstrings (`::: bert_tf.finetune`), the help of the
commands, files beside docs/ as pages, and links that leave docs/."""

import importlib
import inspect
import os
import posixpath
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Files elsewhere in the repository -> their page.
COPIED = {"benchmarks/README.md": "benchmarks.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
COMMANDS = "reference/commands.md"
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
DIRECTIVE = re.compile(
    r"^::: (\S+)(?: (.+))?$", re.MULTILINE
)  # a dotted name, and names of members with commas between
OPTION = re.compile(r"(?<=[\s\[(|>])(--[a-z][a-z0-9-]*)")
SECTION = re.compile(r"^(Args|Attributes|Call arguments|Returns|Raises|Options, [^:]+):[ ]*(.*)$")
ITEM = re.compile(r"^    (\*{0,2}\w[\w, *`/]*): (.*)$")


def on_files(files, config):
    """Adds the pages that are made."""
    from mkdocs.structure.files import File

    for source, page in COPIED.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMANDS, content=commands()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fills in the reference, and turns links to files outside docs/ into links to their page or, if they have none, into their name."""
    here = page.file.src_uri
    source = next((path for path, copied in COPIED.items() if copied == here), f"docs/{here}")

    def linked(link):
        text, target, anchor = link.group(1), link.group(2), link.group(3) or ""
        if ":" in target:
            return link.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        other = COPIED.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if other is None:
            return f"`{path}`" if path.endswith(text.strip("`")) else f"{text} (`{path}`)"
        return f"[{text}]({posixpath.relpath(other, posixpath.dirname(here) or '.')}{anchor})"

    parts = re.split(r"(^ *```.*?^ *```)", markdown, flags=re.DOTALL | re.MULTILINE)  # code stays as it is
    text = "".join(part if i % 2 else LINK.sub(linked, part) for i, part in enumerate(parts))
    return DIRECTIVE.sub(lambda found: reference(found.group(1), (found.group(2) or "").split(",")), text)


def on_page_content(html, page, config, files):
    """Marks the options of commands, which must not be broken at their hyphens: extra.css says so. An empty head of a column is a cell."""
    html = html.replace("<th></th>", "<td></td>")
    blocks = re.split(r"(<pre>.*?</pre>)", html, flags=re.DOTALL)
    return "".join(
        OPTION.sub(r'<span class="option">\1</span>', part) if i % 2 else part for i, part in enumerate(blocks)
    )


def commands() -> str:
    """Returns the page of commands: the help of each."""
    os.environ["COLUMNS"] = "100"
    from bert_tf.cli.main import make_parser

    subparsers = next(action for action in make_parser()._actions if isinstance(action.choices, dict))
    parts = ["# Commands\n\nWhat `bert-tf COMMAND --help` says.\n"]
    for name, command in subparsers.choices.items():
        parts.append(f"## {name}\n\n```text\n{command.format_help()}```\n")
    return "\n".join(parts)


def reference(path: str, members: list[str]) -> str:
    """Returns what there is to know of a public name: its signature and docstring, and those of some members."""
    module, _, name = path.rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    shown = path if module == "bert_tf" else name
    parts = [f"### {name} {{#{path}}}\n\n{signature(shown, thing)}\n{docstring(thing)}"]
    for member in filter(None, members):
        parts.append(
            f"#### {name}.{member}\n\n{signature(member, getattr(thing, member))}\n{docstring(getattr(thing, member))}"
        )
    return "\n\n".join(parts)


def signature(name: str, thing) -> str:
    """Returns a call as code, over several lines where it is long; of a dataclass, which is a result, nothing."""
    if hasattr(thing, "__dataclass_fields__") or isinstance(thing, property):
        return ""
    found = inspect.signature(thing)
    parameters = [
        one.replace(annotation=inspect.Parameter.empty) for one in found.parameters.values() if one.name != "self"
    ]
    text = str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    if len(text) > 90:
        text = (
            "(\n"
            + textwrap.fill(text[1:-1], 76, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
            + "\n)"
        )
    return f"```python\n{name}{text}\n```\n"


def docstring(thing) -> str:
    """Returns a docstring of the house's style as Markdown."""
    lines, written, code = (inspect.getdoc(thing) or "").splitlines(), [], False
    for line in lines:
        if not code and line.startswith(">>> "):
            written.append("```python")
            code = True
        elif code and not line.strip():
            written.append("```")
            code = False
        if code:
            written.append(line.replace("  # doctest: +SKIP", ""))
        elif section := SECTION.match(line):
            written += ["", f"**{section.group(1).replace('Args', 'Arguments')}** {section.group(2)}".rstrip(), ""]
        elif item := ITEM.match(line):
            written.append(f"- `{item.group(1)}`: {item.group(2)}")
        else:
            written.append("  " + line.strip() if line.startswith("    ") else line)
    return "\n".join([*written, *["```"] * code])
