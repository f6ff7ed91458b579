"""What comparisons mean, worked out from plain numbers: how sure a difference is, what is worth its cost, in a sentence or two."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.scores import RESAMPLES, Estimate
from bert_tf.wording import shown

Row = Mapping[str, Any]


def accuracy(right: np.ndarray, seed: int = 0) -> Estimate:
    """Returns the mean accuracy over seeds, with a 95 % interval: other texts and other seeds might have given that.

    Args:  (S = seeds, M = texts)
        right: bool `(S, M)`, whether a seed's model has a text right.
    """
    return gain(right, np.zeros((1, right.shape[1]), bool), seed)


def gain(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Estimate:
    """Returns by how much one kind of model is more accurate than another, with a 95 % interval.

    By bootstrap of the texts, the same for both, and of each one's seeds (Efron & Tibshirani 1993, ch. 8). With few seeds their
    part is underestimated: of 3, by about a third.

    Args:  (S = seeds, M = texts)
        first, second: bool `(S, M)`, whether a seed's model has a text right; their S may differ, their texts may not.
        seed: int.
    """
    texts = first.shape[1]
    rng = np.random.default_rng(seed)
    draws = min(RESAMPLES, max(200, 2 * 10**7 // texts))
    weights = rng.multinomial(texts, np.full(texts, 1 / texts), draws) / texts  # (draws, M)

    def drawn(right: np.ndarray) -> np.ndarray:
        seeds = rng.multinomial(len(right), np.full(len(right), 1 / len(right)), draws) / len(right)  # (draws, S)
        return np.einsum("ds,sm,dm->d", seeds, right.astype("float64"), weights, optimize=True)

    low, high = np.percentile(drawn(first) - drawn(second), [2.5, 97.5])
    return {"value": float(first.mean() - second.mean()), "low": float(low), "high": float(high)}


def frontier(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Returns which are worth their cost, the cheapest first: nothing cheaper, or as cheap, is as good.

    >>> frontier([3.0, 1.0, 2.0], [0.9, 0.7, 0.6])
    [1, 0]
    """
    found: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i])):
        if not found or scores[i] > scores[found[-1]]:
            found.append(i)
    return found


def _sure(difference: Estimate) -> bool:
    return bool(difference["low"] > 0 or difference["high"] < 0)  # type: ignore[operator]


def _points(difference: Estimate) -> str:
    return shown(difference, "points").replace("+", "") + " points"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"


def of_ladder(rows: Sequence[Row], right: Mapping[str, np.ndarray]) -> list[str]:
    """Says what unfreezing gains and costs, which frozen head is better, and who passes the floor.

    Args:
        rows: with `rung`, `kind` ("floor", "frozen" or "unfrozen"), `accuracy` (an estimate), `seconds`, `best_epoch` and `epochs`.
        right: rung -> bool `(S, M)`.
    """

    def best(kind: str) -> Row | None:
        found = [row for row in rows if row["kind"] == kind]
        return max(found, key=lambda row: row["accuracy"]["value"], default=None)

    floor, frozen, unfrozen = best("floor"), best("frozen"), best("unfrozen")
    said: list[str] = []
    if frozen and unfrozen:
        difference = gain(right[unfrozen["rung"]], right[frozen["rung"]])
        name, against = unfrozen["rung"], frozen["rung"]
        cost = f"for {_times(unfrozen['seconds'] / frozen['seconds'])} times the time"
        if not _sure(difference):
            said.append(
                f"Undecided whether unfreezing pays: {name} has {shown(difference, 'points')} points against {against}, {cost}."
            )
        elif difference["value"] > 0:  # type: ignore[operator]
            said.append(f"Unfreezing pays: {name} gains {_points(difference)} over {against}, {cost}.")
        else:
            said.append(
                f"Unfreezing does not pay here: {name}, the best of it, has {shown(difference, 'points')} points against {against}."
            )
    if unfrozen:
        cheaper = [
            row
            for row in rows
            if row["seconds"] < unfrozen["seconds"] and not _sure(gain(right[unfrozen["rung"]], right[row["rung"]]))
        ]
        if cheaper:
            least = min(cheaper, key=lambda row: row["seconds"])
            saved = _times(unfrozen["seconds"] / least["seconds"])
            said.append(
                f"Not surely worse than {unfrozen['rung']}, and trained {saved} times as fast: {least['rung']}."
            )
    if frozen and unfrozen and unfrozen["best_epoch"] == unfrozen["epochs"]:
        said.append(
            f"The loss of {unfrozen['rung']} was lowest at its last epoch ({unfrozen['epochs']:g}): more epochs, or a larger learning "
            "rate, may change this."
        )
    if {"frozen, first token", "frozen, layer means"} <= set(right):
        difference = gain(right["frozen, layer means"], right["frozen, first token"])
        said.append(
            f"With a frozen base, the head over the means of every layer has {shown(difference, 'points')} points against the one "
            f"over the first token{'' if _sure(difference) else ', which may be chance'}."
        )
    others = [row for row in (frozen, unfrozen) if row]
    if floor and others:
        top = max(others, key=lambda row: row["accuracy"]["value"])
        difference = gain(right[top["rung"]], right[floor["rung"]])
        passes = "passes" if difference["low"] > 0 else "does not surely pass"  # type: ignore[operator]
        said.append(
            f"The best rung, {top['rung']}, {passes} the floor of counting words: {shown(difference, 'points')} points."
        )
    return said


