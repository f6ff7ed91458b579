"""The KerasHub side with its defaults: texts padded to `max_length`, and random weights, which have no influence on speed."""

import json
from pathlib import Path

import keras
import keras_hub
import numpy as np
from shared import BatchClock, main, padded, read_texts, read_tokens, timed

WEIGHTS = "random, of the same shape"


def backbone(settings: dict, dtype: str) -> keras.Model:
    config = json.loads((Path(settings["model"]) / "config.json").read_text())
    return keras_hub.models.DistilBertBackbone(
        vocabulary_size=config["vocab_size"], num_layers=config["n_layers"], num_heads=config["n_heads"],
        hidden_dim=config["dim"], intermediate_dim=config["hidden_dim"], dropout=config["dropout"],
        max_sequence_length=config["max_position_embeddings"], dtype=dtype,
    )  # fmt: skip


def classifier(base, labels: np.ndarray, learning_rate: float, preprocessor=None) -> keras.Model:
    model = keras_hub.models.DistilBertTextClassifier(base, max(2, int(labels.max()) + 1), preprocessor=preprocessor)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


def finetune(settings: dict) -> dict:
    """One epoch of a frozen base, from texts."""
    keras.utils.set_random_seed(0)
    texts, labels = read_texts(settings["train"])
    held, held_labels = read_texts(settings["validation"])
    tokenizer = keras_hub.models.DistilBertTokenizer(str(Path(settings["model"]) / "vocab.txt"), lowercase=True)
    preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor(tokenizer, settings["max_length"])
    base = backbone(settings, "float32")
    base.trainable = False
    model, clock = classifier(base, labels, settings["learning_rate"], preprocessor), BatchClock()
    history = model.fit(
        texts, labels, validation_data=(held, held_labels), batch_size=settings["batch_size"], epochs=1, verbose=0,
        callbacks=[clock.callback(keras.callbacks.Callback)],
    )  # fmt: skip
    result = clock.result(len(texts), len(held), settings["batch_size"])
    return {**result, "val_accuracy": history.history["val_accuracy"][-1], "weights": WEIGHTS}


def whole_batches(settings: dict) -> tuple[dict, np.ndarray, int, int]:
    """Returns the inputs of full batches only (another size compiles again), their labels, batch size and real tokens."""
    rows, labels = read_tokens(settings["tokens"])
    size = min(settings["batch_size"], len(rows))
    rows = rows[: len(rows) // size * size]
    ids, mask = padded(rows, settings["max_length"])
    inputs = {"token_ids": ids.astype("int32"), "padding_mask": mask.astype("int32")}
    return inputs, labels[: len(rows)], size, sum(map(len, rows))


def forward(settings: dict) -> dict:
    """The vector of the first token of each text."""
    inputs, _, size, tokens = whole_batches(settings)
    model, count = backbone(settings, settings["precision"]), len(inputs["token_ids"])
    model.compile()

    def run(texts):
        for start in range(0, texts, size):
            yield model.predict_on_batch({name: a[start : start + size] for name, a in inputs.items()})[:, 0]

    list(run(size))
    seconds = timed(lambda: list(run(count)))
    return {"seconds": seconds, "tokens": tokens, "texts": count, "weights": WEIGHTS}


def step(settings: dict) -> dict:
    """One epoch of training all weights."""
    inputs, labels, size, tokens = whole_batches(settings)
    model = classifier(backbone(settings, settings["precision"]), labels, 5e-5)

    def fit(texts):
        part = {name: array[:texts] for name, array in inputs.items()}
        clock = BatchClock()
        callbacks = [clock.callback(keras.callbacks.Callback)]
        model.fit(part, labels[:texts], batch_size=size, epochs=1, verbose=0, callbacks=callbacks)
        return sum(clock.seconds["train"])

    fit(size)
    seconds = fit(len(labels))
    return {"seconds": seconds, "tokens": tokens, "texts": len(labels), "weights": WEIGHTS}


main(finetune=finetune, forward=forward, step=step)
