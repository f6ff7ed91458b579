"""The facts of a run as sections: which numbers a report shows, in what order and in which words.

A section is a dict of `title` and `blocks`. A block is a dict with one of these keys:
    `text`: a paragraph. `verdict`: a sentence that matters.
    `figures`: dicts of `name`, `value`, `kind` (of `formatting.format_value`): the large numbers at the top.
    `table`: `columns`, dicts of `name` and `kind` ("text" = text from the data), `rows`, lists of values; `caption`.
    `plot`: see `bert_tf.reporting.figures`; its `title` is its caption.
    `confusion`: `label_names` and `counts`, rows are given labels.
    `code`: text to copy.
All of it is plain data: page.py makes HTML of it, card.py Markdown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bert_tf.evaluation.scores import is_better, is_better_at_rare_classes
from bert_tf.formatting import capital, format_value
from bert_tf.reporting.blocks import Block, Facts, Section, split
from bert_tf.reporting.blocks import columns as _columns
from bert_tf.reporting.blocks import table as _table
from bert_tf.reporting.calibration import calibration
from bert_tf.reporting.figures import EPOCHS, by_epoch, describe
from bert_tf.reporting.in_words import opening, terms
from bert_tf.reporting.sections_of_slices import of_slices
from bert_tf.reporting.sections_of_tasks import label_mistakes, labels, largest_errors, scatter
from bert_tf.tasks.task import Task, task_of

MOST_CLASSES = 15  # of a confusion matrix that fits on a page; with more, the most confused pairs are listed
MOST_SKIPPED = 100  # rows that were left out
PER = 10  # tokens, for which the histogram of lengths gives shares
MOST_COLUMNS = 6  # classes across a table; more go down it
DISCARDED = "Training the layers gave no better model than the first stage, which is kept. The following is about that training. "
CHOSEN_HERE = "Each label's threshold was chosen by these same texts too, and so was the baseline's."
WEIGHTED = (
    "In training some texts counted more than others, in the choice of the epoch and in the temperature too: probabilities are "
    "those of texts so weighted. The figures here are of the texts as they come, each counted once, as log loss and calibration "
    "show."
)


def sections(facts: Facts) -> list[Section]:
    """Puts facts into sections.

    Args:
        facts: plain dict, all keys optional:
            `title`, `subtitle`: str; `split`: what the texts are that are judged, "validation" if it is missing.
            `task`: str, what a text is given, a key of `bert_tf.tasks.task.TASKS`.
            `thresholds`: a sentence, where they were not chosen by the judged texts.
            `label_names`, `scores`, `confusion`, `classes`, `calibration`, `labels`: of `Task.evaluate`.
            `best_epoch`: int, the epoch that was kept, None = none; `last_kept`: whether it was kept for being the last;
                `history`: metric -> value of each epoch; `overfitting`: of `diagnostics.overfitting`.
            `baseline`: a dict of its `scores` (of `evaluate`), `comparison` (of `Task.compare`, the model first)
                and `texts`, the number it was trained on.
            `data`: dict of `splits`, dicts of `name`, perhaps `texts`, `labels` (label -> texts), `described` (words, where there are
                no labels) and `lengths` (of `diagnostics.lengths`);
                `duplicates` (of `diagnostics.duplicates`); `remarks`, what was guessed of the files, and `skipped`, the rows that
                were left out: sentences.
            `temperature`: float, what the logits were divided by already; `stages`: dicts of `stage`, the task's score (`val_accuracy`),
                `val_loss`, `seconds`; `resumed`: whether the run was;
                `test`: of `bert_tf.training.testing.measure`, on texts that nothing was chosen by.
            `distilled`: a dict of `teacher`, its name, and `rows`, a dict for the teacher and one for the student, of `model`,
                `layers`, the task's score (`val_accuracy`, perhaps `test_accuracy`), `parameters`, `size` (bytes), `latency` (seconds a text) and
                `texts_per_second`.
            `parameters`: `(part, parameters, trainable parameters)` of each part.
            `mistakes`: of `diagnostics.mistakes`; `mislabelled`: of `diagnostics.suspect_labels`; `label_mistakes`: of
                `multi_label.mistakes`; `scatter`, `largest_errors`: of the functions in `bert_tf.evaluation.regression`.
            `cost`: `(what, value, kind)` each: time and memory; `hints`: sentences.
            `sections`: more sections, shown before data, parameters and settings; those with `first`, true, before all others.
            `imbalance`: of `diagnostics.imbalance`; `weighted`: bool, whether texts counted differently in training.
            `settings`, `versions`: name -> value; `command`: str, which trains the same model again.
    Returns: the sections that there are facts for.
    """
    made = [{"title": title, "blocks": make(facts)} for title, make in MAKERS.items()]
    before = [*MAKERS].index("Data")
    own = sorted(map(dict, facts.get("sections", ())), key=lambda section: not section.get("first"))
    first = sum(bool(section.pop("first", False)) for section in own)
    every = [*own[:first], *made[:before], *own[first:], *made[before:]]
    shown = [section for section in every if section["blocks"]]
    explained = terms(str([*opening(facts), *shown]))
    return [*shown, {"title": "Terms", "blocks": explained}] if explained and facts.get("scores") else shown


def results(facts: Facts) -> list[Block]:
    scores = facts.get("scores")
    if not scores:
        return []
    task = _task(facts)
    figures = [
        {"name": one.words + (" (nats)" if one.key == "log_loss" else ""), "value": scores[one.key], "kind": one.kind}
        for one in (*task.measures, *task.figures)
    ]
    if imbalance := facts.get("imbalance"):
        figures.insert(
            1, {"name": f"always answering {imbalance['label']!r}", "value": imbalance["rate"], "kind": "score"}
        )
    if facts.get("calibration"):
        figures.append({"name": "calibration error", "value": facts["calibration"]["error"], "kind": "score"})
    if facts.get("baseline"):
        difference = facts["baseline"]["comparison"]["difference"]
        figures.append({"name": task.gain.words, "value": difference, "kind": task.gain.kind})
    words = f"Measured on {format_value(scores['texts'], 'count')} {split(facts)} texts. Brackets hold 95 % confidence intervals."
    if (epoch := facts.get("best_epoch")) and not facts.get("last_kept"):
        words += f" Epoch {epoch} was kept because it did best on these same texts, so expect slightly lower results on new ones."
    elif len(facts.get("stages") or ()) > 1:
        words += " The better stage was chosen by these same texts, so expect slightly lower results on new ones."
    if facts.get("labels"):
        words += " " + facts.get("thresholds", CHOSEN_HERE)
    if facts.get("weighted"):
        words += " " + WEIGHTED
    hints = [{"text": hint} for hint in facts.get("hints", ())]
    return [{"figures": figures}, {"text": words}, *hints]


def baseline(facts: Facts) -> list[Block]:
    simple = facts.get("baseline")
    if not simple:
        return []
    blocks: list[Block] = [{"verdict": simple["comparison"]["verdict"]}]
    if not is_better(simple["comparison"]) and not is_better_at_rare_classes(simple["comparison"]):
        counting = "characters" if simple.get("characters") else "words"
        blocks.append({"text": f"If counting {counting} does as well, prefer it: it is far cheaper to run."})
    counts = "words"
    if simple.get("characters"):
        counts = "runs of 1 to 4 characters, which its cross-validation preferred to words"
    caption = (
        f"The baseline counts {counts} (TF-IDF) and needs no neural network. It was trained on {format_value(simple['texts'], 'count')} "
        "of the training texts."
    )
    return [*blocks, _beside_baseline(caption, _task(facts), facts.get("scores"), simple["scores"])]


def _beside_baseline(caption: str, task: Task, scores: Facts | None, simple: Facts | None) -> Block:
    """Returns a table of the task's measures, a row for the model and one for the baseline, of those that there are."""
    rows: list[tuple[str, Facts | None]] = [("this model", scores), (task.baseline_name, simple)]
    columns = [*_columns(""), *({"name": one.words, "kind": one.kind} for one in task.measures)]
    cells = [[name, *(found[one.key] for one in task.measures)] for name, found in rows if found]
    return _table(caption, columns, cells)


