"""The command line: one file a command. `main` runs one: `from bert_tf.cli import main`."""

from bert_tf.cli.main import main

__all__ = ["main"]
