# Stops: Keras 3 has no optimizers of Keras 2.
import tensorflow as tf
from transformers import create_optimizer

optimizer, _ = create_optimizer(1e-4, 10, 2)
tf.keras.optimizers.legacy.Adam(1e-4)
