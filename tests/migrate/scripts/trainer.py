# The trainer of 2020.
import os

import tensorflow as tf
from transformers import DistilBertTokenizer, TFDistilBertForSequenceClassification, TFTrainer, TFTrainingArguments

tokenizer = DistilBertTokenizer.from_pretrained(os.environ["START"])
texts, labels = ["great value", "bad", "slow and noisy", "fine"], [1, 0, 0, 1]
data = tf.data.Dataset.from_tensor_slices((dict(tokenizer(texts, padding=True)), labels))
args = TFTrainingArguments(
    output_dir="results", num_train_epochs=2, per_device_train_batch_size=3, warmup_steps=1, logging_steps=10
)
with args.strategy.scope():
    model = TFDistilBertForSequenceClassification.from_pretrained(os.environ["START"])
trainer = TFTrainer(
    model=model,
    args=args,
    train_dataset=data,
    eval_dataset=data,
    compute_metrics=lambda seen: {"right": (seen.predictions.argmax(1) == seen.label_ids).mean()},
)
trainer.train()
trainer.save_model()
RESULT = {"metrics": sorted(trainer.evaluate()), "predictions": list(trainer.predict(data).predictions.shape)}
