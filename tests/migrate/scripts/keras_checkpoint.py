# Stops: Keras 3 tells formats by the end of a name.
from tensorflow.keras.callbacks import ModelCheckpoint

ModelCheckpoint("best.weights.h5", save_weights_only=True)
ModelCheckpoint("best.keras")
ModelCheckpoint("best.hdf5", save_weights_only=True)