def _task(facts: Facts) -> Task:
    return task_of(facts.get("task", "classification"))


def test(facts: Facts) -> list[Block]:
    measured = facts.get("test")
    if not measured:
        return []
    texts = format_value(measured["scores"]["texts"], "count")
    what = f"{texts} texts that nothing was chosen by, classified once at the end: the numbers to expect on new texts."
    if measured.get("leaked"):
        what = f"{texts} texts, some of which the model has learnt from: expect lower numbers on new texts."
    caption = f"{what} All others in this report are of the validation texts."
    compared = _beside_baseline(caption, _task(facts), measured["scores"], measured.get("baseline"))
    verdict: list[Block] = [{"verdict": measured["comparison"]["verdict"]}] if "comparison" in measured else []
    remarks: list[Block] = [{"text": remark} for remark in measured.get("remarks", ())]
    return [*verdict, *remarks, compared, *(block for one in of_slices(measured) for block in one["blocks"])]


def _stages(facts: Facts) -> list[Block]:
    """Returns the table of the stages, for a run that has them."""
    stages = facts.get("stages")
    if not stages:
        return []
    task = _task(facts)
    loss = next((one.words for one in task.measures if one.key == "log_loss"), "loss")
    since = "it was resumed" if facts.get("resumed") else "the start"
    caption = f"Each stage on the validation texts, after calibration; seconds since {since}. The one with the lower {loss} is kept."
    columns = [
        *_columns("stage"),
        {"name": task.score_words, "kind": task.measure.kind},
        {"name": loss, "kind": "score"},
    ]
    more = [one for one in task.measures if f"val_{one.key}" in stages[0] and one.key != task.score]
    columns[2:2] = [{"name": one.words, "kind": one.kind} for one in more]
    columns.append({"name": "after", "kind": "seconds"})
    keys = ("stage", f"val_{task.score}", *(f"val_{one.key}" for one in more), "val_loss", "seconds")
    rows = [[stage.get(key) for key in keys] for stage in stages]
    return [_table(caption, columns, rows)]


