"""Why a classifier gave a text its label: which words count for and against a class, and where attention goes.

Attributions are integrated gradients (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365) of a class's log-odds with
respect to the word embeddings. The text and the baseline share `[CLS]`, `[SEP]` and positions, so only words differ along the
line between them, and the attributions of the words add up to the difference in log-odds.

The baseline has [PAD] in place of every word piece. Measured (30 reviews, MiniLM fine-tuned on 2,000): removing words in order
of their attributions lowers the log-odds by more than removing random words does: by 2.16 with [PAD] as baseline, 2.20 with
[UNK], 1.55 with [MASK] or zeros, 1.24 with the mean word. The model is also less certain about a text of only [PAD] (log-odds
1.8) than of [MASK] (4.0) or [UNK] (5.0), so less of the result depends on the baseline itself.
"""

import logging
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from bert_tf import hardware
from bert_tf.backends.backend import value_and_gradient
from bert_tf.data import gates
from bert_tf.data.tokenizer import Tokens, prefix_of, resolve_max_length
from bert_tf.explanation.integral import INTERVALS, NODES, Integral, integrate
from bert_tf.explanation.words import Words, read_words
from bert_tf.formatting import format_value
from bert_tf.inference.predict import cached_on_model, has_second_part, load_classifier, logits_of
from bert_tf.reporting.display import Displayed, shortened, table

log = logging.getLogger("bert_tf")
SHARES = 10  # points of a deletion curve after its start
RESAMPLES = 10_000  # of the bootstrap
TOP = 8  # words in a table
MOST_CHARACTERS = 2_000  # of a text in a notebook
FIRST_PART = "The model is blended with TF-IDF. Only its first part, the encoder with its head, is explained: `predict` gives other probabilities."


@dataclass(frozen=True, repr=False)
class Deletion(Displayed):
    """How a class's log-odds change as words are removed, those with the highest attributions first.

    Attributes:
        shares: float64 `(K,)`, of the words that are removed, from 0 to 1.
        log_odds: float64 `(K,)`, after removing words in order of their attributions.
        random: float64 `(R, K)`, after removing words in R random orders.
    """

    shares: np.ndarray
    log_odds: np.ndarray
    random: np.ndarray

    def _title(self) -> str:
        return f"Deletion(score {self.score:+.2f}, {len(self.random)} random orders)"

    @property
    def score(self) -> float:
        """The area between the mean random curve and the attribution curve, in log-odds (nats).

        Above 0: the words with the highest attributions matter more to the model than random ones.
        """
        gap = self.random.mean(axis=0) - self.log_odds
        return float(((gap[1:] + gap[:-1]) / 2 * np.diff(self.shares)).sum())


