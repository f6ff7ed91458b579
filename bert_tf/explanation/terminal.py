"""An explanation on the terminal: the text with its words coloured or marked, and the most important words."""

import numpy as np

from bert_tf.explanation.explain import FIRST_PART, Explanation
from bert_tf.explanation.in_words import decided, reliable
from bert_tf.formatting import printable
from bert_tf.terminal import table

LEVELS = (1 / 6, 1 / 3, 2 / 3)  # shares of the largest score from which a word is marked once, twice, three times
# Backgrounds from xterm's 256 colours, pale to strong, under black text; colour-blind people can tell blue and orange apart.
FOR, AGAINST = (153, 111, 75), (223, 216, 208)


def render(explanation: Explanation, colour: bool) -> str:
    """Lays out an explanation as lines of text.

    Args:
        colour: bool, whether to mark words with colours (escape sequences) or with signs: [+++] for, [---] against.
    Returns: str; control characters in the text are replaced.
    """
    label = printable(explanation.label)
    chances = zip(explanation.label_names, explanation.probabilities, strict=True)
    difference = explanation.log_odds - explanation.baseline_log_odds
    score = explanation.deletion.score
    return "\n".join([
        ", ".join(f"{printable(name)} {p:.1%}" for name, p in chances),
        "",
        _marked(explanation, colour),
        "",
        f"{_mark('for', 2, colour)} {label}   {_mark('against', -2, colour)} it",
        "",
        table(("word", "log-odds"), [(printable(word), f"{value:+.2f}") for word, value in explanation.top()]),
        "",
        f"Log-odds of {label}: {explanation.log_odds:+.2f}; for a text without words: {explanation.baseline_log_odds:+.2f}. The word "
        f"scores add up to the difference, {difference:+.2f}, with an error of {explanation.completeness_error:.2%}.",
        f"Removing words, highest score first, leaves the log-odds on average {abs(score):.2f} {'below' if score > 0 else 'above'} "
        "those after removing random words.",
        printable(decided(explanation)),
        f"Can this be trusted? {reliable(explanation)}",
        *([FIRST_PART] if explanation.blended else []),
    ])  # fmt: skip


def _marked(explanation: Explanation, colour: bool) -> str:
    words, parts, end = explanation.words, [], 0
    most = np.abs(explanation.attributions).max() or 1.0
    for (start, stop), value in zip(words.spans[words.real].tolist(), explanation.attributions, strict=True):
        level = int(np.searchsorted(LEVELS, abs(value) / most, side="right") * np.sign(value))
        parts += [printable(words.text[end:start]), _mark(printable(words.text[start:stop]), level, colour)]
        end = stop
    unread = printable(explanation.unread).strip()
    return "".join(parts) + (f" (not read: {unread})" if unread else "")


def _mark(word: str, level: int, colour: bool) -> str:
    """Marks a word `level` times: for the class if above 0, against it if below."""
    if level == 0:
        return word
    if colour:
        return f"\x1b[38;5;16;48;5;{(FOR if level > 0 else AGAINST)[abs(level) - 1]}m{word}\x1b[0m"
    return f"{word}[{('+' if level > 0 else '-') * abs(level)}]"
