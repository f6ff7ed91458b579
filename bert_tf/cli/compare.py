"""`bert-tf compare`."""

from bert_tf.cli.options import Help, add_output, add_start, comma_separated, depth, read_sources

# compare


def add_compare(commands) -> None:
    command = commands.add_parser(
        "compare",
        help="see how much to unfreeze, which model is worth it, whether more data would help",
        description="One of three comparisons on the same texts. --ladder: the same checkpoint with more and more of it unfrozen. "
        "MODEL ...: fine-tuned models, and checkpoints to be fine-tuned with a frozen base, against TF-IDF and an LSTM. --data-sizes: "
        "one model on more and more texts. Each leaves a table (.csv), a picture (.png) and report.html in the output folder.",
        epilog="Example: bert-tf compare --ladder --train reviews.csv --rungs floor,layer_means,1,2 --output-dir runs/ladder",
        formatter_class=Help,
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "models", nargs="*", default=[], metavar="MODEL", help="a race of these: folders, or names on the hub"
    )
    what.add_argument("--ladder", action="store_true", help="how much to unfreeze")
    what.add_argument("--data-sizes", type=comma_separated, metavar="SIZES", help="whether more data would help: numbers of training "
                      "texts, such as 100,300,1000,all")  # fmt: skip
    model, training = add_start(command, epochs=None)
    model.add_argument("--rungs", type=comma_separated, metavar="RUNGS", help="of the ladder: some of floor,first_token,layer_means,1,2,...,all; if "
                       "left out, all of them")  # fmt: skip
    model.add_argument("--unfreeze", type=depth, metavar="K", help="with --data-sizes: how many layers to train; if left "
                       "out, none")  # fmt: skip
    model.add_argument(
        "--baselines", type=comma_separated, metavar="NAMES", help="of a race: tfidf,lstm if left out, or none"
    )
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
    add_output(command, None)
    command.set_defaults(run=_compare)


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
    train, validation = read_sources(settings)
    settings = {name: value for name, value in settings.items() if value is not None}
    from bert_tf.comparison import curve, ladder, race

    if kind == "race":
        race.race(models, train, validation, **settings)
    elif kind == "ladder":
        ladder.ladder(train, validation, **settings)
    else:
        curve.curve(train, validation, sizes=sizes, **settings)