def distillation(facts: Facts) -> list[Block]:
    found = facts.get("distilled")
    if not found:
        return []
    (teacher, student), task = found["rows"], _task(facts)
    on = "test" if f"test_{task.score}" in student else "val"
    before, after = (row[f"{on}_{task.score}"] for row in (teacher, student))
    split = {"test": "test", "val": "validation"}[on]
    kept = (
        f"keeps {format_value(after / before, 'share') if before else '-'} of the teacher's {split} {task.score_words}"
    )
    if task.sign < 0:
        shown = " instead of the teacher's ".join(format_value(each, task.measure.kind) for each in (after, before))
        kept = f"has a {split} {task.score_words} of {shown},"
    speed = student["texts_per_second"] / teacher["texts_per_second"]
    verdict = f"The student {kept} at {speed:.2f} times its speed, {teacher['latency'] / student['latency']:.2f} times with a single text."
    kinds = {
        "layers": "count",
        f"val_{task.score}": task.measure.kind,
        f"test_{task.score}": task.measure.kind,
        "parameters": "count",
        "size": "bytes",
        "latency": "milliseconds",
        "texts_per_second": "count",
    }
    kinds = {name: kind for name, kind in kinds.items() if name in student}
    caption = (
        "Both timed in turn, from text to label. Latency: a single text, median. Size: the files of the model. "
        "The student's epoch was chosen by the validation texts."
    )
    rows = [[row["model"], *(row[name] for name in kinds)] for row in found["rows"]]
    return [{"verdict": verdict}, _table(caption, _columns("", **kinds), rows)]


def training(facts: Facts) -> list[Block]:
    fit = facts.get("overfitting")
    blocks: list[Block] = _stages(facts)
    if fit:
        discarded = facts.get("stages") and facts.get("best_epoch") is None
        blocks.append({"verdict": (DISCARDED if discarded else "") + fit["verdict"]})
    blocks += [{"plot": plot} for plot in curves(facts.get("history") or {}, facts.get("best_epoch"), _task(facts))]
    if fit:
        caption = (
            "Gap: validation loss minus training loss. A growing gap means overfitting. Training loss is averaged over the "
            "epoch, with dropout, so in early epochs it can be the higher of the two."
        )
        name = "lowest loss" if facts.get("best_epoch", 1) is None else "kept"
        rows = [[name, fit["best_epoch"], fit["gap_at_best"]], ["last", fit["epochs"], fit["gap_at_last"]]]
        if fit["best_epoch"] == fit["epochs"]:
            rows = [[f"{name}, the last", *rows[0][1:]]]
        blocks.append(_table(caption, _columns("", epoch="plain", gap="score"), rows))
    return blocks