@dataclass(frozen=True, repr=False)
class Explanation(Displayed):
    """Why a classifier gave a text the probability of a class.  (W = words, U = W + special tokens)

    Attributes:
        words: `bert_tf.explanation.words.Words`: the words and their positions in the text.
        label_names: str, the classes; `probabilities`: float32, one each.
        target: int, the explained class.
        attributions: float64 `(W,)`, in log-odds (nats): above 0 counts for the class, below 0 against it.
        log_odds, baseline_log_odds: float, of the class for the text and for the baseline. The attributions add up to their
            difference.
        completeness_error: float, the share of that difference that the attributions miss.
        steps: int, number of gradients computed.
        deletion: `Deletion`, the test of the attributions.
        attentions: float32 `(layers, H, U, U)`, from each of `words.names` (rows, which sum to 1) to each; None unless
            requested.
        model_name: str, the folder or hub name of the model.
        blended: bool, whether the model has a second part, TF-IDF, which is not explained: probabilities and words are of the
            first, the encoder with its head.
    """

    words: Words
    label_names: tuple[str, ...]
    probabilities: np.ndarray
    target: int
    attributions: np.ndarray
    log_odds: float
    baseline_log_odds: float
    completeness_error: float
    steps: int
    deletion: Deletion
    attentions: np.ndarray | None
    model_name: str
    blended: bool = False

    @property
    def label(self) -> str:
        """The name of the explained class."""
        return self.label_names[self.target]

    def top(self, count: int = TOP) -> list[tuple[str, float]]:
        """Returns the words that matter most, for or against the class, with their attributions."""
        chosen = np.argsort(-np.abs(self.attributions), kind="stable")[:count]
        return [(self.words.real_names[i], float(self.attributions[i])) for i in chosen]

    def to_pandas(self) -> Any:
        """Returns a DataFrame with a row for each word: `word`, `start` and `end` in the text, `attribution`."""
        import pandas

        return pandas.DataFrame(self.as_dict()["words"], columns=["word", "start", "end", "attribution"])

    def _title(self) -> str:
        chance = format_value(float(self.probabilities[self.target]), "share")
        return f"Explanation of {shortened(self.label, 30)} ({chance}) for {shortened(self.words.text)!r}"

    def _blocks(self) -> list[dict[str, Any]]:
        text, real, most = self.words.text, self.words.real, np.abs(self.attributions).max(initial=0) or 1.0
        marked, at = [], 0
        for (start, end), value in zip(
            self.words.spans[real].tolist(), (self.attributions / most).tolist(), strict=True
        ):
            if end > MOST_CHARACTERS:
                break
            marked += [(text[at:start], 0.0), (text[start:end], value)]
            at = end
        marked.append((text[at : self.words.end] if at == self.words.end else " ...", 0.0))
        rows = [(shortened(word, 30), f"{value:+.2f}") for word, value in self.top()]
        said: list[dict[str, Any]] = [{"text": FIRST_PART}] if self.blended else []
        return [{"marked": marked}, table({"word": "text", "log-odds": "plain"}, rows), *said]

    @property
    def cls_attention(self) -> np.ndarray | None:
        """Attention from the first token, the only one that a first_token head reads, in each layer and head: `(layers, H, U)`."""
        return None if self.attentions is None else self.attentions[:, :, 0]

    @property
    def unread(self) -> str:
        """The end of the text, if it was too long for the model to read."""
        return self.words.text[self.words.end :]

    def as_dict(self) -> dict[str, Any]:
        """Returns everything except the attentions as plain types for JSON."""
        words = self.words
        found = zip(words.spans[words.real].tolist(), self.attributions.tolist(), strict=True)
        return {
            "text": words.text,
            "probabilities": dict(zip(self.label_names, map(float, self.probabilities), strict=True)),
            "target": self.label,
            **({"first_part_only": FIRST_PART} if self.blended else {}),
            "log_odds": self.log_odds,
            "baseline_log_odds": self.baseline_log_odds,
            "completeness_error": self.completeness_error if np.isfinite(self.completeness_error) else None,
            "steps": self.steps,
            "faithfulness": self.deletion.score,
            "words": [
                {"word": words.text[start:end], "start": start, "end": end, "attribution": value}
                for (start, end), value in found
            ],
        }


@dataclass(frozen=True, repr=False)
class Faithfulness(Displayed):
    """How much better than chance the attributions find the words that matter, over N texts.

    Attributes:
        scores: float64 `(N,)`, `Deletion.score` of each text, in log-odds (nats); 0 = no better than random words.
        mean: float.
        interval: two floats, the 95 % confidence interval of the mean, by a bootstrap over texts.
    """

    scores: np.ndarray
    mean: float
    interval: tuple[float, float]

    def _title(self) -> str:
        low, high = self.interval
        return f"Faithfulness({len(self.scores):,} texts: {self.mean:+.2f} [{low:.2f}, {high:.2f}])"


