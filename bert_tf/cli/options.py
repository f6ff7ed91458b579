"""Options that several commands share."""

import argparse
import os
import sys


def load_tensorflow() -> None:
    """Imports TensorFlow without the notes on its build and on missing GPUs that it writes past its own log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow

        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, but not those that say only that an option was left out."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def add_training(training) -> None:
    """Adds what `finetune` and `search` have in common on training."""
    training.add_argument("--schedule", default="constant", choices=["constant", "linear"], help="what the learning rate "
                          "does after the warm-up: stay, or fall to 0 with the last epoch")  # fmt: skip
    training.add_argument("--optimizer", default="adam", metavar="NAME", help="a Keras optimizer")
    training.add_argument("--micro-batch-size", type=int, metavar="N", help="texts at once, where memory does not suffice for "
                          "a whole batch; if left out, found when it does not")  # fmt: skip
    training.add_argument("--cache-dir", metavar="DIR", help="where to keep what the frozen layers give, for all epochs and "
                          "later runs; if left out, the user's cache folder")  # fmt: skip
    training.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything random")
    training.add_argument("--new-head", action="store_true", help="replace the classification head the checkpoint has")
    training.add_argument("--no-report", action="store_false", dest="report", help="write no report.html and no model card, "
                          "which take some seconds")  # fmt: skip


def add_output(command, folder: str | None) -> None:
    output = command.add_argument_group("output")
    output.add_argument("--output-dir", default=folder, metavar="DIR", help="folder for the results"
                        + ("" if folder else "; if left out, runs/ and what is compared"))  # fmt: skip
    output.add_argument(
        "--overwrite", action="store_true", help="replace what the output folder holds of an earlier run"
    )
    output.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def add_start(command, epochs: int | None):
    """Adds what every training command has: data, model, epochs; returns the groups on model and training."""
    data = command.add_argument_group("data")
    data.add_argument("--train", metavar="FILE", help="labelled texts: .csv, .tsv, .jsonl, .parquet, or tfds:NAME@SPLIT; "
                      "'demo' = the reviews that ship with bert-tf", required=True)  # fmt: skip
    data.add_argument("--validation", metavar="FILE", help="texts to choose the best epoch by; if left out, some of "
                      "the training texts are held back")  # fmt: skip
    data.add_argument("--validation-share", type=float, default=0.2, metavar="SHARE", help="of the training texts to hold "
                      "back, where no validation texts are given")  # fmt: skip
    data.add_argument("--text-column", metavar="NAME", help="column with the text; if left out, found by its name")
    data.add_argument("--label-column", metavar="NAME", help="column with the class; if left out, found by its name")
    data.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="tokens; longer texts are cut; if left out 256, or fewer where the model takes fewer",
    )
    model = command.add_argument_group("model")
    model.add_argument("--checkpoint", default="minilm", metavar="NAME", help="what to start from: a folder, a name on the "
                       "Hugging Face hub such as distilbert-base-uncased, or minilm")  # fmt: skip
    model.add_argument("--head", choices=["first_token", "layer_means"], help="what a new head sees: the first token of the last "
                       "layer, which transformers reads too, or the means of every layer, which suits a frozen base")  # fmt: skip
    training = command.add_argument_group("training")
    training.add_argument(
        "--epochs",
        type=int,
        default=epochs,
        metavar="N",
        help="the most passes over the training texts"
        + ("" if epochs else "; if left out, 2 where layers are unfrozen, else 20, stopped early"),
    )
    training.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"], help="what is computed in; "
                          "auto = bfloat16 where the machine does it natively")  # fmt: skip
    return model, training


def add_job(command) -> None:
    """Adds what `finetune` and `plan` have in common: data, model, and what decides the work."""
    model, training = add_start(command, epochs=3)
    model.add_argument("--unfreeze", type=depth, default=0, metavar="K", help="how many of the top layers to train "
                       "beside the head: 0 = none (the base is frozen), or all")  # fmt: skip
    training.add_argument("--batch-size", type=int, default=32, metavar="N", help="texts a step")
    training.add_argument("--no-cache", action="store_false", dest="cache", help="run the frozen layers anew in every epoch, "
                          "with their dropout, as Keras' fit does by itself")  # fmt: skip


def depth(value: str) -> int | str:
    if value == "all" or value.isdigit():
        return value if value == "all" else int(value)
    raise argparse.ArgumentTypeError(f"a number of layers, or all. Received: {value!r}")


def read_sources(settings: dict):
    """Takes the sources out of the options and reads them.

    Here, so that a wrong file is said before TensorFlow has been loaded, which takes seconds.
    """
    from bert_tf.data.readers import DEMO, demo_reviews, read_examples

    train, validation = settings.pop("train"), settings.pop("validation")
    columns = (settings["text_column"], settings["label_column"])
    if train == DEMO:
        train, validation = demo_reviews()[0], validation or DEMO
    if validation == DEMO:
        validation = demo_reviews()[1]
    train = read_examples(train, *columns)
    return train, validation if validation is None else read_examples(validation, *columns)


def number_or_never(value: str) -> int | None:
    if value == "never" or value.isdigit():
        return None if value == "never" else int(value)
    raise argparse.ArgumentTypeError(f"a number of epochs, or never. Received: {value!r}")


def comma_separated(value: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in value.split(",")]
