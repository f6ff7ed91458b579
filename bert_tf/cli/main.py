"""`bert-tf`: the library's functions from the command line."""

import argparse
import signal
import sys
import time

from bert_tf import __version__, hardware, terminal
from bert_tf.cli.cache import add_cache
from bert_tf.cli.compare import add_compare
from bert_tf.cli.convert import add_convert
from bert_tf.cli.distill import add_distill
from bert_tf.cli.evaluate import add_evaluate
from bert_tf.cli.explain import add_explain
from bert_tf.cli.export import add_export
from bert_tf.cli.finetune import add_finetune
from bert_tf.cli.interrupted import what_is_kept
from bert_tf.cli.migrate import add_migrate
from bert_tf.cli.parser import Parser
from bert_tf.cli.plan import add_plan
from bert_tf.cli.predict import add_predict
from bert_tf.cli.search import add_search
from bert_tf.cli.serve import add_serve
from bert_tf.cli.wording import as_options
from bert_tf.quiet import be_quiet

USER_ERRORS = (ValueError, OSError, ImportError)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 1 if `migrate` found what to change, 2 for wrong input, with a message on
    stderr, 130 after Ctrl-C."""
    began = time.time()
    options = make_parser().parse_args(arguments)
    asked = argparse.Namespace(**vars(options))  # commands take options away as they use them
    be_quiet()
    hardware.keep_memory()
    with terminal.worded(as_options):
        try:
            return options.run(options) or 0
        except USER_ERRORS as error:
            terminal.say(f"bert-tf {asked.command}: error: {error}", sys.stderr)
            return 2
        except KeyboardInterrupt:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is impatient gets this line all the same
            try:
                below = "\n" * sys.stderr.isatty()  # the ^C that the terminal shows
                terminal.say(f"{below}Stopped. {what_is_kept(asked, began)}", sys.stderr)
            finally:
                signal.signal(signal.SIGINT, before)
            return 130


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
