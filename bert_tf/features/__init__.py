"""Features: the output of frozen layers, computed once, cached and reused."""

from bert_tf.features.extraction import Features, extract

__all__ = ["Features", "extract"]
