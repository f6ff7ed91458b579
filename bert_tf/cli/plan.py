"""`bert-tf plan`."""

import sys

from bert_tf.cli.options import add_options, read
from bert_tf.settings import PLAN


def add_plan(commands) -> None:
    command = commands.add_parser(
        "plan",
        help="estimate the memory, disk space and time of a run",
        description="Estimates what finetune with the same options will need on this machine, from a probe of a few seconds.",
        epilog="Example: bert-tf plan --train reviews.csv --unfreeze 2 --epochs 10",
    )
    add_options(command, PLAN)
    command.set_defaults(run=_plan)


def _plan(options) -> None:
    train, validation, _, settings = read(options, PLAN)
    from bert_tf import hardware
    from bert_tf.data.examples import remarks_of
    from bert_tf.formatting import duration, megabytes
    from bert_tf.reporting.tables import table
    from bert_tf.training.plan import plan

    for remark in remarks_of(train, validation):
        print(remark, file=sys.stderr)
    estimate = plan(train, validation, **settings)
    rows = [
        ("texts, tokens", f"{estimate.texts:,}, {estimate.tokens:,} (longest text: {estimate.longest})"),
        ("parameters, trained", f"{estimate.parameters:,}, {estimate.trainable_parameters:,}"),
        ("precision, device", f"{estimate.precision}, {hardware.description()}"),
        ("weights, gradients, optimizer", megabytes(estimate.weights_bytes)),
        ("activations of a step, about", megabytes(estimate.activations_bytes)),
        ("features on disk", megabytes(estimate.cache_bytes) if settings.get("cache", True) else "none"),
        ("time for the features, once", duration(estimate.features_seconds)),
        ("time per epoch", duration(estimate.epoch_seconds)),
        ("time in all", duration(estimate.seconds)),
    ]
    print(table(("what", "how much"), rows))
