"""From a source to batches: examples, tokens, buckets, tf.data."""
