"""`bert-tf plan`."""

from bert_tf.cli.options import Help, add_job, load_tensorflow, read_sources

# plan


def add_plan(commands) -> None:
    command = commands.add_parser(
        "plan",
        help="say what a run will need: memory, disk, time",
        description="Says what finetune with the same options will need on this machine, from a probe of a few seconds.",
        epilog="Example: bert-tf plan --train reviews.csv --unfreeze 2 --epochs 10",
        formatter_class=Help,
    )
    add_job(command)
    command.set_defaults(run=_plan)


def _plan(options) -> None:
    settings = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    train, validation = read_sources(settings)
    load_tensorflow()
    from bert_tf import formatting, hardware
    from bert_tf.reporting import tables
    from bert_tf.training.plan import plan

    found = plan(train, validation, **settings)
    rows = [
        ("texts, tokens", f"{found.texts:,}, {found.tokens:,} (the longest text {found.longest})"),
        ("parameters, trained", f"{found.parameters:,}, {found.trainable_parameters:,}"),
        ("computed in", f"{found.precision}, on {hardware.description()}"),
        ("weights, gradients, optimizer", formatting.megabytes(found.weights_bytes)),
        ("activations of a step, about", formatting.megabytes(found.activations_bytes)),
        ("features kept on disk", formatting.megabytes(found.cache_bytes) if options.cache else "none"),
        ("time for the features, once", formatting.duration(found.features_seconds)),
        ("time of an epoch", formatting.duration(found.epoch_seconds)),
        (f"time in all, {options.epochs} epochs", formatting.duration(found.seconds)),
    ]
    print(tables.table(("what", "how much"), rows))
