"""`bert-tf distill`."""

import time

from bert_tf.cli.next_steps import say_next_steps
from bert_tf.cli.options import add_options, read, read_unlabelled
from bert_tf.settings import DISTILL


def add_distill(commands) -> None:
    command = commands.add_parser(
        "distill",
        usage="bert-tf distill TEACHER --train FILE [OPTIONS]",
        help="train a smaller, faster student of a model",
        description="Trains a student with some of a model's layers to answer as its teacher does, on texts with labels and "
        "without. Leaves in the output folder what finetune does, and compares both in score, size and speed.",
        epilog="Example: bert-tf distill runs/reviews/model --layers 3 --train reviews.csv --unlabelled more.csv",
    )
    command.add_argument("teacher", metavar="TEACHER", help="folder of a fine-tuned model (or a name on the hub)")
    add_options(command, DISTILL, test=True, unlabelled=True)
    command.set_defaults(run=_distill)


def _distill(options) -> None:
    began = time.monotonic()
    unlabelled = read_unlabelled(options)
    train, validation, test, settings = read(options, DISTILL)
    from bert_tf.training.distill import distill

    student = distill(options.teacher, train, validation, unlabelled=unlabelled, test=test, started=began, **settings)
    say_next_steps(student)
