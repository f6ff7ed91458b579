# Plain model.fit on a dict of arrays, labels inside and outside, base frozen.
import os

import numpy as np
import tensorflow as tf
from transformers import AutoTokenizer, TFDistilBertForSequenceClassification

checkpoint = os.environ["START"]
texts = [
    "this works very good !",
    "it broke",
    "never again , cheap",
    "great value , i love it",
    "slow",
    "quiet . quick . fine",
]
labels = np.array([1, 0, 0, 1, 0, 1])

tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = TFDistilBertForSequenceClassification.from_pretrained(
    checkpoint, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0
)
model.layers[0].trainable = False
encoded = dict(tokenizer(texts, padding="max_length", max_length=12, truncation=True, return_tensors="np"))

model.compile(optimizer=tf.keras.optimizers.Adam(1e-2), metrics=["accuracy"])
outside = model.fit(
    encoded, labels, validation_data=(encoded, labels), epochs=5, batch_size=6, shuffle=False, verbose=0
)
inside = model.fit({**encoded, "labels": labels}, epochs=5, batch_size=6, shuffle=False, verbose=0)

RESULT = {
    "losses": [float(v) for v in outside.history["loss"]],
    "losses_inside": [float(v) for v in inside.history["loss"]],
    "val_losses": [float(v) for v in outside.history["val_loss"]],
    "history_keys": sorted(outside.history),
    "history_keys_inside": sorted(inside.history),
    "logits": np.asarray(model.predict(encoded, verbose=0).logits).tolist(),
    "evaluate": [float(v) for v in model.evaluate(encoded, labels, verbose=0)],
    "trainable": len(model.trainable_variables),
    "parameters": model.num_parameters(),
}
