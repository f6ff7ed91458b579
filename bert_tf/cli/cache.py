"""`bert-tf cache`."""

import argparse
import re
import time

from bert_tf import formatting, terminal


def add_cache(commands) -> None:
    command = commands.add_parser(
        "cache",
        help="show or clear what is kept of frozen layers",
        description="What frozen layers give is kept, for all epochs and later runs. Here it can be looked at and removed.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = actions.add_parser("list", help="show what is kept, the one used last first")
    shown.set_defaults(run=_cache_list)
    pruned = actions.add_parser("prune", help="remove what was longest unused")
    kept = pruned.add_mutually_exclusive_group(required=True)
    kept.add_argument("--max-size", type=_size, metavar="SIZE", help="what may stay, such as 500MB or 5GB")
    kept.add_argument("--all", dest="max_size", action="store_const", const=0, help="remove everything")
    pruned.set_defaults(run=_cache_prune)
    for action in (shown, pruned):
        action.add_argument("--cache-dir", metavar="DIR", help="folder of the cache; if left out, the user's")


def _size(value: str) -> int:
    units = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMGT]B)?", value.strip().upper())
    if not found:
        raise argparse.ArgumentTypeError(f"a size such as 500MB or 5GB. Received: {value!r}")
    return int(float(found[1]) * units[found[2] or ""])


def _cache_list(options) -> None:
    from bert_tf.features import cache

    found = cache.spaces(options.cache_dir)
    rows = []
    for space in found:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(space.used))
        checkpoint, layers, pooling, kept = (
            str(space.description.get(name, "?")) for name in ("checkpoint", "layers", "pooling", "kept")
        )
        size = formatting.megabytes(space.size)
        rows.append((size, used, checkpoint, f"{layers}, {pooling}", kept, space.folder.name))
    terminal.say(
        terminal.table(
            ("size", "last used", "checkpoint", "frozen layers, pooling", "kept in", "folder"), rows, left=range(1, 6)
        )
    )
    terminal.say(
        f"\n{formatting.megabytes(sum(space.size for space in found))} in {options.cache_dir or cache.default_dir()}"
    )


def _cache_prune(options) -> None:
    from bert_tf.features import cache

    removed = cache.prune(options.cache_dir, options.max_size)
    size = formatting.megabytes(sum(space.size for space in removed))
    terminal.say(f"Removed: {len(removed)} of the cache's folders, {size}.")