def explain(
    model: Any,
    text: str,
    tokenizer: Any = None,
    *,
    target: str | int | None = None,
    baseline: str | None = None,
    tolerance: float = 0.01,
    max_steps: int = 512,
    random_orders: int = 10,
    attentions: bool = True,
    max_length: int | None = None,
    seed: int = 0,
) -> Explanation:
    """Finds which words of a text count for and against a class, tests that, and returns the attention.

    What is explained is the class's log-odds, log(p / (1 - p)): with two classes the difference
    of the logits, with more the logit minus the log-sum-exp of the others; for a multi-label
    model the label's own logit.

    Args:
        model: a classifier of `bert_tf`, or the folder or hub name of one. Prefer float32: the
            rounding of bfloat16 adds to the completeness error.
        text: str.
        tokenizer: the model's; None = the one in the model's folder.
        target: name or index of the class to explain; None = the predicted one.
        baseline: str, the token that stands for "no word"; None = the tokenizer's padding
            token.
        tolerance: float, the largest acceptable completeness error.
        max_steps: int, the most gradients to compute; a warning says if the error is still
            larger then.
        random_orders: int, how many the deletion curve is compared with.
        attentions: bool, whether to return them.
        max_length: int, tokens; longer texts are cut; None = the tokenizer's limit.
        seed: int, for the random orders.
    Returns: `Explanation`.
    Raises: TypeError if `text` is not a string; ValueError for a text without words, an unknown
        class or token, or an option out of range.

    >>> explanation = explain("runs/reviews/model", "Broke after a day.")
    >>> list(zip(explanation.words.real_names, explanation.attributions))
    """
    if not isinstance(text, str):
        raise TypeError(f"`text` must be one text, a string. Received: {type(text).__name__}")
    if not gates.well_formed(text):
        raise ValueError("`text` has half a character (a lone surrogate). Correct it.")
    if tolerance <= 0:
        raise ValueError(f"`tolerance` must be above 0. Received: tolerance={tolerance}")
    for name, value, least in (("max_steps", max_steps, INTERVALS * NODES), ("random_orders", random_orders, 1)):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}")
    blended, named = has_second_part(model), isinstance(model, (str, os.PathLike))
    if blended and named:  # a model in memory is that part, and the explanation says what it came from
        log.warning("%s: %s", model, FIRST_PART)
    model, tokenizer = load_classifier(model, tokenizer)
    if model.problem_type == "regression":
        raise ValueError("A regression model has no classes whose log-odds could be explained.")
    max_length = resolve_max_length(max_length, model.config, "the model", tokenizer.model_max_length)
    if getattr(model.config, "text_pairs", False):
        raise ValueError(
            "The model was trained on pairs of texts, which cannot be explained yet; `predict` classifies them."
        )
    input_ids, words = read_words(text, tokenizer, max_length, prefix_of(model.config))
    baseline_ids = np.where(words.real[words.of_token], _token_id(tokenizer, baseline), input_ids).astype("int32")
    squash = ops.sigmoid if model.problem_type == "multi_label_classification" else ops.softmax
    logits = logits_of(model, Tokens(input_ids, np.array([len(input_ids)])), engine="keras")
    target = int(logits[0].argmax()) if target is None else _class(target, model.label_names)
    integral = _attribute(model, input_ids, baseline_ids, target, tolerance, max_steps)
    attributions = words.sum(integral.attributions)
    if integral.error > tolerance:
        advice = f" The model computes in {model.compute_dtype}; float32 is more precise."
        advice = "" if model.compute_dtype == "float32" else advice
        missed = "After %s steps, the attributions still miss %.1f %% of the difference they should add up to.%s"
        log.warning(missed, integral.steps, 100 * integral.error, advice)
    return Explanation(
        words=words,
        label_names=model.label_names,
        probabilities=ops.convert_to_numpy(squash(logits))[0],
        target=target,
        attributions=attributions,
        log_odds=integral.end,
        baseline_log_odds=integral.start,
        completeness_error=integral.error,
        steps=integral.steps,
        deletion=_delete(model, input_ids, words, attributions, target, random_orders, seed),
        attentions=words.attention(_attentions(model, input_ids)) if attentions else None,
        model_name=str(model.name_or_path),
        blended=blended,
    )


def faithfulness(model: Any, texts: Sequence[str], tokenizer: Any = None, *, seed: int = 0, **options) -> Faithfulness:
    """Measures over many texts whether the words that `explain` scores highest matter more than random ones.

    Words are removed, highest score for the predicted class first, and the drop in its log-odds is compared with that in random
    orders (the deletion test, Samek et al. 2017, https://arxiv.org/abs/1509.06321).

    Args:
        model, tokenizer: as for `explain`.
        texts: str, at least two.
        seed: int, for the random orders and the bootstrap.
        **options: other arguments of `explain`.
    Returns: `Faithfulness`.
    Raises: TypeError if `texts` are not strings; ValueError for fewer than two texts; and as `explain`.
    """
    every: list[Any] = list(gates.each_text(texts))
    if len(every) < 2:
        raise ValueError(f"A confidence interval needs at least two texts. Received: {len(every)}")
    if has_second_part(model):
        log.warning("%s: %s", model if isinstance(model, (str, os.PathLike)) else model.name_or_path, FIRST_PART)
    model, tokenizer = load_classifier(model, tokenizer)
    options = {"attentions": False, **options}
    explanations = (explain(model, text, tokenizer, seed=seed + i, **options) for i, text in enumerate(every))
    scores = np.array([explanation.deletion.score for explanation in explanations])
    chosen = np.random.default_rng(seed).integers(len(scores), size=(RESAMPLES, len(scores)))
    low, high = np.percentile(scores[chosen].mean(axis=1), [2.5, 97.5])
    return Faithfulness(scores, float(scores.mean()), (float(low), float(high)))


