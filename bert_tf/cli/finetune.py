"""`bert-tf finetune`."""

import time

from bert_tf.cli.next_steps import say_next_steps
from bert_tf.cli.options import add_options, read
from bert_tf.settings import FINETUNE


def add_finetune(commands) -> None:
    command = commands.add_parser(
        "finetune",
        usage="bert-tf finetune --train FILE [OPTIONS]",
        help="train a classifier on your labelled texts",
        description="Trains a classifier on labelled texts: first its head on the frozen base, in seconds, then all layers from "
        "there; the better one is kept. Leaves in the output folder: "
        "report.html, model/, history.csv, metrics.json, curves.png, tensorboard/.",
        epilog="Example: bert-tf finetune --train reviews.csv --budget 5m --output-dir runs/reviews",
    )
    add_options(command, FINETUNE, test=True)
    command.set_defaults(run=_finetune)


def _finetune(options) -> None:
    began = time.monotonic()
    train, validation, test, settings = read(options, FINETUNE)
    from bert_tf.training.finetune import finetune

    say_next_steps(finetune(train, validation, test=test, started=began, **settings))
