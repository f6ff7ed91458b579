"""`python -m bert_tf.cli`, the same as `bert-tf`."""

import sys

from bert_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
