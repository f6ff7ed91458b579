"""`pipeline`, as in transformers 4: texts in, labels or features out. `bert_tf.predict` is the quicker way for many texts."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from bert_tf.checkpoints.families.table import positions
from bert_tf.models.auto import TFAutoModel, TFAutoModelForSequenceClassification
from bert_tf.transformers4.tokenizers import AutoTokenizer

BATCH_SIZE = 8


class Pipeline:
    """A tokenizer and a model: texts in, results out.

    Args:
        model: a model of bert_tf.
        tokenizer: its tokenizer.
        batch_size: int, texts that the model gets at once.
        framework, device, feature_extractor, modelcard, num_workers, torch_dtype, binary_output: ignored, as transformers 4
            allows them.
        **options: those of the call, for every call.
    Call arguments:
        inputs: a text, a list or generator of texts, or dicts with "text" and "text_pair".
        **options: those of the subclass; anything else goes to the tokenizer, such as `max_length=128`. Texts are cut to what
            the model takes unless `truncation=False`.
    """

    IGNORED = (
        "framework",
        "device",
        "feature_extractor",
        "modelcard",
        "num_workers",
        "torch_dtype",
        "binary_output",
        "task",
    )

    def __init__(self, model: Any, tokenizer: Any, batch_size: int = BATCH_SIZE, **options):
        self.model, self.tokenizer, self.batch_size, self.options = model, tokenizer, batch_size, options

    def __call__(self, inputs: Any, batch_size: int | None = None, **options) -> Any:
        options = {name: value for name, value in {**self.options, **options}.items() if name not in self.IGNORED}
        own = {name: options.pop(name) for name in inspect.signature(self.result).parameters if name in options}
        single = isinstance(inputs, (str, Mapping))
        rows = [inputs] if single else list(inputs)
        results: list = []
        size = batch_size or self.batch_size
        for start in range(0, len(rows), size):
            results += self._batch(rows[start : start + size], options, own)
        return self.shown(results, single, own)

    def _batch(self, rows: list, options: dict, own: dict) -> list:
        texts = [row["text"] if isinstance(row, Mapping) else row for row in rows]
        pairs = [row.get("text_pair") if isinstance(row, Mapping) else None for row in rows]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(
                'A pipeline takes texts, or dicts {"text": ..., "text_pair": ...} for pairs. '
                f"Received: {type(next(text for text in texts if not isinstance(text, str))).__name__}"
            )
        if None in pairs and any(pair is not None for pair in pairs):  # the tokenizer takes texts or pairs, not both
            return [result for row in rows for result in self._batch([row], options, own)]
        most = min(positions(self.model.config), self.tokenizer.model_max_length)
        options = {"padding": True, "truncation": True, "max_length": most, **options}
        inputs = dict(self.tokenizer(texts, None if None in pairs else pairs, return_tensors="np", **options))
        outputs = self.outputs(inputs)
        return [self.result(outputs, i, inputs["attention_mask"][i], **own) for i in range(len(rows))]

    def outputs(self, inputs: dict) -> Any:
        """Returns what the model gives for a batch."""
        return self.model(inputs, training=False)

    def result(self, outputs: Any, i: int, mask: np.ndarray) -> Any:
        """Returns the result for text `i` of a batch; `mask` is 1 at its real tokens."""
        raise NotImplementedError

    def shown(self, results: list, single: bool, options: dict) -> Any:
        """Returns what a call returns, from the result of each text."""
        return results[0] if single else results


class TextClassificationPipeline(Pipeline):
    """Classifies texts, as transformers 4's class of this name.

    Args: those of `Pipeline`; `model` is a classifier.
    Call arguments: those of `Pipeline`, and
        top_k: int, how many of the classes to return, the likeliest first; None = all.
        return_all_scores: bool, whether to return every class, in the model's order.
        function_to_apply: "softmax", "sigmoid" or "none"; None = by the model's `problem_type`.
    Returns: for each text `{"label": name, "score": float}`, or with `top_k` or `return_all_scores` a list of them. For one text
        a list of one result, as in transformers 4; with `top_k` just the result.

    >>> classify = pipeline("text-classification", model="minilm-sst2")  # doctest: +SKIP
    >>> classify("Lovely!")  # doctest: +SKIP
    [{'label': 'POSITIVE', 'score': 0.99}]
    """

    def result(self, outputs, i, mask, top_k="", return_all_scores=None, function_to_apply=None):
        scores = _scores(ops.convert_to_numpy(outputs.logits[i]), function_to_apply or _function(self.model))
        rows = [{"label": self.model.config.id2label[k], "score": float(score)} for k, score in enumerate(scores)]
        if top_k == "":
            return rows if return_all_scores else max(rows, key=lambda row: row["score"])
        return sorted(rows, key=lambda row: -row["score"])[:top_k]

    def shown(self, results, single, options):
        return results[0] if single and "top_k" in options else results


class FeatureExtractionPipeline(Pipeline):
    """Returns the last hidden states of texts, as transformers 4's class of this name.

    Args: those of `Pipeline`; `model` is one without a head, or a classifier, whose base is used.
    Call arguments: those of `Pipeline`, and
        return_tensors: bool, whether to return arrays instead of nested lists.
    Returns: for each text `(1, T, D)`, the states of its own T tokens.
    """

    def outputs(self, inputs):
        model = self.model.encoder if getattr(self.model, "head", None) else self.model
        return model(inputs, training=False)

    def result(self, outputs, i, mask, return_tensors=False):
        states = outputs.last_hidden_state if hasattr(outputs, "last_hidden_state") else outputs[0]
        states = ops.convert_to_numpy(states[i])[mask > 0][None]
        return states if return_tensors else states.tolist()


FUNCTIONS = {"softmax": ops.softmax, "sigmoid": ops.sigmoid, "none": ops.convert_to_numpy}


def _function(model: Any) -> str:
    if model.problem_type == "regression":
        # As in transformers 4: a config that does not say so but has one label is read as a yes or no.
        return "none" if model.config.problem_type == "regression" else "sigmoid"
    return "sigmoid" if model.problem_type == "multi_label_classification" else "softmax"


def _scores(logits: np.ndarray, function: str) -> np.ndarray:
    if function not in FUNCTIONS:
        raise ValueError(f"`function_to_apply` must be 'softmax', 'sigmoid' or 'none'. Received: {function!r}")
    return ops.convert_to_numpy(FUNCTIONS[function](logits))


TASKS: dict[str, tuple[type, Any, str]] = {
    "text-classification": (
        TextClassificationPipeline,
        TFAutoModelForSequenceClassification,
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    ),
    "feature-extraction": (FeatureExtractionPipeline, TFAutoModel, "distilbert/distilbert-base-cased"),
}
TASKS["sentiment-analysis"] = TASKS["text-classification"]


def pipeline(
    task: str | None = None, model: Any = None, config: Any = None, tokenizer: Any = None, **options
) -> Pipeline:
    """Makes a pipeline, as transformers 4's function of this name.

    Args:
        task: "text-classification" (or its other name "sentiment-analysis") or "feature-extraction"; None = classification.
        model: a model of bert_tf, a folder or a name on the hub; None = transformers' default for the task.
        config: a config for a model that is loaded.
        tokenizer: a tokenizer, a folder or a name; None = the model's.
        **options: those of `TextClassificationPipeline` or `FeatureExtractionPipeline`; `revision`, `token`, `model_kwargs` for
            loading.
    Raises: ValueError for another task.
    """
    if (task or "text-classification") not in TASKS:
        raise ValueError(
            f"bert_tf has no pipeline {task!r}, only {', '.join(map(repr, TASKS))}. With PyTorch installed, "
            "`from transformers import pipeline` has the others."
        )
    kind, auto, default = TASKS[task or "text-classification"]
    hub = {name: options.pop(name) for name in ("revision", "token", "use_auth_token", "cache_dir") if name in options}
    loading = {**hub, **options.pop("model_kwargs", {})}
    options = {name: value for name, value in options.items() if name not in ("use_fast", "trust_remote_code")}
    source = default if model is None else model
    if not callable(source):
        model = auto.from_pretrained(source, config=config, **loading)
    if tokenizer is None:
        tokenizer = source if not callable(source) else model.name_or_path
        if not tokenizer:
            raise ValueError(
                "A model that was not loaded from a checkpoint needs `tokenizer`: a tokenizer, a folder or a name."
            )
    if not callable(tokenizer):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer, **hub)
    return kind(model=model, tokenizer=tokenizer, **options)
