"""The bootstrap over texts (Efron & Tibshirani 1993): how often each text is drawn, for measures that are made of sums."""

import numpy as np

from bert_tf.evaluation.scores import RESAMPLES


def drawn_weights(texts: int, seed: int = 0) -> np.ndarray:
    """Returns how often each text is in each resample, float32 `(R, texts)`; R is `RESAMPLES`, or fewer for many texts.

    With the same seed and number of texts they are the same, which makes a comparison of two models a paired one.
    """
    draws = min(RESAMPLES, max(200, 2 * 10**7 // texts))
    return np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), draws).astype("float32")
