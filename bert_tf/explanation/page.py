"""Explanations as one interactive HTML file that loads nothing."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from bert_tf.explanation.explain import FIRST_PART, Explanation
from bert_tf.explanation.in_words import decided, reliable
from bert_tf.files import write_text
from bert_tf.reporting.page import data_uri
from bert_tf.reporting.templates import render

FOLDER = Path(__file__).parent  # holds explain.html, explain.css and explain.js


def write_page(file: Path, explanations: Sequence[Explanation]) -> None:
    """Writes `page` into a file, whole or not at all."""
    write_text(file, page(explanations))


def page(explanations: Sequence[Explanation]) -> str:
    """Lays out explanations as an interactive page.

    Its Content-Security-Policy forbids every request and, by hashes, all scripts and styles but its own. Texts are embedded as
    JSON that cannot end its element, and shown as text only.

    Args:
        explanations: one or more of the same model, with attentions.
    Returns: HTML, about 400 kB for a text of 60 words and a model of 72 heads.
    Raises: ValueError if there are none, or if one has no attentions.
    """
    if not explanations:
        raise ValueError("A page needs at least one explanation. Received: none")
    first = explanations[0]
    model = f"{first.model_name} \u00b7 {FIRST_PART}" if first.blended else first.model_name
    values = {"model": model, "texts": [_values(explanation) for explanation in explanations]}
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))  # ASCII
    # so that no markup can begin or end in it, wherever on a page it stands
    data = Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
    style, script = (Markup((FOLDER / f"explain.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    return render(FOLDER / "explain.html", title="Why the model said so", style=style, script=script, data=data)


def _values(explanation: Explanation) -> dict[str, Any]:
    """Returns what the page's script needs of an explanation."""
    attentions = explanation.attentions
    if attentions is None:
        raise ValueError("The page shows attention: call explain(..., attentions=True).")
    words = explanation.words
    scores = iter(explanation.attributions)
    return {
        "text": words.text,
        "end": words.end,
        "predicted": explanation.label_names[int(explanation.probabilities.argmax())],
        "label": explanation.label,
        "probabilities": list(zip(explanation.label_names, map(_rounded, explanation.probabilities), strict=True)),
        "logOdds": _rounded(explanation.log_odds),
        "baselineLogOdds": _rounded(explanation.baseline_log_odds),
        "error": min(_rounded(explanation.completeness_error), 1e9),
        "steps": explanation.steps,
        "units": [
            {"name": name, "start": start, "end": end, "value": _rounded(next(scores)) if real else None}
            for name, (start, end), real in zip(words.names, words.spans.tolist(), words.real, strict=True)
        ],
        "decided": decided(explanation),
        "reliable": reliable(explanation),
        "deletion": {"score": _rounded(explanation.deletion.score), **_picture(explanation)},
        "layers": attentions.shape[0],
        "heads": attentions.shape[1],
        # One byte each, of the square root: that keeps 1 % and 1.2 % apart, which 255 equal steps would not.
        "attention": base64.b64encode(np.round(255 * np.sqrt(attentions)).astype("uint8").tobytes()).decode(),
    }


def _picture(explanation: Explanation) -> dict[str, str]:
    """Returns the deletion curves as the address of a picture, and what it shows in words."""
    deletion, label = explanation.deletion, explanation.label
    lower = "lower" if deletion.score > 0 else "higher"
    description = f"Log-odds of {label} as words are removed: by score {abs(deletion.score):.2f} {lower} on average than at random."
    shares = deletion.shares.tolist()
    random = deletion.random
    band = {"y": random.mean(axis=0).tolist(), "low": random.min(axis=0).tolist(), "high": random.max(axis=0).tolist()}
    series = [
        {"name": "highest score first", "x": shares, "y": deletion.log_odds.tolist()},
        {"name": "in random order (with range)", "x": shares, **band, "as_": "band"},
    ]
    axes = {"x": {"label": "share of words removed"}, "y": {"label": f"log-odds of {label}"}}
    plot = {"title": "Removing words", "description": description, **axes, "series": series}
    return {"picture": data_uri(plot), "description": description}


def _rounded(value: float) -> float:
    return round(float(value), 6)
