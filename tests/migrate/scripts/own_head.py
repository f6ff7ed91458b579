# A head of one's own above a main layer, names from submodules, weights as .h5.
import os

import tensorflow as tf
import transformers
from transformers import TFBertMainLayer, TFBertPreTrainedModel
from transformers.modeling_tf_utils import get_initializer, shape_list
from transformers.utils import logging

logging.set_verbosity_error()


class Mine(TFBertPreTrainedModel):
    def __init__(self, config, *inputs, **kwargs):
        super().__init__(config, *inputs, **kwargs)
        self.bert = TFBertMainLayer(config, name="bert")
        self.classifier = tf.keras.layers.Dense(2, kernel_initializer=get_initializer(0.02), name="classifier")
        self.lstm = tf.keras.layers.LSTM(4, name="lstm")

    def call(self, inputs, training=False):
        outputs = self.bert(inputs, training=training)
        return self.classifier(outputs[1]) + tf.reduce_sum(self.lstm(outputs[0])) + shape_list(outputs[1])[1]


config = transformers.BertConfig.from_pretrained(os.environ["BERT"])
model = Mine.from_pretrained(os.environ["BERT"], config=config)
ids = {"input_ids": tf.ones((2, 5), tf.int32)}
before = model(ids)
model.save_pretrained("mine")
RESULT = {"difference": float(tf.reduce_max(tf.abs(Mine.from_pretrained("mine")(ids) - before)))}
model.compile("adam", loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics="accuracy")
model.fit(ids, tf.constant([0, 1]), verbose=0)
model.save_weights("weights.h5", save_format=None)
model.load_weights("weights.h5")
