"""A hook of mkdocs: the pages that are made from other files, and links that leave docs/."""

import os
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
# Files elsewhere in the repository -> their page.
COPIED = {"benchmarks/README.md": "benchmarks.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
COMMANDS = "reference/commands.md"
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Adds the pages that are made."""
    for page in COPIED.values():
        files.append(File.generated(config, page, content=(ROOT / _source(page)).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMANDS, content=commands()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links to files outside docs/ into links to their page or, if they have none, into their name."""
    folder = posixpath.dirname(_source(page.file.src_uri))

    def replaced(link):
        text, target, anchor = link.group(1), link.group(2), link.group(3) or ""
        if ":" in target:
            return link.group()
        path = posixpath.normpath(posixpath.join(folder, target))
        other = COPIED.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if other is None:
            return text if text.startswith("`") else f"{text} (`{path}`)"
        return f"[{text}]({posixpath.relpath(other, posixpath.dirname(page.file.src_uri) or '.')}{anchor})"

    parts = re.split(r"(```.*?```)", markdown, flags=re.DOTALL)  # code stays as it is
    return "".join(part if part.startswith("```") else LINK.sub(replaced, part) for part in parts)


def commands() -> str:
    """Returns the page of commands: the help of each."""
    os.environ["COLUMNS"] = "100"
    from bert_tf.cli.main import make_parser

    parser = make_parser()
    subparsers = next(action for action in parser._actions if isinstance(action.choices, dict))
    parts = ["# Commands\n\nWhat `bert-tf COMMAND --help` says.\n"]
    for name, command in subparsers.choices.items():
        parts.append(f"## {name}\n\n```text\n{command.format_help()}```\n")
    return "\n".join(parts)


def _source(page: str) -> str:
    """Returns the path in the repository of a page."""
    return next((path for path, copied in COPIED.items() if copied == page), f"docs/{page}")
