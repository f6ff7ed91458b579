"""`bert-tf plan`."""

import sys

from bert_tf import terminal
from bert_tf.cli.options import add_options, read
from bert_tf.settings import PLAN


def add_plan(commands) -> None:
    command = commands.add_parser(
        "plan",
        usage="bert-tf plan --train FILE [OPTIONS]",
        help="estimate the memory, disk space and time of a run",
        description="Estimates what finetune with the same options will need on this machine, from a probe of a few seconds.",
        epilog="Example: bert-tf plan --train reviews.csv --unfreeze 2 --epochs 10",
    )
    add_options(command, PLAN)
    command.set_defaults(run=_plan)


def _plan(options) -> None:
    train, validation, _, settings = read(options, PLAN)
    from bert_tf.data.examples import remarks_of
    from bert_tf.training.plan import plan

    for remark in remarks_of(train, validation):
        terminal.say(remark, sys.stderr)
    print(plan(train, validation, **settings))
