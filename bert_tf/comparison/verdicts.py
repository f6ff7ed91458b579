"""What the numbers of a comparison say, in sentences."""

from collections.abc import Mapping, Sequence

import numpy as np

from bert_tf.evaluation.paired import Row, gain, is_sure, points, times
from bert_tf.formatting import format_value


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
        cost = f"for {times(unfrozen['seconds'] / frozen['seconds'])} times the time"
        if not is_sure(difference):
            said.append(
                f"Undecided whether unfreezing pays: {name} has {format_value(difference, 'points')} points against {against}, {cost}."
            )
        elif difference["value"] > 0:  # type: ignore[operator]
            said.append(f"Unfreezing pays: {name} gains {points(difference)} over {against}, {cost}.")
        else:
            said.append(
                f"Unfreezing does not pay here: {name}, the best of it, has {format_value(difference, 'points')} points against {against}."
            )
    if unfrozen:
        cheaper = [
            row
            for row in rows
            if row["seconds"] < unfrozen["seconds"] and not is_sure(gain(right[unfrozen["rung"]], right[row["rung"]]))
        ]
        if cheaper:
            least = min(cheaper, key=lambda row: row["seconds"])
            saved = times(unfrozen["seconds"] / least["seconds"])
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
            f"With a frozen base, the head over the means of every layer has {format_value(difference, 'points')} points against the one "
            f"over the first token{'' if is_sure(difference) else ', which may be chance'}."
        )
    others = [row for row in (frozen, unfrozen) if row]
    if floor and others:
        top = max(others, key=lambda row: row["accuracy"]["value"])
        difference = gain(right[top["rung"]], right[floor["rung"]])
        passes = "passes" if difference["low"] > 0 else "does not surely pass"  # type: ignore[operator]
        said.append(
            f"The best rung, {top['rung']}, {passes} the floor of counting words: {format_value(difference, 'points')} points."
        )
    return said


def of_race(rows: Sequence[Row]) -> list[str]:
    """Says who is best, who may be as good, and who of these answers fastest.

    Args:
        rows: the best first, with `name`, `accuracy`, `latency` (seconds), and but for the first `difference` (an estimate, the
            best less this one) and `p_value`.
    """
    first, *others = rows
    as_good = [row for row in others if row["p_value"] >= 0.05 or not is_sure(row["difference"])]
    said = [f"Best on these texts: {first['name']}, {format_value(first['accuracy'], 'score')}."]
    if as_good:
        names = ", ".join(row["name"] for row in as_good)
        said.append(f"Not surely worse: {names}.")
        fastest = min([first, *as_good], key=lambda row: row["latency"])
        if fastest is not first:
            ratio = first["latency"] / fastest["latency"]
            said.append(
                f"Of these {fastest['name']} answers a single text fastest, in 1/{times(ratio)} of the time of {first['name']}."
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
        step = f"from {before:,} to {last:,} texts accuracy changed by {format_value(difference, 'points')} points"
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
