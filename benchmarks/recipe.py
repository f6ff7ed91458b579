"""What each addition to the default recipe gains against doing without, on validation texts.

    python benchmarks/recipe.py --set demo=demo,232 --set app=train.csv,800,2000 --seeds 0,1

A set is NAME=TRAIN,HELD[,TEXTS]: HELD validation texts and TEXTS training texts are drawn from the file, the same for all. Each
variant starts from a solved head and is measured after the last epoch: accuracy, and log loss at the best temperature.
Prints JSON and, with --output, writes it after every run; a run that is in that file already is not repeated.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from common import Results

from bert_tf.data.readers import read_examples
from bert_tf.data.tokenizer import Tokens, join, tokenize
from bert_tf.models import layer_means as head_over_means
from bert_tf.models.keras_internals import set_untracked
from bert_tf.settings import FINETUNE
from bert_tf.training import solver, stages
from bert_tf.training.job import Job, prepare
from bert_tf.training.optimizer import compile_model

SPLIT_SEED = 1234  # of the texts that are drawn
DECAY = 0.8  # of the learning rate, from each layer to the one below
EMA_STEPS = 30  # over which weights are averaged, about an epoch of a small set
LORA_RANK, LORA_LEARNING_RATE = 8, 1e-3
SHORT = 128  # tokens


# Variants of training: each changes a compiled model, and may return callbacks.


def _plain(job: Job) -> list:
    return []


def _scaled(model, scale_of: Callable[[int | None], Any]) -> None:
    """Multiplies the learning rate of each layer's variables by `scale_of(layer)`; None stands for the head."""
    layers = {id(v): i for i, layer in enumerate(model.encoder.blocks.layer) for v in layer.trainable_variables}
    scales = [scale_of(layers.get(id(v))) for v in model.trainable_variables]
    update, optimizer = model.optimizer.update_step, model.optimizer

    def update_step(gradient, variable, learning_rate):
        update(gradient, variable, learning_rate * scales[optimizer._get_variable_index(variable)])

    set_untracked(optimizer, "update_step", update_step)


def _layer_decay(job: Job) -> list:
    layers = len(job.model.encoder.blocks.layer)
    _scaled(job.model, lambda layer: 1.0 if layer is None else DECAY ** (layers - layer))
    return []


