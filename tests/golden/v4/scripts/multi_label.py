# Several labels at once: problem_type in the config, binary cross-entropy on the logits.
import os

import numpy as np
import tensorflow as tf
from transformers import AutoTokenizer, TFAutoModelForSequenceClassification

checkpoint = os.environ["START"]
texts = [
    "this works very good !",
    "it broke",
    "never again , cheap",
    "great value , i love it",
    "slow",
    "quiet . quick . fine",
]
labels = np.array([[1, 0], [0, 1], [0, 1], [1, 1], [0, 0], [1, 0]], "float32")

tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = TFAutoModelForSequenceClassification.from_pretrained(
    checkpoint,
    num_labels=2,
    problem_type="multi_label_classification",
    dropout=0.0,
    attention_dropout=0.0,
    seq_classif_dropout=0.0,
)
encoded = tokenizer(texts, padding=True, truncation=True, return_tensors="tf")
dataset = tf.data.Dataset.from_tensor_slices((dict(encoded), labels)).batch(6)

model.compile(optimizer=tf.keras.optimizers.Adam(1e-2), loss=tf.keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(dataset, epochs=5, verbose=0)
logits = model.predict(dataset, verbose=0).logits

RESULT = {
    "losses": [float(v) for v in history.history["loss"]],
    "history_keys": sorted(history.history),
    "logits": np.asarray(logits).tolist(),
    "probabilities": tf.sigmoid(logits).numpy().tolist(),
    "problem_type": model.config.problem_type,
}
