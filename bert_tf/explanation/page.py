"""Explanations as one HTML file that needs nothing else: explain.html with the numbers inside."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.explanation.explain import Explanation
from bert_tf.files import write_text


def write_page(file: Path, explanations: Sequence[Explanation]) -> None:
    """Writes `page` to a file, whole or not at all."""
    write_text(file, page(explanations))


def page(explanations: Sequence[Explanation]) -> str:
    """Lays out explanations as an interactive page.

    It makes no request: its Content-Security-Policy forbids all of them, and any script or style but its own, by their
    hashes. Texts are inside as JSON that cannot end its element, and are shown as text alone.

    Args:
        explanations: of one model, one or more; with attentions.
    Returns: HTML; of a 60-word text and 72 heads about 400 kB.
    Raises: ValueError if there are none, or one has no attentions.
    """
    if not explanations:
        raise ValueError("A page needs one explanation or more. Received: none")
    template = files("bert_tf.explanation").joinpath("explain.html").read_text(encoding="utf-8")
    values = {"model": explanations[0].model_name, "texts": [_values(explanation) for explanation in explanations]}
    return template.replace("{{POLICY}}", _policy(template), 1).replace("{{DATA}}", _safe_json(values), 1)


def _policy(template: str) -> str:
    """Allows the page's own script and style, and nothing else."""
    allowed = {}
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
        allowed[tag] = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{allowed['script']}'; style-src 'sha256-{allowed['style']}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _safe_json(values: Any) -> str:
    """JSON in ASCII in which no markup can begin or end, wherever in a page it stands."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _values(explanation: Explanation) -> dict[str, Any]:
    """What the page's script reads of an explanation."""
    attentions = explanation.attentions
    if attentions is None:
        raise ValueError("The page shows attention: use explain(..., attentions=True).")
    words, deletion = explanation.words, explanation.deletion
    attributions: list[float | None] = [None] * len(words.names)
    for i, value in zip(np.flatnonzero(words.real), explanation.attributions, strict=True):
        attributions[i] = _rounded(value)
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
            {"name": name, "start": start, "end": end, "value": value}
            for name, (start, end), value in zip(words.names, words.spans.tolist(), attributions, strict=True)
        ],
        "deletion": {
            "shares": [_rounded(share) for share in deletion.shares],
            "ours": [_rounded(value) for value in deletion.log_odds],
            "mean": [_rounded(value) for value in deletion.random.mean(axis=0)],
            "low": [_rounded(value) for value in deletion.random.min(axis=0)],
            "high": [_rounded(value) for value in deletion.random.max(axis=0)],
            "score": _rounded(deletion.score),
        },
        "layers": attentions.shape[0],
        "heads": attentions.shape[1],
        # One byte each, of the square root: shares of 1 % are told from 1.2 %, where 1/255 would make them one.
        "attention": base64.b64encode(np.round(255 * np.sqrt(attentions)).astype("uint8").tobytes()).decode(),
    }


def _rounded(value: float) -> float:
    return round(float(value), 6)
