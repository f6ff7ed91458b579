"""`bert-tf`: the library's functions from the command line."""

import argparse
import logging
import os
import sys

from bert_tf import __version__, hardware
from bert_tf.cli.cache import add_cache
from bert_tf.cli.compare import add_compare
from bert_tf.cli.convert import add_convert
from bert_tf.cli.distill import add_distill
from bert_tf.cli.evaluate import add_evaluate
from bert_tf.cli.explain import add_explain
from bert_tf.cli.export import add_export
from bert_tf.cli.finetune import add_finetune
from bert_tf.cli.migrate import add_migrate
from bert_tf.cli.parser import Parser
from bert_tf.cli.plan import add_plan
from bert_tf.cli.predict import add_predict, written_in_blocks
from bert_tf.cli.search import add_search
from bert_tf.cli.serve import add_serve

USER_ERRORS = (ValueError, OSError, ImportError)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 1 if `migrate` found what to change, 2 for wrong input, with a message on
    stderr."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # else it says at every start that PyTorch is missing
    logging.basicConfig(format="%(message)s")
    logging.getLogger("bert_tf").setLevel(logging.INFO)
    hardware.keep_memory()
    try:
        code = options.run(options)
    except USER_ERRORS as error:
        print(f"bert-tf {options.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = options.command in ("finetune", "distill", "search", "compare")
        resumes = resumes or (options.command == "predict" and written_in_blocks(options.output))
        hint = " Resume with --resume." if resumes else ""
        print(f"\nStopped.{hint}", file=sys.stderr)
        return 130
    return code or 0


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="bert-tf",
        description="Fine-tunes DistilBERT, BERT and their relatives for text classification, and uses the result.",
        epilog="Start with: bert-tf finetune --train reviews.csv",
    )
    parser.add_argument("--version", action="version", version=f"bert-tf {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        add_finetune,
        add_distill,
        add_search,
        add_compare,
        add_predict,
        add_evaluate,
        add_explain,
        add_serve,
        add_convert,
        add_export,
        add_migrate,
        add_plan,
        add_cache,
    ):
        add(commands)
    return parser
