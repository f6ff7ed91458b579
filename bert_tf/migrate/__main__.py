"""`python -m bert_tf.migrate SCRIPT`: the same as `bert-tf migrate SCRIPT`."""

import sys

from bert_tf.cli.main import main

sys.exit(main(["migrate", *sys.argv[1:]]))