def log_odds(logits, target, multi_label: bool):
    """Returns a class's log-odds.

    Args:
        logits: float32 `(B, num_labels)`; target: int, the class.
        multi_label: bool, whether labels are independent of each other.
    Returns: float32 `(B,)`.
    """
    logits = ops.convert_to_tensor(logits)
    chosen = ops.one_hot(target, logits.shape[-1], dtype="float32")
    own = ops.sum(logits * chosen, axis=-1)
    return own if multi_label else own - ops.logsumexp(logits - 1e9 * chosen, axis=-1)


def _class(target: str | int, label_names: tuple[str, ...]) -> int:
    if isinstance(target, str) and target in label_names:
        return label_names.index(target)
    if hasattr(target, "__index__") and operator.index(target) in range(len(label_names)):
        return operator.index(target)
    raise ValueError(f"`target` must be one of the classes {', '.join(label_names)}. Received: target={target!r}")


def _token_id(tokenizer: Any, baseline: str | None) -> int:
    token = tokenizer.pad_token if baseline is None else baseline
    if token not in tokenizer.get_vocab():
        raise ValueError(
            "`baseline` must be a token of the vocabulary, such as [MASK]; its default is the tokenizer's padding "
            f"token. Received: baseline={baseline!r}, pad_token={tokenizer.pad_token!r}"
        )
    return tokenizer.convert_tokens_to_ids(token)


def _attribute(model, input_ids, baseline_ids, target: int, tolerance: float, max_steps: int) -> Integral:
    """Integrates the gradient of a class's log-odds over the word embeddings; attributions of tokens, `(T,)`."""
    multi_label = model.problem_type == "multi_label_classification"

    def odds(inputs_embeds, attention_mask, chosen):
        extras = {"output_attentions": False, "output_hidden_states": False, "return_dict": True, "training": False}
        output = model(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **extras)
        return log_odds(output.logits, chosen, multi_label)

    run = cached_on_model(model, "_explains", lambda: value_and_gradient(odds))
    table = model.get_input_embeddings().embeddings
    start, end = (ops.convert_to_numpy(ops.take(table, ids, axis=0)) for ids in (baseline_ids, input_ids))
    difference = end - start
    most = max(hardware.token_budget() // len(input_ids), 1)

    def along(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal most
        values, parts, i = [], [], 0
        while i < len(positions):
            points = (start + positions[i : i + most, None, None] * difference).astype("float32")
            try:
                value, gradient = run(points, np.ones(points.shape[:2], "int32"), np.int32(target))
            except Exception as error:
                if not hardware.is_out_of_memory(error) or most == 1:
                    raise
                most //= 2
                continue
            values.append(value)
            parts.append((gradient * difference).sum(axis=-1))
            i += len(points)
        return np.concatenate(values), np.concatenate(parts)

    return integrate(along, tolerance, max_steps)


def _delete(model, input_ids, words: Words, attributions, target: int, random_orders: int, seed: int) -> Deletion:
    """Removes words in order of their attributions and in random orders."""
    count = len(attributions)
    random = np.random.default_rng(seed)
    orders = [np.argsort(-attributions, kind="stable"), *(random.permutation(count) for _ in range(random_orders))]
    counts = np.unique(np.round(np.linspace(0, count, SHARES + 1)).astype(int))
    ranks = np.full((len(orders), len(words.names)), count)  # special tokens come last: they are never removed
    ranks[:, words.real] = np.argsort(orders, axis=1)
    stays = ranks[:, None, words.of_token] >= counts[:, None]  # (orders, K, T)
    # all orders start and end with the same texts
    stays, which = np.unique(stays.reshape(-1, len(input_ids)), axis=0, return_inverse=True)
    tokens = Tokens(np.tile(input_ids, len(stays))[stays.ravel()], np.cumsum(stays.sum(axis=1)))
    logits = ops.convert_to_tensor(logits_of(model, tokens, engine="keras"))
    odds = log_odds(logits, target, model.problem_type == "multi_label_classification")
    curves = ops.convert_to_numpy(odds).astype("float64")[which.ravel()].reshape(len(orders), len(counts))
    return Deletion(counts / count, curves[0], curves[1:])


def _attentions(model, input_ids: np.ndarray) -> np.ndarray:
    """Returns attention between all tokens, float32 `(layers, H, T, T)`."""
    output = model(input_ids=input_ids[None], return_dict=True, training=False, output_attentions=True)
    return np.stack([ops.convert_to_numpy(layer)[0] for layer in output.attentions])