def curves(
    history: Mapping[str, Sequence[float]], best_epoch: int | None, task: Task | None = None
) -> list[dict[str, Any]]:
    """Describes the plots of loss and score by epoch, the kept epoch marked; none for a metric without a finite value.

    Args:
        task: None = classification.
    """
    plots = []
    task = task or _task({})
    words_of = {"loss": "loss", task.score: task.score_words}
    for metric, axis in (("loss", task.loss_axis), (task.score, task.score_axis)):
        series = [
            by_epoch(name, history[key])
            for name, key in (("training", metric), ("validation", f"val_{metric}"))
            if any(math.isfinite(value) for value in history.get(key) or ())
        ]
        if series:
            ends = [[one["name"], *(format_value(one["y"][i], axis["kind"]) for i in (0, -1))] for one in series]
            words = "; ".join(f"{name} from {first} to {last}" for name, first, last in ends).capitalize()
            words += f", over {len(series[0]['x'])} epochs."
            marks = [{"x": best_epoch, "label": f"kept: epoch {best_epoch}"}] if best_epoch else []
            plots.append(describe(f"{capital(words_of[metric])} by epoch", words, EPOCHS, axis, series, marks=marks))
    return plots


def classes(facts: Facts) -> list[Block]:
    blocks: list[Block] = []
    names, confusion = facts.get("label_names") or [], facts.get("confusion")
    if confusion and len(names) <= MOST_CLASSES:
        blocks.append({"confusion": {"label_names": [*names], "counts": confusion}})
    elif confusion:
        pairs = [[names[i], names[j], n] for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j and n]
        pairs.sort(key=lambda pair: -pair[2])
        columns = _columns("given", predicted="text", texts="count")
        blocks.append(_table("Most frequently confused classes", columns, pairs[:20]))
    if facts.get("classes"):
        caption = (
            "Precision: of the texts predicted as this class, the share that belongs to it. Recall: of the texts that belong to "
            "this class, the share predicted as it."
        )
        columns = _columns("class", texts="count", precision="score", recall="score", F1="score")
        keys = ("label", "support", "precision", "recall", "f1")
        blocks.append(_table(caption, columns, [[row[key] for key in keys] for row in facts["classes"]]))
    return blocks


def mistakes(facts: Facts) -> list[Block]:
    if not facts.get("mistakes"):
        return []
    rows = [[m["text"], m["given"], m["predicted"], m["probability"]] for m in facts["mistakes"]]
    columns = _columns("text", given="text", predicted="text", probability="score")
    caption = f"{split(facts).capitalize()} texts that the model gets wrong, most confident first"
    return [_table(caption, columns, rows)]


def mislabelled(facts: Facts) -> list[Block]:
    labels = facts.get("mislabelled")
    if not labels:
        return []
    suspects, texts = labels["suspects"], labels["texts"]
    if not suspects:
        return [{"verdict": f"None found among {texts:,} training texts."}]
    words = (
        f"{suspects:,} of {texts:,} training texts ({format_value(suspects / texts, 'share')}) may have the wrong label, according to "
        "models that were not trained on them (confident learning). Check these first; some labels will turn out right."
    )
    rows = [[m["text"], m["given"], m["suggested"], m["probability"]] for m in labels["listed"]]
    columns = _columns("text", given="text", suggested="text", probability_of_given="score")
    return [{"text": words}, _table("Training texts, least likely label first", columns, rows)]


def data(facts: Facts) -> list[Block]:
    if not facts.get("data"):
        return []
    splits = facts["data"]["splits"]
    names = [*dict.fromkeys(name for split in splits for name in split["labels"])]
    if not names:
        rows = [[s["name"], s["texts"], s["described"]] for s in splits]
        columns = _columns("split", texts="count", numbers="text")
    elif len(names) <= MOST_COLUMNS:
        rows = [
            [s["name"], s.get("texts", sum(s["labels"].values())), *(s["labels"].get(name, 0) for name in names)]
            for s in splits
        ]
        columns = [*_columns("split", texts="count"), *({"name": name, "kind": "count"} for name in names)]
    else:
        rows = [[name, *(split["labels"].get(name, 0) for split in splits)] for name in names]
        columns = [*_columns("class"), *({"name": split["name"], "kind": "count"} for split in splits)]
    blocks = [_table("Texts per label", columns, rows)]
    measured = [(split["name"], split["lengths"]) for split in splits if split.get("lengths")]
    if measured:
        rows = [[n, s["median"], s["longest"], s["cut"], s["cut"] / max(s["texts"], 1)] for n, s in measured]
        columns = _columns("split", median="count", longest="count", texts_cut="count", share_cut="share")
        caption = f"Lengths in tokens. Longer texts are cut at {measured[0][1]['max_length']} tokens (--max-length)."
        blocks += [_table(caption, columns, rows), {"plot": _histogram(measured)}]
    if facts["data"].get("duplicates"):
        blocks += _duplicates(facts["data"]["duplicates"])
    blocks += [{"text": remark} for remark in facts["data"].get("remarks", ())]
    if skipped := facts["data"].get("skipped"):
        more = f" The first {MOST_SKIPPED} of {len(skipped):,}." if len(skipped) > MOST_SKIPPED else ""
        columns = [{"name": "row", "kind": "text"}]
        blocks.append(_table(f"Rows that were left out.{more}", columns, [[row] for row in skipped[:MOST_SKIPPED]]))
    return blocks


