"""`bert-tf search`."""

import argparse
import re

from bert_tf.cli.options import (
    Help,
    add_output,
    add_start,
    add_training,
    load_tensorflow,
    number_or_never,
    read_sources,
)

# search


def add_search(commands) -> None:
    command = commands.add_parser(
        "search",
        help="find the learning rate, batch size and epochs that train best",
        description="Tries many settings on the same features and keeps the best trial's model. A setting is one value, "
        "several (0.1,0.3: one of these) or a range (1e-4:1e-2). Leaves in the output folder: report.html, model/, "
        "trials.csv, best.json, search.png, tensorboard/, trials/.",
        epilog="Example: bert-tf search --train reviews.csv --max-trials 30 --epochs 20 --output-dir runs/search",
        formatter_class=Help,
    )
    _, training = add_start(command, epochs=10)
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
    method.add_argument("--early-stopping", type=number_or_never, default=5, metavar="N", help="end a trial after N epochs "
                        "without a better one; never = do not")  # fmt: skip
    add_training(training)
    several = command.add_argument_group("several processes, each with the same options")
    several.add_argument("--chief", action="store_true", help="hand out trials, run none")
    several.add_argument("--worker", metavar="NAME", help="run trials of the chief; each worker has a name of its own")
    several.add_argument("--address", default="127.0.0.1:7077", metavar="HOST:PORT", help="of the chief. It is neither encrypted "
                         "nor authenticated: on another address than this machine's own, trust the network")  # fmt: skip
    several.add_argument("--lease", type=float, default=60.0, metavar="SECONDS", help="how long a worker may be silent before "
                         "the chief gives its trial to another")  # fmt: skip
    add_output(command, "runs/search")
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


def _search(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    train, validation = read_sources(settings)
    load_tensorflow()
    from bert_tf.tuning.search import search

    search(train, validation, **settings)