def of_race(rows: Sequence[Row]) -> list[str]:
    """Says who is best, who may be as good, and who of these answers fastest.

    Args:
        rows: the best first, with `name`, `accuracy`, `latency` (seconds), and but for the first `difference` (an estimate, the
            best less this one) and `p_value`.
    """
    first, *others = rows
    as_good = [row for row in others if row["p_value"] >= 0.05 or not _sure(row["difference"])]
    said = [f"Best on these texts: {first['name']}, {shown(first['accuracy'], 'score')}."]
    if as_good:
        names = ", ".join(row["name"] for row in as_good)
        said.append(f"Not surely worse: {names}.")
        fastest = min([first, *as_good], key=lambda row: row["latency"])
        if fastest is not first:
            ratio = first["latency"] / fastest["latency"]
            said.append(
                f"Of these {fastest['name']} answers a single text fastest, in 1/{_times(ratio)} of the time of {first['name']}."
            )
    elif others:
        said.append("It is better than every other beyond chance.")
    return said


def of_curve(right: Mapping[int, np.ndarray], floor: Mapping[int, np.ndarray]) -> list[str]:
    """Says whether more texts would help, and where the floor is.

    Args:
        right, floor: texts learned from -> bool `(S, M)`, of the model and of the floor.
    """
    sizes = sorted(right)
    said: list[str] = []
    if len(sizes) > 1:
        last = sizes[-1]
        # About two doublings, where there are such sizes: of one alone the gain is often within chance.
        before = min(sizes[-2], *(size for size in sizes if size * 5 >= last))
        difference = gain(right[last], right[before])
        per_doubling = difference["value"] / np.log2(last / before)  # type: ignore[operator]
        step = f"from {before:,} to {last:,} texts accuracy changed by {shown(difference, 'points')} points"
        if difference["low"] > 0:  # type: ignore[operator]
            said.append(
                f"More data would help: {step}; another doubling may bring about {100 * per_doubling:.1f} more."
            )
        else:
            said.append(
                f"More data would not surely help: {step}, which may be chance. See to labels, or unfreeze layers, first."
            )
    passed = [size for size in sizes if gain(right[size], floor[size])["low"] > 0]  # type: ignore[operator]
    if passed:
        said.append(f"Counting words is passed beyond chance at {', '.join(f'{size:,}' for size in passed)} texts.")
    else:
        said.append("Counting words is passed beyond chance at none of these sizes.")
    return said