def _gradual(job: Job) -> list:
    """Trains the top third of the layers in the first epoch, two thirds in the second, all in the third."""
    layers = len(job.model.encoder.blocks.layer)
    on = [keras.Variable(0.0, trainable=False) for _ in range(layers)]
    _scaled(job.model, lambda layer: 1.0 if layer is None else on[layer])

    def begin(epoch: int, logs: Any) -> None:
        for layer, switch in enumerate(on):
            switch.assign(float(layer >= layers - layers * (epoch + 1) // 3))

    return [keras.callbacks.LambdaCallback(on_epoch_begin=begin)]


def _averaged(job: Job) -> list:
    optimizer = job.model.optimizer
    optimizer.use_ema, optimizer.ema_momentum, optimizer.ema_overwrite_frequency = True, 1 - 1 / EMA_STEPS, None
    return []


def _every_layer(job: Job) -> list:
    """Starts from the head over the means of every layer, that of the first stage."""
    stages.give_head(job.model, _solved(job, _rows(job)))
    return []


def _last_layer(job: Job) -> list:
    """A head that goes on seeing the mean of the last layer alone."""
    model, width = job.model, job.model.encoder.hidden_size
    mask = np.zeros(model.classifier.kernel.shape)
    mask[-width:] = 1
    update, optimizer = model.optimizer.update_step, model.optimizer
    (place,) = [i for i, v in enumerate(model.trainable_variables) if v is model.classifier.kernel]

    def update_step(gradient, variable, learning_rate):
        kept = gradient * mask if optimizer._get_variable_index(variable) == place else gradient
        update(kept, variable, learning_rate)

    set_untracked(optimizer, "update_step", update_step)
    return []


def _through_last(job: Job) -> list:
    """A head over the means of every layer, through which only the last layer is trained."""
    _every_layer(job)
    width, means = job.model.encoder.hidden_size, head_over_means.layer_means

    def stopped(hidden_states, attention_mask):
        every = means(hidden_states, attention_mask)
        return keras.ops.concatenate([keras.ops.stop_gradient(every[:, :-width]), every[:, -width:]], axis=-1)

    head_over_means.layer_means = stopped
    return []


def _lora(job: Job) -> list:
    for layer in job.model.encoder.blocks.layer:
        for part in (layer.feed_forward, layer.attention_norm, layer.feed_forward_norm):
            part.trainable = False
        layer.attention.key.trainable = layer.attention.dense.trainable = False
        layer.attention.query.enable_lora(LORA_RANK)
        layer.attention.value.enable_lora(LORA_RANK)
    compile_model(job.model, job.settings.replace(learning_rate=LORA_LEARNING_RATE).training, len(job.train))
    return []


TRAINED: dict[str, Callable[[Job], list]] = {
    "default": _plain,
    "layer-wise decay": _layer_decay,
    "gradual unfreezing": _gradual,
    "averaged weights": _averaged,
    "from a head over every layer": _every_layer,
    "mean of the last layer": _last_layer,
    "through the last layer": _through_last,
    "LoRA": _lora,
    "word table too": _plain,
    "peak 2e-4": _plain,
    "peak 5e-5": _plain,
    "batches of 32": _plain,
    "batches of 8": _plain,
    "5 epochs": _plain,
    "1 epoch": _plain,
    "2 epochs of the top 3 layers": _plain,
}


def _train(job: Job, variant: str) -> dict[str, float]:
    model, training = job.model, job.settings.training
    rows = _rows(job)
    found = {"stage 1": _measured(job, stages.solve_head(job, rows)[1])}
    stages.give_head(model, stages.starting_head(job, rows))
    compile_model(model, training, len(job.train))
    callbacks, inputs = TRAINED[variant](job), job.inputs(model, False, _quiet)
    started, batch_size = time.monotonic(), training.batch_size
    options = {"first_epoch": 0, "micro_batches": 1, "validate": False, "epochs": training.epochs, "verbose": 0}
    job.fit(model, inputs, batch_size, training.seed, callbacks=callbacks, **options)
    seconds = round(time.monotonic() - started, 1)
    return {**_measured(job, job.logits(model, inputs, batch_size)), "seconds": seconds, **found}


# Variants of the first stage, which take no training.


def _rows(job: Job) -> np.ndarray:
    """Standardised features of the training texts, then of the validation texts."""
    return stages.standardised_rows(job, False, _quiet)


def _solved(job: Job, rows: np.ndarray) -> solver.SolvedHead:
    return solver.solve(rows[: len(job.train)], job.train.labels, job.model.num_labels, job.settings.training.seed)


def _head_and_tail(job: Job) -> dict[str, float]:
    """Long texts as their first and last halves of `SHORT` tokens, instead of their first `SHORT`."""
    texts = [*job.train.texts, *job.validation.texts]
    whole = tokenize(texts, job.tokenizer, 10**6)
    half = SHORT // 2
    cut = [
        ids if len(ids) <= SHORT else np.concatenate([ids[:half], ids[-half:]])
        for ids in map(whole.__getitem__, range(len(whole)))
    ]
    job.__dict__["tokens"] = join(*(Tokens(ids, np.array([len(ids)])) for ids in cut))
    return _stage_1(job)


def _stage_1(job: Job) -> dict[str, float]:
    rows = _rows(job)
    head = _solved(job, rows)
    return _measured(job, rows[len(job.train) :] @ head.kernel + head.bias)


def _balanced(job: Job) -> dict[str, float]:
    """Texts of rare classes count more; then the prior is wrong, so the loss is that at the best temperature all the same."""
    from sklearn.linear_model import LogisticRegression

    rows, size = _rows(job), len(job.train)
    strength = _solved(job, rows).strength
    model = LogisticRegression(C=strength, max_iter=300, class_weight="balanced").fit(rows[:size], job.train.labels)
    scores = model.decision_function(rows[size:])
    return _measured(job, np.stack([-scores, scores], axis=1) / 2 if scores.ndim == 1 else scores)


# Settings that a variant changes.
CHOSEN: dict[str, dict[str, Any]] = {
    "word table too": {"unfreeze": "all"},
    "peak 2e-4": {"learning_rate": 2e-4},
    "peak 5e-5": {"learning_rate": 5e-5},
    "batches of 32": {"batch_size": 32},
    "batches of 8": {"batch_size": 8},
    "5 epochs": {"epochs": 5},
    "1 epoch": {"epochs": 1},
    "2 epochs of the top 3 layers": {"epochs": 2, "unfreeze": 3},
    "stage 1 at 128 tokens": {"max_length": SHORT},
    "stage 1 at 64 + 64 tokens": {"max_length": SHORT},
}

FIRST_STAGE: dict[str, Callable[[Job], dict[str, float]]] = {
    "stage 1 at 128 tokens": _stage_1,
    "stage 1 at 64 + 64 tokens": _head_and_tail,
    "stage 1 at 256 tokens": _stage_1,
    "stage 1 with balanced classes": _balanced,
}


def _measured(job: Job, logits: np.ndarray) -> dict[str, float]:
    task, labels = job.task, job.validation.labels
    calibrated = logits / task.temperature(labels, logits)
    stage = stages.Stage("", task, calibrated, labels, 0.0)
    return {"accuracy": stage.score, "calibrated_loss": stage.loss, **task.beside(labels, logits)}


def _quiet(text: str) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=TRAIN,HELD[,TEXTS]", dest="sets")
    parser.add_argument("--variants", default=",".join([*TRAINED, *FIRST_STAGE]), metavar="NAMES")
    parser.add_argument("--seeds", default="0", metavar="SEEDS")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="JSON that is written after every run and resumed from"
    )
    options = parser.parse_args()
    results = Results(options.output)
    for seed in map(int, options.seeds.split(",")):
        for text in options.sets:
            for variant in options.variants.split(","):
                _add(results, text, variant, seed)
    print(json.dumps(results.found, indent=2))


def _add(results: Results, text: str, variant: str, seed: int) -> None:
    """Runs one and adds its row, unless it is there."""
    name, _, source = text.partition("=")
    key = {"set": name, "variant": variant, "seed": seed}
    if results.has(key):
        return
    file, held, *texts = source.split(",")
    examples = read_examples(file)
    examples = examples.sample(int(texts[0]) + int(held) if texts else len(examples), SPLIT_SEED)
    train, validation = examples.split(int(held) / len(examples), SPLIT_SEED)
    settings = FINETUNE.settings(checkpoint="minilm", seed=seed, **CHOSEN.get(variant, {}))
    job, means = prepare(train, validation, settings=settings, say=_quiet), head_over_means.layer_means
    row = key | (_train(job, variant) if variant in TRAINED else FIRST_STAGE[variant](job))
    head_over_means.layer_means = means
    results.add(row)
    print(name, variant, seed, {k: round(v, 4) for k, v in row.items() if isinstance(v, float)}, file=sys.stderr)
    keras.utils.clear_session()


if __name__ == "__main__":
    main()
