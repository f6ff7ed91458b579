"""`bert-tf`: the library's functions from the command line."""

import argparse
import json
import logging
import os
import re
import sys
import time
from pathlib import Path

from bert_tf import __version__

USER_ERRORS = (ValueError, OSError, ImportError)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, or 2 for wrong input, whose message goes to stderr."""
    parser = _parser()
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it remarks on every start that PyTorch is missing
    logging.basicConfig(format="%(message)s")
    logging.getLogger("bert_tf").setLevel(logging.INFO)
    try:
        options.run(options)
    except USER_ERRORS as error:
        print(f"bert-tf {options.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resume = (
            " It goes on where it was with --resume." if options.command in ("finetune", "search", "compare") else ""
        )
        print(f"\nStopped.{resume}", file=sys.stderr)
        return 130
    return 0


def _load_tensorflow() -> None:
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


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, but not those that say only that an option was left out."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bert-tf",
        description="Fine-tune DistilBERT and BERT to sort texts into classes, and use the result.",
        epilog="Start with: bert-tf finetune --train reviews.csv",
    )
    parser.add_argument("--version", action="version", version=f"bert-tf {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_finetune(commands)
    _add_search(commands)
    _add_compare(commands)
    _add_predict(commands)
    _add_explain(commands)
    _add_convert(commands)
    _add_plan(commands)
    _add_cache(commands)
    return parser


# finetune


def _add_finetune(commands) -> None:
    command = commands.add_parser(
        "finetune",
        help="train a classifier on your labelled texts",
        description="Trains a classifier on labelled texts and keeps its best epoch. Leaves in the output folder: "
        "report.html, model/ (reads in bert_tf and in transformers), history.csv, metrics.json, curves.png, tensorboard/.",
        epilog="Example: bert-tf finetune --train reviews.csv --epochs 10 --output-dir runs/reviews",
        formatter_class=_Help,
    )
    _add_job(command)
    training = command.add_argument_group("more on training")
    training.add_argument("--learning-rate", type=float, metavar="R", help="step size; if left out, 1e-3 for a frozen "
                          "base (3e-4 with --head layer_means) and 5e-5 otherwise")  # fmt: skip
    training.add_argument("--weight-decay", type=float, default=0.0, metavar="R", help="decoupled weight decay")
    training.add_argument("--warmup", type=float, default=0.0, metavar="SHARE", help="share of all steps in which the "
                          "learning rate rises")  # fmt: skip
    training.add_argument("--dropout", type=float, metavar="SHARE", help="the head's; if left out, the checkpoint's")
    training.add_argument("--early-stopping", type=int, metavar="N", help="stop after N epochs without a lower "
                          "validation loss")  # fmt: skip
    _add_training(training)
    _add_output(command, "runs/finetune")
    command.set_defaults(run=_finetune)


def _add_training(training) -> None:
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


def _add_output(command, folder: str | None) -> None:
    output = command.add_argument_group("output")
    output.add_argument("--output-dir", default=folder, metavar="DIR", help="folder for the results"
                        + ("" if folder else "; if left out, runs/ and what is compared"))  # fmt: skip
    output.add_argument(
        "--overwrite", action="store_true", help="replace what the output folder holds of an earlier run"
    )
    output.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def _add_start(command, epochs: int | None):
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


def _add_job(command) -> None:
    """Adds what `finetune` and `plan` have in common: data, model, and what decides the work."""
    model, training = _add_start(command, epochs=3)
    model.add_argument("--unfreeze", type=_unfreeze, default=0, metavar="K", help="how many of the top layers to train "
                       "beside the head: 0 = none (the base is frozen), or all")  # fmt: skip
    training.add_argument("--batch-size", type=int, default=32, metavar="N", help="texts a step")
    training.add_argument("--no-cache", action="store_false", dest="cache", help="run the frozen layers anew in every epoch, "
                          "with their dropout, as Keras' fit does by itself")  # fmt: skip


def _unfreeze(value: str) -> int | str:
    if value == "all" or value.isdigit():
        return value if value == "all" else int(value)
    raise argparse.ArgumentTypeError(f"a number of layers, or all. Received: {value!r}")


def _finetune(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    train, validation = _sources(settings)
    _load_tensorflow()
    from bert_tf.finetune import finetune

    finetune(train, validation, **settings)


def _sources(settings: dict):
    """Takes the sources out of the options and reads them.

    Here, so that a wrong file is said before TensorFlow has been loaded, which takes seconds.
    """
    from bert_tf.data import DEMO, demo_reviews, read_examples

    train, validation = settings.pop("train"), settings.pop("validation")
    columns = (settings["text_column"], settings["label_column"])
    if train == DEMO:
        train, validation = demo_reviews()[0], validation or DEMO
    if validation == DEMO:
        validation = demo_reviews()[1]
    train = read_examples(train, *columns)
    return train, validation if validation is None else read_examples(validation, *columns)


# search


def _add_search(commands) -> None:
    command = commands.add_parser(
        "search",
        help="find the learning rate, batch size and epochs that train best",
        description="Tries many settings on the same features and keeps the best trial's model. A setting is one value, "
        "several (0.1,0.3: one of these) or a range (1e-4:1e-2). Leaves in the output folder: report.html, model/, "
        "trials.csv, best.json, search.png, tensorboard/, trials/.",
        epilog="Example: bert-tf search --train reviews.csv --max-trials 30 --epochs 20 --output-dir runs/search",
        formatter_class=_Help,
    )
    _, training = _add_start(command, epochs=10)
    space = command.add_argument_group("what is searched")
    for option, what in (
        ("learning-rate", "if left out, 1e-4:1e-2 for a frozen base, 1e-5:3e-4 otherwise"),
        ("batch-size", "texts a step; if left out, 16,32,64"),
        ("dropout", "the head's; if left out, 0.1,0.2,0.3,0.5"),
        ("weight-decay", "if left out, 0,0.01,0.1"),
        ("warmup", "share of all steps in which the learning rate rises; if left out, 0,0.1"),
        ("unfreeze", "how many of the top layers to train, or all; if left out, 0"),
    ):
        space.add_argument(f"--{option}", type=_space, metavar="VALUES", help=what)
    method = command.add_argument_group("how")
    method.add_argument("--tuner", default="random", choices=["random", "bayesian", "grid", "hyperband"], help="how values "
                        "are chosen")  # fmt: skip
    method.add_argument("--max-trials", type=int, metavar="N", help="trials; if left out 30, for hyperband as many as it "
                        "takes")  # fmt: skip
    method.add_argument("--objective", default="val_loss", choices=["val_loss", "val_accuracy"], help="what is best")
    method.add_argument("--early-stopping", type=_number_or_never, default=5, metavar="N", help="end a trial after N epochs "
                        "without a better one; never = do not")  # fmt: skip
    _add_training(training)
    several = command.add_argument_group("several processes, each with the same options")
    several.add_argument("--chief", action="store_true", help="hand out trials, run none")
    several.add_argument("--worker", metavar="NAME", help="run trials of the chief; each worker has a name of its own")
    several.add_argument("--address", default="127.0.0.1:7077", metavar="HOST:PORT", help="of the chief. It is neither encrypted "
                         "nor authenticated: on another address than this machine's own, trust the network")  # fmt: skip
    several.add_argument("--lease", type=float, default=60.0, metavar="SECONDS", help="how long a worker may be silent before "
                         "the chief gives its trial to another")  # fmt: skip
    _add_output(command, "runs/search")
    command.set_defaults(run=_search)


def _space(value: str):
    """Reads values of a search: "0.1", "0.1,0.3" or "1e-4:1e-2"."""

    def number(text: str):
        if text.strip() == "all":
            return "all"
        found = float(text)
        return int(found) if re.fullmatch(r" *\d+ *", text) else found

    try:
        if ":" in value:
            lowest, highest = map(number, value.split(":"))
            return lowest, highest
        found = [number(part) for part in value.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a number, several (0.1,0.3) or a range (1e-4:1e-2). Received: {value!r}"
        ) from None
    return found if len(found) > 1 else found[0]


def _number_or_never(value: str) -> int | None:
    if value == "never" or value.isdigit():
        return None if value == "never" else int(value)
    raise argparse.ArgumentTypeError(f"a number of epochs, or never. Received: {value!r}")


def _search(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    train, validation = _sources(settings)
    _load_tensorflow()
    from bert_tf.search import search

    search(train, validation, **settings)


# compare


def _add_compare(commands) -> None:
    command = commands.add_parser(
        "compare",
        help="see how much to unfreeze, which model is worth it, whether more data would help",
        description="One of three comparisons on the same texts. --ladder: the same checkpoint with more and more of it unfrozen. "
        "MODEL ...: fine-tuned models, and checkpoints to be fine-tuned with a frozen base, against TF-IDF and an LSTM. --data-sizes: "
        "one model on more and more texts. Each leaves a table (.csv), a picture (.png) and report.html in the output folder.",
        epilog="Example: bert-tf compare --ladder --train reviews.csv --rungs floor,layer_means,1,2 --output-dir runs/ladder",
        formatter_class=_Help,
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "models", nargs="*", default=[], metavar="MODEL", help="a race of these: folders, or names on the hub"
    )
    what.add_argument("--ladder", action="store_true", help="how much to unfreeze")
    what.add_argument("--data-sizes", type=_listed, metavar="SIZES", help="whether more data would help: numbers of training "
                      "texts, such as 100,300,1000,all")  # fmt: skip
    model, training = _add_start(command, epochs=None)
    model.add_argument("--rungs", type=_listed, metavar="RUNGS", help="of the ladder: some of floor,first_token,layer_means,1,2,...,all; if "
                       "left out, all of them")  # fmt: skip
    model.add_argument("--unfreeze", type=_unfreeze, metavar="K", help="with --data-sizes: how many layers to train; if left "
                       "out, none")  # fmt: skip
    model.add_argument("--baselines", type=_listed, metavar="NAMES", help="of a race: tfidf,lstm if left out, or none")
    training.add_argument("--frozen-epochs", type=int, metavar="N", help="of the ladder's rungs without unfrozen layers; if left "
                          "out, 20, stopped early")  # fmt: skip
    training.add_argument(
        "--seeds", type=int, metavar="N", help="runs of each, for the intervals; if left out, 3; a race has one"
    )
    training.add_argument("--learning-rate", type=float, metavar="R", help="step size; if left out, what finetune takes. Of the "
                          "ladder: where layers are unfrozen")  # fmt: skip
    training.add_argument("--batch-size", type=int, default=32, metavar="N", help="texts a step")
    training.add_argument("--cache-dir", metavar="DIR", help="where to keep what the frozen layers give; if left out, the user's "
                          "cache folder")  # fmt: skip
    training.add_argument("--new-head", action="store_true", help="replace the classification head the checkpoint has")
    _add_output(command, None)
    command.set_defaults(run=_compare)


def _listed(value: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in value.split(",")]


# What each comparison takes, beside what all take.
COMPARISONS = {
    "race": ("baselines", "head", "learning_rate"),
    "ladder": ("rungs", "frozen_epochs", "learning_rate", "seeds", "checkpoint", "new_head"),
    "curve": ("unfreeze", "head", "learning_rate", "seeds", "checkpoint", "new_head"),
}


def _compare(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    models, ladder, sizes = settings.pop("models"), settings.pop("ladder"), settings.pop("data_sizes")
    kind = "ladder" if ladder else "curve" if sizes else "race"
    allowed = COMPARISONS[kind]
    for name in {name for names in COMPARISONS.values() for name in names} - set(allowed):
        value = settings.pop(name)
        if value not in (None, False) and name != "checkpoint":
            raise ValueError(f"--{name.replace('_', '-')} has no part in a {kind}.")
    if settings.get("baselines") == ["none"]:
        settings["baselines"] = []
    settings["output_dir"] = settings["output_dir"] or f"runs/{kind}"
    train, validation = _sources(settings)
    settings = {name: value for name, value in settings.items() if value is not None}
    from bert_tf import compare

    if kind == "race":
        compare.race(models, train, validation, **settings)
    elif kind == "ladder":
        compare.ladder(train, validation, **settings)
    else:
        compare.curve(train, validation, sizes=sizes, **settings)


# plan


def _add_plan(commands) -> None:
    command = commands.add_parser(
        "plan",
        help="say what a run will need: memory, disk, time",
        description="Says what finetune with the same options will need on this machine, from a probe of a few seconds.",
        epilog="Example: bert-tf plan --train reviews.csv --unfreeze 2 --epochs 10",
        formatter_class=_Help,
    )
    _add_job(command)
    command.set_defaults(run=_plan)


def _plan(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    train, validation = _sources(settings)
    _load_tensorflow()
    from bert_tf import hardware, report, wording
    from bert_tf.plan import plan

    found = plan(train, validation, **settings)
    rows = [
        ("texts, tokens", f"{found.texts:,}, {found.tokens:,} (the longest text {found.longest})"),
        ("parameters, trained", f"{found.parameters:,}, {found.trainable_parameters:,}"),
        ("computed in", f"{found.precision}, on {hardware.description()}"),
        ("weights, gradients, optimizer", wording.megabytes(found.weights_bytes)),
        ("activations of a step, about", wording.megabytes(found.activations_bytes)),
        ("features kept on disk", wording.megabytes(found.cache_bytes) if options.cache else "none"),
        ("time for the features, once", wording.duration(found.features_seconds)),
        ("time of an epoch", wording.duration(found.epoch_seconds)),
        (f"time in all, {options.epochs} epochs", wording.duration(found.seconds)),
    ]
    print(report.table(("what", "how much"), rows))


# predict


def _add_predict(commands) -> None:
    command = commands.add_parser(
        "predict",
        help="sort new texts into classes",
        description="Sorts texts into the classes a model was fine-tuned for; prints a table, or JSON.",
        epilog='Example: bert-tf predict runs/reviews/model --text "Broke after a day." --text "Lovely."',
    )
    command.add_argument("model", metavar="MODEL", help="folder of a fine-tuned model (or a name on the hub)")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", action="append", metavar="TEXT", help="a text; may be given several times")
    source.add_argument("--file", metavar="FILE", help="texts: .csv, .tsv, .jsonl or .parquet")
    command.add_argument("--text-column", metavar="NAME", help="column with the text; if left out, found by its name")
    command.add_argument(
        "--batch-size", type=int, metavar="N", help="the most texts at once; if left out, by their length"
    )
    command.add_argument(
        "--json", action="store_true", help="print JSON: text, label, score, and the score of each class"
    )
    command.add_argument("--output", metavar="FILE", help="write to this .csv or .json file and not to the terminal")
    command.set_defaults(run=_predict)


def _predict(options) -> None:
    from bert_tf.data import read_examples

    if options.output and Path(options.output).suffix not in (".csv", ".json"):
        raise ValueError(f"--output: expected a file that ends in .csv or .json. Received: {options.output}")
    if options.output and not Path(options.output).absolute().parent.is_dir():
        raise FileNotFoundError(f"--output: there is no folder {Path(options.output).parent}.")
    texts = options.text or list(read_examples(options.file, options.text_column, labelled=False).texts)
    _load_tensorflow()
    from bert_tf import report, wording
    from bert_tf.predict import predict

    found = predict(options.model, texts, batch_size=options.batch_size)
    rows = [
        {
            "text": text,
            "label": label,
            "score": round(score, 6),
            "scores": dict(zip(found.label_names, map(float, p), strict=True)),
        }
        for text, label, score, p in zip(texts, found.labels, found.scores, found.probabilities, strict=True)
    ]
    if options.output and options.output.endswith(".csv"):
        report.write_csv(Path(options.output), ["text", "label", "score"], rows)
    elif options.output or options.json:
        text = json.dumps(rows, indent=2, ensure_ascii=False)
        report.write_text(Path(options.output), text + "\n") if options.output else print(text)
    else:
        cells = [(row["label"], wording.shown(row["score"], "score"), _shortened(row["text"])) for row in rows]
        print(report.table(("label", "score", "text"), cells))


def _shortened(text: str, width: int = 70) -> str:
    """One line of a text that a terminal can show: no line breaks, no control characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= width else line[: width - 3] + "..."


