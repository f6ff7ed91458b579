"""What an explanation says in words: whether the text decided, and whether the scores of its words can be relied on."""

import math
from typing import Any

from bert_tf.formatting import format_value

COMPLETE = 0.05  # of what the words change in the log-odds, what their scores may miss


def decided(explanation: Any) -> str:
    """Says whether the words of the text decided, or the leaning that the model has without any."""
    leaning, words = explanation.baseline_log_odds, explanation.log_odds - explanation.baseline_log_odds
    without, with_them = (_chance(value) for value in (leaning, explanation.log_odds))
    label = repr(explanation.label)
    if abs(leaning) > abs(words):
        return (
            f"Most of this answer is the model's leaning, not this text: without any words it gives {label} {without}, with them "
            f"{with_them}."
        )
    return f"The words decide: without any the model gives {label} {without}, with them {with_them}."


def reliable(explanation: Any) -> str:
    """Says whether the scores of the words can be trusted."""
    error, score = explanation.completeness_error, explanation.deletion.score
    if error > COMPLETE:
        missed = "more than all" if error > 1 else format_value(error, "share")
        return f"Not quite: the scores miss {missed} of what the words change. More steps make them exact."
    if score <= 0:
        return "With care: removing the words with the highest scores changes the answer no more than removing random words."
    return (
        f"Yes, word by word: the scores add up (error {format_value(error, 'share')}), and removing the words with the highest scores "
        "changes the answer more than removing random words. They show what the model uses, not whether it is right."
    )


def _chance(log_odds: float) -> str:
    share = 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
    return format_value(share, "share")
