"""The transformers 4 side: its TensorFlow classes on Keras 2, batches padded to their longest text by their data collator."""

import numpy as np
import tensorflow as tf
import tf_keras
from safetensors import safe_open
from shared import BatchClock, main, read_texts
from transformers import AutoConfig, AutoTokenizer, DataCollatorWithPadding, TFAutoModelForSequenceClassification
from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model


def pretrained(folder: str, **options) -> tf_keras.Model:
    """As `from_pretrained`, which in 4.57.6 fails on safetensors with PyTorch names: it iterates over an open file."""
    model = TFAutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder, **options))
    model.build_in_name_scope()
    with safe_open(f"{folder}/model.safetensors", framework="tf") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return load_pytorch_state_dict_in_tf2_model(model, weights, tf_inputs=False, allow_missing_keys=True)


def finetune(settings: dict) -> dict:
    """One epoch of a frozen base: only the head is trained, the base runs in every step."""
    tf_keras.utils.set_random_seed(0)
    size, clock = settings["batch_size"], BatchClock()
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    collate = DataCollatorWithPadding(tokenizer, return_tensors="np")

    def read(file, shuffle):
        """As `prepare_tf_dataset`, which needs the package `datasets`."""
        texts, labels = read_texts(file)
        rows = tokenizer(texts, truncation=True, max_length=settings["max_length"])
        rows = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in rows["input_ids"]]

        def batches():
            order = np.random.permutation(len(rows)) if shuffle else np.arange(len(rows))
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                yield dict(collate([rows[i] for i in chosen])), labels[chosen]

        inputs = {name: tf.TensorSpec([None, None], "int64") for name in ("input_ids", "attention_mask")}
        dataset = tf.data.Dataset.from_generator(batches, output_signature=(inputs, tf.TensorSpec([None], "int32")))
        return dataset.prefetch(tf.data.AUTOTUNE), labels

    (train, labels), (held, held_labels) = read(settings["train"], True), read(settings["validation"], False)
    model = pretrained(settings["model"], num_labels=max(2, int(labels.max()) + 1))
    model.distilbert.trainable = False
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.Adam(settings["learning_rate"]), loss, metrics=["accuracy"])
    callbacks = [clock.callback(tf_keras.callbacks.Callback)]
    history = model.fit(train, validation_data=held, epochs=1, verbose=0, callbacks=callbacks)
    result = clock.result(len(labels), len(held_labels), size)
    return {**result, "val_accuracy": history.history["val_accuracy"][-1]}


main(finetune=finetune)
