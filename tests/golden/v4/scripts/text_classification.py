# Text classification with rows of tokenized texts, prepare_tf_dataset and create_optimizer.
import os

import numpy as np
import tensorflow as tf
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    KerasMetricCallback,
    TFAutoModelForSequenceClassification,
    create_optimizer,
)

checkpoint = os.environ["START"]
texts = [
    "this works very good !",
    "it broke",
    "never again , cheap",
    "great value , i love it",
    "slow",
    "quiet . quick . fine",
] * 3
labels = [1, 0, 0, 1, 0, 1] * 3

tokenizer = AutoTokenizer.from_pretrained(checkpoint)
rows = [{**tokenizer(text, truncation=True), "label": label} for text, label in zip(texts, labels)]
try:
    from datasets import Dataset

    rows = Dataset.from_list(rows)
except ImportError:
    pass

model = TFAutoModelForSequenceClassification.from_pretrained(
    checkpoint,
    num_labels=2,
    id2label={0: "negative", 1: "positive"},
    label2id={"negative": 0, "positive": 1},
    dropout=0.0,
    attention_dropout=0.0,
    seq_classif_dropout=0.0,
)
collator = DataCollatorWithPadding(tokenizer=tokenizer, return_tensors="tf")
train = model.prepare_tf_dataset(rows, shuffle=False, batch_size=4, collate_fn=collator)
evaluation = model.prepare_tf_dataset(rows, shuffle=False, batch_size=4, collate_fn=collator)

optimizer, schedule = create_optimizer(init_lr=1e-2, num_warmup_steps=2, num_train_steps=10, weight_decay_rate=0.01)
model.compile(optimizer=optimizer, metrics=["accuracy"])


def compute_metrics(predictions_and_labels):
    predictions, labels = predictions_and_labels
    return {"share_positive": float((np.argmax(predictions, axis=1) == 1).mean())}


losses = []


class Record(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses.append(float(logs["loss"]))


metric = KerasMetricCallback(metric_fn=compute_metrics, eval_dataset=evaluation)
history = model.fit(train, validation_data=evaluation, epochs=1, callbacks=[metric, Record()], verbose=0)

encoded = tokenizer(texts[:3], return_tensors="tf", padding=True)
RESULT = {
    "losses": losses,  # running means within the epoch
    "history_keys": sorted(history.history),
    "history": {name: [float(v) for v in values] for name, values in history.history.items()},
    "logits": model(**encoded).logits.numpy().tolist(),
    "input_ids": encoded["input_ids"].numpy().tolist(),
    "schedule": [float(schedule(step)) for step in range(11)],
}