def _histogram(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    most = measured[0][1]["max_length"]
    series = []
    for name, one in measured:
        middles = [(a + b - 1) / 2 for a, b in zip(one["edges"], one["edges"][1:], strict=False)]
        step = one["edges"][1] - one["edges"][0]  # which differs between splits
        shares = [PER * count / step / max(one["texts"], 1) for count in one["counts"]]
        series.append({"name": name, "x": middles, "y": shares, "as_": "steps"})
    longest = max(split["longest"] for _, split in measured)
    words = f"Share of texts by number of tokens, for every {PER} tokens. The longest text has {longest:,}."
    end = max(one["edges"][-1] for _, one in measured)
    x = {"label": "tokens", "range": [0, max(end, 1)]}
    y = {"label": f"share of texts per {PER} tokens", "kind": "share", "from_zero": True}
    marks = [{"x": most, "label": f"cut at {most}"}] if most < longest else []
    return describe("Text lengths", words, x, y, series, marks=marks)


def _duplicates(repeats: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not any([*repeats["within"].values(), *repeats["across"].values()]):
        return [{"text": "No text occurs twice (ignoring case and spacing)."}]
    first = next(iter(repeats["within"]))
    rows = [[name, repeated, repeats["across"].get(name)] for name, repeated in repeats["within"].items()]
    columns = _columns("split", repeated="count")
    if repeats["across"]:
        columns.append({"name": f"also in {first}", "kind": "count"})
    rows = [row[: len(columns)] for row in rows]
    blocks = [_table("Texts that occur more than once (ignoring case and spacing)", columns, rows)]
    if leaked := sum(repeats["across"].values()):
        judged = ", ".join(name for name, count in repeats["across"].items() if count)
        seen = f"{leaked:,} {judged} texts also occur in the training data"
        blocks.append({"verdict": f"{seen}, so the scores are too optimistic."})
    if repeats["conflicting"]:
        words = (
            f"{repeats['conflicting']:,} texts occur with different labels. At least one label of each must be wrong."
        )
        rows = [[conflict["text"], ", ".join(conflict["labels"])] for conflict in repeats["conflicts"]]
        blocks.append({"verdict": words})
        if rows:  # a model card shows no texts
            blocks.append(_table("Same text, different labels", _columns("text", labels="text"), rows))
    return blocks


def parameters(facts: Facts) -> list[Block]:
    rows = [[*row] for row in facts.get("parameters") or ()]
    if not rows:
        return []
    rows.append(["total", sum(row[1] for row in rows), sum(row[2] for row in rows)])
    cells = [[name, count, trained, trained / count if count else None] for name, count, trained in rows]
    columns = _columns("part", parameters="count", trainable="count", share="share")
    return [_table("Which parts were trained, and which stayed frozen", columns, cells)]


def cost(facts: Facts) -> list[Block]:
    rows = [[what, format_value(value, kind)] for what, value, kind in facts.get("cost") or ()]
    return [_table("What the run took", _columns("resource", amount="plain"), rows)] if rows else []


def reproduce(facts: Facts) -> list[Block]:
    blocks: list[Block] = [{"code": facts["command"]}] if facts.get("command") else []
    for key, *names in (("settings", "setting", "value"), ("versions", "package", "version")):
        if facts.get(key):
            rows = [[name.replace("_", " "), value] for name, value in facts[key].items()]
            blocks.append(_table(key.capitalize(), _columns(names[0], **{names[1]: "plain"}), rows))
    return blocks


MAKERS: dict[str, Callable[[Facts], list[Block]]] = {  # the title of a section -> its blocks
    "Results": results,
    "Test": test,
    "Baseline": baseline,
    "Teacher and student": distillation,
    "Training": training,
    "Classes": classes,
    "Labels": labels,
    "Predicted against given": scatter,
    "Calibration": calibration,
    "Most confident mistakes": mistakes,
    "Wrong labels": label_mistakes,
    "Largest errors": largest_errors,
    "Possible label errors": mislabelled,
    "Data": data,
    "Parameters": parameters,
    "Time and memory": cost,
    "Reproduce this run": reproduce,
}