# explain


def _add_explain(commands) -> None:
    command = commands.add_parser(
        "explain",
        help="say which words spoke for and against a class, and what attention looked at",
        description="Says why a model gives texts their classes: each word's share in the answer (integrated gradients), with a "
        "check on it, and with --html the attention of every layer and head.",
        epilog='Example: bert-tf explain runs/reviews/model --text "Broke after a day." --html why.html',
    )
    command.add_argument("model", metavar="MODEL", help="folder of a fine-tuned model (or a name on the hub)")
    command.add_argument(
        "--text", action="append", required=True, metavar="TEXT", help="a text; may be given several times"
    )
    command.add_argument("--target", metavar="CLASS", help="the class to explain; if left out, the one predicted")
    command.add_argument("--html", metavar="FILE", help="write an interactive page that needs no network")
    command.add_argument(
        "--json", action="store_true", help="print JSON: the words, where they are, their attributions"
    )
    command.set_defaults(run=_explain)


def _explain(options) -> None:
    page = Path(options.html) if options.html else None
    if page and page.suffix not in (".html", ".htm"):
        raise ValueError(f"--html: expected a file that ends in .html. Received: {page}")
    if page and not page.absolute().parent.is_dir():
        raise FileNotFoundError(f"--html: there is no folder {page.parent}.")
    _load_tensorflow()
    from bert_tf.explain import explain
    from bert_tf.predict import load_classifier

    model, tokenizer = load_classifier(options.model)
    found = [explain(model, text, tokenizer, target=options.target, attentions=bool(page)) for text in options.text]
    if page:
        from bert_tf.explain_page import write_page

        write_page(page, found)
    if options.json:
        print(json.dumps([explanation.as_dict() for explanation in found], indent=2, ensure_ascii=False))
    elif page:
        print(f"Written: {page}")
    else:
        from bert_tf.explain_terminal import render

        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        print("\n\n\n".join(render(explanation, colour) for explanation in found))


