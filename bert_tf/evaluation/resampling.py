"""Texts drawn again (the bootstrap, Efron & Tibshirani 1993) and held out in turn (cross-validation), where no classes decide."""

from typing import Any

import numpy as np

from bert_tf.evaluation.scores import RESAMPLES


def drawn_weights(texts: int, seed: int | np.random.Generator = 0) -> np.ndarray:
    """Returns how often each text is in each resample, float32 `(R, texts)`; R is `RESAMPLES`, or fewer for many texts.

    With the same seed and number of texts they are the same, which makes a comparison of two models a paired one.
    """
    draws = min(RESAMPLES, max(200, 2 * 10**7 // texts))
    return np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), draws).astype("float32")


def bootstrapped(texts: int) -> str:
    """Returns how a comparison by these resamples was tested, in words."""
    return f"paired bootstrap, {texts:,} texts"


def folds(texts: int, count: int, seed: int = 0, groups: Any = None) -> np.ndarray:
    """Returns the fold of each text, int `(texts,)` from 0 to `count` - 1, at random, all of about the same size.

    Args:
        groups: int `(texts,)`; texts of one group share a fold. None = each is its own.
    """
    own = np.arange(texts) if groups is None else np.unique(groups, return_inverse=True)[1]
    return (np.random.default_rng(seed).permutation(own.max(initial=-1) + 1) % count)[own]
