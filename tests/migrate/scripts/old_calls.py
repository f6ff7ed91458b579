# Old calls of tokenizers, an encoding's values as inputs, one metric without a list, the model's own loss, a pipeline.
import os

import numpy as np
import tensorflow as tf
from transformers import (
    AutoTokenizer,
    InputExample,
    TextClassificationPipeline,
    TFDistilBertForSequenceClassification,
    glue_convert_examples_to_features,
    pipeline,
)
from transformers.tokenization_distilbert import DistilBertTokenizerFast

start = os.environ["START"]
tokenizer = DistilBertTokenizerFast.from_pretrained(start, add_special_tokens=True, pad_to_max_length=True)
texts, labels = ["great value", "bad", "slow and noisy", "fine"], [1, 0, 0, 1]
one = tokenizer.encode_plus("great value", max_length=6, pad_to_max_length=True)
both = tokenizer.batch_encode_plus(texts, max_length=6, padding=True, truncation=True, return_tensors="tf")
model = TFDistilBertForSequenceClassification.from_pretrained(start)
model.compile("adam", loss=model.compute_loss, metrics=tf.keras.metrics.SparseCategoricalAccuracy())
model.fit(both.values(), {"labels": np.array(labels)}, verbose=0)
examples = [InputExample(str(i), text, None, str(label)) for i, (text, label) in enumerate(zip(texts, labels))]
features = glue_convert_examples_to_features(examples, tokenizer, max_length=6, label_list=["0", "1"])
pipe = TextClassificationPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(start), framework="tf")
RESULT = {
    "length": len(one["input_ids"]),
    "features": [features[1].label, len(features[1].input_ids)],
    "found": pipe(texts),
    "one": pipeline("sentiment-analysis", model=model, tokenizer=tokenizer)("bad"),
    "every": pipe("bad", top_k=None),
}