# convert


def _add_convert(commands) -> None:
    command = commands.add_parser(
        "convert",
        help="rewrite a checkpoint in the standard form",
        description="Rewrites a checkpoint that bert_tf can read as config.json, model.safetensors and tokenizer files.",
        epilog="Example: bert-tf convert my-bert my-distilbert --to distilbert",
    )
    command.add_argument("source", metavar="SRC", help="folder or hub name")
    command.add_argument("destination", metavar="DST", help="folder to write")
    command.add_argument("--to", choices=["distilbert"], help="fold a BERT into a DistilBERT: the same numbers for single "
                         "texts, without token types and pooler")  # fmt: skip
    command.add_argument("--overwrite", action="store_true", help="replace the checkpoint that DST holds")
    command.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read pytorch_model.bin where there is nothing else: its tensors alone, which needs PyTorch",
    )
    command.set_defaults(run=_convert)


def _convert(options) -> None:
    destination = Path(options.destination)
    if destination.is_dir() and any(destination.iterdir()) and not options.overwrite:
        raise FileExistsError(f"{destination}: is not empty. Choose another folder, or --overwrite.")
    _load_tensorflow()
    from bert_tf.convert import convert

    done = convert(options.source, destination, to=options.to, allow_pickle=options.allow_pickle)
    print(
        f"{done.tensors_read} tensors read, {done.tensors_written} written; {done.compared} of a probe text before and "
        f"after differ by at most {done.difference:.1e}. Written: {destination}"
    )


