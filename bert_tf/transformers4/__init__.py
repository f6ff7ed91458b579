"""What transformers 4 offered TensorFlow users besides its models, and transformers 5 dropped.

Same names, same arguments; each docstring says where it differs. The collator and `prepare_tf_dataset` are in data/rows.
"""

from bert_tf.transformers4 import logging as logging
