# Stops: Keras' own compile wants a list.
import os

import tensorflow as tf
from transformers import TFDistilBertModel

ids = tf.keras.Input((5,), dtype="int32")
net = tf.keras.Model(ids, TFDistilBertModel.from_pretrained(os.environ["START"])(ids)[0])
net.compile("adam", "mse", metrics=tf.keras.metrics.MeanSquaredError())
