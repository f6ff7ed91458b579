"""`bert-tf finetune`."""

from bert_tf.cli.options import Help, add_job, add_output, add_training, load_tensorflow, read_sources

# finetune


def add_finetune(commands) -> None:
    command = commands.add_parser(
        "finetune",
        help="train a classifier on your labelled texts",
        description="Trains a classifier on labelled texts and keeps its best epoch. Leaves in the output folder: "
        "report.html, model/ (reads in bert_tf and in transformers), history.csv, metrics.json, curves.png, tensorboard/.",
        epilog="Example: bert-tf finetune --train reviews.csv --epochs 10 --output-dir runs/reviews",
        formatter_class=Help,
    )
    add_job(command)
    training = command.add_argument_group("more on training")
    training.add_argument("--learning-rate", type=float, metavar="R", help="step size; if left out, 1e-3 for a frozen "
                          "base (3e-4 with --head layer_means) and 5e-5 otherwise")  # fmt: skip
    training.add_argument("--weight-decay", type=float, default=0.0, metavar="R", help="decoupled weight decay")
    training.add_argument("--warmup", type=float, default=0.0, metavar="SHARE", help="share of all steps in which the "
                          "learning rate rises")  # fmt: skip
    training.add_argument("--dropout", type=float, metavar="SHARE", help="the head's; if left out, the checkpoint's")
    training.add_argument("--early-stopping", type=int, metavar="N", help="stop after N epochs without a lower "
                          "validation loss")  # fmt: skip
    add_training(training)
    add_output(command, "runs/finetune")
    command.set_defaults(run=_finetune)


def _finetune(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    train, validation = read_sources(settings)
    load_tensorflow()
    from bert_tf.training.finetune import finetune

    finetune(train, validation, **settings)