# cache


def _add_cache(commands) -> None:
    command = commands.add_parser(
        "cache",
        help="show or clear what is kept of frozen layers",
        description="What frozen layers give is kept, for all epochs and later runs. Here it can be looked at and removed.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = actions.add_parser("list", help="show what is kept, the one used last first")
    shown.set_defaults(run=_cache_list)
    pruned = actions.add_parser("prune", help="remove what was longest unused")
    pruned.add_argument("--max-size", type=_size, default=0, metavar="SIZE", help="what may stay, such as 500MB or 5GB "
                        "(default: 0, remove all)")  # fmt: skip
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
    from bert_tf import cache, report, wording

    found = cache.spaces(options.cache_dir)
    rows = [
        (
            wording.megabytes(space.size),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(space.used)),
            str(space.description.get("checkpoint", "?")),
            f"{space.description.get('layers', '?')}, {space.description.get('pooling', '?')}",
            str(space.description.get("kept", "?")),
            space.folder.name,
        )
        for space in found
    ]
    print(report.table(("size", "last used", "checkpoint", "frozen layers, pooling", "kept in", "folder"), rows))
    print(f"\n{wording.megabytes(sum(space.size for space in found))} in {options.cache_dir or cache.default_dir()}")


def _cache_prune(options) -> None:
    from bert_tf import cache, wording

    removed = cache.prune(options.cache_dir, options.max_size)
    print(f"Removed: {len(removed)} of the cache's folders, {wording.megabytes(sum(space.size for space in removed))}.")


if __name__ == "__main__":
    sys.exit(main())
