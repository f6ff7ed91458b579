"""An explanation on the terminal: the text with its words coloured or marked, and the words that mattered most."""

import numpy as np

from bert_tf.explanation.explain import Explanation
from bert_tf.formatting import printable
from bert_tf.reporting.tables import table

TOP = 8  # words in the table


LEVELS = (1 / 6, 1 / 3, 2 / 3)  # of the largest attribution: from where a word is marked once, twice, three times


# Backgrounds of xterm's 256 colours, pale to strong, under black letters; blue and orange, which colour-blind eyes tell apart.
FOR, AGAINST = (153, 111, 75), (223, 216, 208)


def render(explanation: Explanation, colour: bool) -> str:
    """Lays out an explanation as lines of text.

    Args:
        colour: bool, whether to mark words by colours, as escape sequences, or by signs: [+++] for, [---] against.
    Returns: str, without control characters of the text's own.
    """
    label = printable(explanation.label)
    chances = ", ".join(
        f"{printable(name)} {p:.1%}" for name, p in zip(explanation.label_names, explanation.probabilities, strict=True)
    )
    difference = explanation.log_odds - explanation.baseline_log_odds
    score = explanation.deletion.score
    return "\n".join([
        chances,
        "",
        _marked(explanation, colour),
        "",
        f"{_mark('for', 2, colour)} {label}   {_mark('against', -2, colour)} it",
        "",
        table(("word", "log-odds"), _top(explanation)),
        "",
        f"Log-odds of {label}: {explanation.log_odds:+.2f}, of a text without words {explanation.baseline_log_odds:+.2f}. The words sum to "
        f"the difference of {difference:+.2f} with an error of {explanation.completeness_error:.2%}.",
        f"With words left out in the order of their attributions, the log-odds lie on average {abs(score):.2f} {'below' if score > 0 else 'above'} those with random "
        "words left out.",
    ])  # fmt: skip


def _marked(explanation: Explanation, colour: bool) -> str:
    words, parts, end = explanation.words, [], 0
    most = np.abs(explanation.attributions).max() or 1.0
    for (start, stop), value in zip(words.spans[words.real].tolist(), explanation.attributions, strict=True):
        level = int(np.searchsorted(LEVELS, abs(value) / most, side="right") * np.sign(value))
        parts += [
            printable(words.text[end:start], keep="\n"),
            _mark(printable(words.text[start:stop], keep="\n"), level, colour),
        ]
        end = stop
    unread = printable(explanation.unread, keep="\n").strip()
    return "".join(parts) + (f" (not read: {unread})" if unread else "")


def _mark(word: str, level: int, colour: bool) -> str:
    """Marks a word `level` times: above 0 as one for the class, below 0 as one against it."""
    if level == 0:
        return word
    if colour:
        return f"\x1b[38;5;16;48;5;{(FOR if level > 0 else AGAINST)[abs(level) - 1]}m{word}\x1b[0m"
    return f"{word}[{('+' if level > 0 else '-') * abs(level)}]"


def _top(explanation: Explanation) -> list[tuple[str, str]]:
    names = explanation.words.real_names
    order = np.argsort(-np.abs(explanation.attributions), kind="stable")[:TOP]
    return [(printable(names[i]), f"{explanation.attributions[i]:+.2f}") for i in order]
