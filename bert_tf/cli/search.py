"""`bert-tf search`."""

from bert_tf.cli.next_steps import say_next_steps
from bert_tf.cli.options import add_options, read
from bert_tf.settings import SEARCH


def add_search(commands) -> None:
    command = commands.add_parser(
        "search",
        usage="bert-tf search --train FILE [OPTIONS]",
        help="find the learning rate, batch size and epochs that work best",
        description="Tries many settings on the same features and keeps the best trial's model. Leaves in the output folder: "
        "report.html, model/, trials.csv, best.json, search.png, tensorboard/, trials/.",
        epilog="Example: bert-tf search --train reviews.csv --max-trials 30 --epochs 20 --output-dir runs/search",
    )
    add_options(command, SEARCH, test=True)
    command.set_defaults(run=_search)


def _search(options) -> None:
    train, validation, test, settings = read(options, SEARCH)
    from bert_tf.tuning.search import search

    say_next_steps(search(train, validation, test=test, **settings))
