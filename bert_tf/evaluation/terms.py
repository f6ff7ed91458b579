"""What TF-IDF counts: words, or characters where words are not separated or say less.

Japanese, Chinese and Thai put no blanks between words, so that a sentence counts as one word; Finnish and Korean have more forms of
a word than a few hundred texts show. On 701 sentences of SIB-200 the accuracy by words and by characters is 0.26 and 0.74 in
Japanese, 0.49 and 0.69 in Finnish; on 2,000 English reviews it is 0.87 and 0.84.

scikit-learn is imported when it is needed: that takes a second or two.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bert_tf.formatting import Text

WORDS: dict[str, Any] = {
    "ngram_range": (1, 2),
    "token_pattern": r"\w+|[^\w\s]",  # punctuation and emoji too: better than words alone on two sets of reviews
}
CHARACTERS: dict[str, Any] = {"ngram_range": (1, 4), "analyzer": "char_wb"}
# Before the terms of a pair's second text. No term of a text begins so: words have no colon inside, other terms are shorter.
SECOND = {False: "2:", True: "second:"}
LONG = 12  # characters a blank from which words do not look separated; English has 6, Finnish 9, Thai 30, Chinese more
SOME_TEXTS = 0.1  # the share of texts without separated words from which characters are tried whatever that costs
LEAST_TEXTS = 100  # fewer say too little about which is better, if words are separated
CHEAP = 1_000_000  # characters, times columns of the model, up to which they are tried in any language: a second or two
COMPARED_UP_TO = 10_000  # texts; of more so many are drawn to compare
FEWER = 2_000

Judge = Callable[[Any, np.ndarray], tuple[float, Any]]


class Counted(NamedTuple):
    """The TF-IDF of N texts: sparse float32 `(N, terms)`, the fitted vectorizer, and whether terms are of characters."""

    rows: Any
    vectorizer: Any
    characters: bool


def choose_terms(texts: Sequence[Text], judge: Judge, columns: int = 1, seed: int = 0) -> tuple[Counted, Any]:
    """Returns the TF-IDF of words, punctuation and pairs of them, or of 1 to 4 characters, if that predicts held-out texts better.

    Characters are tried where words are not separated and where that is cheap. Of very many texts some are drawn to compare; if
    these cannot be judged, words are counted, or characters where words are not separated.

    Args:
        texts: str N, the training texts.
        judge: `(rows, places) -> (loss, choice)`, by cross-validation: TF-IDF of some texts, and which of all they are, int;
            the lowest loss, and what was chosen to have it, such as a strength.
        columns: int, how many columns the model has, for its cost.
        seed: int, of the texts that are compared, if there are very many.
    Returns: the TF-IDF, and its choice; None if there are more than `COMPARED_UP_TO` texts.
    Raises: ValueError if the texts have no term in common.
    """
    joined = [text if isinstance(text, str) else " ".join(text) for text in texts]
    unseparated = _lack_blanks(joined)
    cheap = len(texts) >= LEAST_TEXTS and sum(map(len, joined)) * columns <= CHEAP
    kinds = (False, True) if unseparated or cheap else (False,)
    if len(texts) <= COMPARED_UP_TO:
        choice, best = _better(kinds, texts, np.arange(len(texts)), judge)
        return best, choice
    if len(kinds) == 1:
        return counted(texts), None
    places = np.sort(np.random.default_rng(seed).permutation(len(texts))[:FEWER])
    try:
        _, best = _better(kinds, texts, places, judge)
    except ValueError:  # the drawn texts say nothing: a rare class, a group or the terms are missing in them
        return counted(texts, unseparated), None
    return counted(texts, best.characters), None


def _better(kinds: Sequence[bool], texts: Sequence[Text], places: np.ndarray, judge: Judge) -> tuple[Any, Counted]:
    """Returns the choice and the TF-IDF of the texts at `places`, by words or by characters, that has the lowest loss."""
    tried, problem = [], None
    for characters in kinds:
        try:
            some = counted([texts[i] for i in places], characters)
        except ValueError as error:  # no term in common: the other kind may have some
            problem = problem or error
        else:
            tried.append((*judge(some.rows, places), some))
    if problem and not tried:
        raise problem
    _, choice, best = min(tried, key=lambda one: one[0])
    return choice, best


def _lack_blanks(joined: Sequence[str]) -> bool:
    """Returns whether many texts do not separate words."""
    return len(joined) > 0 and bool(
        np.mean([len(text) > LONG * (text.count(" ") + 1) for text in joined]) >= SOME_TEXTS
    )


def counted(texts: Sequence[Text], characters: bool = False) -> Counted:
    """Returns the TF-IDF of texts by words or by characters.

    Words that one text has are left out if there are 1,000 texts or more; runs of characters that one text has, or all have,
    always. Counts enter by their logarithm.
    """
    pairs = len(texts) > 0 and not isinstance(texts[0], str)
    least: dict[str, int] = {"min_df": 2} if characters or len(texts) >= 1000 else {}
    fitted = vectorizer(pairs, characters, **least, **({"max_df": max(1, len(texts) - 1)} if characters else {}))
    return Counted(fitted.fit_transform(texts), fitted, characters)


def vectorizer(pairs: bool = False, characters: bool = False, **options: Any) -> Any:
    """Returns scikit-learn's vectorizer of the baseline; `options` are more of its arguments.

    Args:
        pairs: bool, whether it takes pairs of texts: terms of the second one are other terms than those of the first.
        characters: bool, whether terms are of characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    of_one = CHARACTERS if characters else WORDS
    common = {"sublinear_tf": True, "dtype": np.float32, **options}
    if not pairs:
        return TfidfVectorizer(**of_one, **common)
    terms = TfidfVectorizer(**of_one).build_analyzer()

    def of_both(pair: tuple[str, str]) -> list[str]:
        return [*terms(pair[0]), *(SECOND[characters] + term for term in terms(pair[1]))]

    return TfidfVectorizer(analyzer=of_both, **common)


def size_of_terms(vectorizer: Any) -> int:
    """Returns the bytes to store each term of a fitted vectorizer with its frequency."""
    return sum(len(term.encode()) + 5 for term in vectorizer.vocabulary_)
