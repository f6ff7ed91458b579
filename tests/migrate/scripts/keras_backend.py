# Stops: `keras.backend` lost its functions; `tensorflow.keras.backend` did not.
import keras.backend as K
import numpy as np
from tensorflow.keras import backend

backend.sum(np.ones(3))
K.epsilon()
K.sum(np.ones(3))
