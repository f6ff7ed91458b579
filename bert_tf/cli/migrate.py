"""`bert-tf migrate`."""


def add_migrate(commands) -> None:
    command = commands.add_parser(
        "migrate",
        help="say what a script of transformers 4 needs to run with bert_tf",
        description="Reads scripts written for transformers 4 with TensorFlow. Lists each name and form of it with a verdict, and "
        "the imports as they have to be. Changes nothing without --write. Exits with 1 if something has to be changed by hand.",
        epilog="Example: bert-tf migrate train.py",
    )
    command.add_argument("scripts", nargs="+", metavar="SCRIPT", help="Python script")
    command.add_argument("--write", action="store_true", help="change the imports in the scripts")
    command.set_defaults(run=_migrate)


def _migrate(options) -> int:
    from bert_tf.migrate import script

    readings = [(file, script.read(file)) for file in options.scripts]
    for file, reading in readings:
        print(f"{reading}\n")
        if options.write and reading.after != reading.before:
            script.write(reading, file)
            print(f"Written: {file}\n")
    return 0 if all(reading.runs for _, reading in readings) else 1
