"""What frozen layers compute, kept on disk and reused."""

from bert_tf.features.extraction import Features, extract

__all__ = ["Features", "extract"]
