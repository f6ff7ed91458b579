"""`bert-tf compare`."""

from bert_tf.cli.options import NOT_OPTIONS, add_options, read
from bert_tf.options import listed
from bert_tf.settings import CURVE, LADDER, RACE


def add_compare(commands) -> None:
    command = commands.add_parser(
        "compare",
        usage="bert-tf compare (--ladder | --data-sizes SIZES | MODEL ...) --train FILE [OPTIONS]",
        help="see how many layers to unfreeze, which model is best, whether more data would help",
        description="One of three comparisons on the same texts. --ladder: one checkpoint with more and more layers unfrozen. "
        "MODEL ...: fine-tuned models, and checkpoints to fine-tune with a frozen base, against TF-IDF and an LSTM (a race). "
        "--data-sizes: one model on more and more texts (a learning curve). Each leaves a table (.csv), a picture (.png) and "
        "report.html in the output folder.",
        epilog="Example: bert-tf compare --ladder --train reviews.csv --rungs baseline,layer_means,1,2 --output-dir runs/ladder",
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("models", nargs="*", default=[], metavar="MODEL", help="race: folders, or names on the hub")
    what.add_argument("--ladder", action="store_true", help="how many layers to unfreeze")
    sizes = "learning curve: numbers of training texts, as 100,300,1000,all"
    what.add_argument("--data-sizes", type=listed, metavar="SIZES", help=sizes)
    add_options(command, LADDER, RACE, CURVE, test=True)
    command.set_defaults(run=_compare)


def _compare(options) -> None:
    models, is_ladder, sizes = options.models, options.ladder, options.data_sizes
    kind = LADDER if is_ladder else CURVE if sizes else RACE
    for name in ("models", "ladder", "data_sizes"):
        delattr(options, name)
    if wrong := set(vars(options)) - {*NOT_OPTIONS} - {option.name for option in kind.options()}:
        flag = min(wrong).replace("_", "-")
        raise ValueError(f"--{flag} cannot be used with a {'learning curve' if kind is CURVE else kind.name}.")
    train, validation, test, settings = read(options, kind)
    from bert_tf.comparison import curve, ladder, race

    if kind is RACE:
        race.race(models, train, validation, test=test, **settings)
    elif kind is LADDER:
        ladder.ladder(train, validation, test=test, **settings)
    else:
        curve.curve(train, validation, test=test, sizes=sizes, **settings)
