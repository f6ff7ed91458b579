# A training loop of one's own, with the model's loss from labels=.
import os

import numpy as np
import tensorflow as tf
from transformers import AutoTokenizer, TFAutoModelForSequenceClassification

checkpoint = os.environ["START"]
texts = ["this works very good !", "it broke", "never again , cheap", "great value , i love it"]

tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = TFAutoModelForSequenceClassification.from_pretrained(
    checkpoint, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0
)
batch = tokenizer(texts, padding=True, truncation=True, return_tensors="tf")
labels = tf.constant([1, 0, 0, 1])
optimizer = tf.keras.optimizers.SGD(0.05)

losses = []
for step in range(5):
    with tf.GradientTape() as tape:
        outputs = model(batch, labels=labels, training=True)
        loss = tf.reduce_mean(outputs.loss)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    losses.append(float(loss))

outputs = model({**batch, "labels": labels}, training=False)
RESULT = {
    "losses": losses,
    "loss_of_each": outputs[0].numpy().tolist(),
    "logits": outputs[1].numpy().tolist(),
    "predictions": [model.config.id2label[int(i)] for i in np.argmax(outputs.logits, axis=-1)],
    "as_tuple": len(model(batch, return_dict=False)),
}
