"""Trains a classifier on a frozen DistilBERT: the whole job in plain Keras, on product reviews.

python examples/finetune_reviews.py                                # the reviews included in bert_tf
python examples/finetune_reviews.py --train my.csv --checkpoint distilbert-base-uncased
"""

import argparse

import keras

import bert_tf

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--train", help="a .csv with text and label columns; default: the reviews included in bert_tf")
parser.add_argument("--checkpoint", default="minilm", help="a folder or a model name on the Hugging Face Hub")
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()

# Texts, labels 0 and 1, and the names of the labels.
train, validation = bert_tf.read_examples(options.train).split(0.2, seed=0) if options.train else bert_tf.demo_reviews()

# Token ids, at most 256 per text.
tokenizer = bert_tf.load_tokenizer(options.checkpoint)
train_tokens = bert_tf.tokenize(train.texts, tokenizer, max_length=256)
validation_tokens = bert_tf.tokenize(validation.texts, tokenizer, max_length=256)

# The base is frozen: only the head is trained.
keras.utils.set_random_seed(0)
model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(
    options.checkpoint, id2label=dict(enumerate(train.label_names))
)
model.encoder.trainable = False
print(f"{model.num_parameters(only_trainable=True):,} of {model.num_parameters():,} parameters are trained")

model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
model.fit(
    bert_tf.batches(train_tokens, train.labels, batch_size=32, shuffle=True, seed=0),
    validation_data=bert_tf.batches(validation_tokens, validation.labels, batch_size=32),
    epochs=options.epochs,
    callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)],
)

# The folder has the format of Hugging Face: transformers can read it too.
model.save_pretrained("reviews-model")
tokenizer.save_pretrained("reviews-model")
texts = ["Broke after a week and nobody answers my mails.", "Really happy with it, great value."]
predicted = bert_tf.predict(model, texts, tokenizer)
for text, label, score in zip(texts, predicted.labels, predicted.scores, strict=True):
    print(f"{label} ({score:.2f}): {text}")
