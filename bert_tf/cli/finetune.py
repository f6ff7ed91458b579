"""`bert-tf finetune`."""

from bert_tf.cli.options import add_options, read
from bert_tf.settings import FINETUNE


def add_finetune(commands) -> None:
    command = commands.add_parser(
        "finetune",
        help="train a classifier on your labelled texts",
        description="Trains a classifier on labelled texts and keeps its best epoch. Leaves in the output folder: "
        "report.html, model/ (for bert_tf and transformers), history.csv, metrics.json, curves.png, tensorboard/.",
        epilog="Example: bert-tf finetune --train reviews.csv --epochs 10 --output-dir runs/reviews",
    )
    add_options(command, FINETUNE)
    command.set_defaults(run=_finetune)


def _finetune(options) -> None:
    train, validation, settings = read(options, FINETUNE)
    from bert_tf.training.finetune import finetune

    finetune(train, validation, **settings)
