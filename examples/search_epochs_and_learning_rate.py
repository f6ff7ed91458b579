"""Searches for learning rate, batch size and number of epochs with KerasTuner; features are computed only once.

python examples/search_epochs_and_learning_rate.py                     # the reviews included in bert_tf
python examples/search_epochs_and_learning_rate.py --train my.csv --checkpoint distilbert-base-uncased
"""

import argparse

import keras_tuner

import bert_tf

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--train", help="a .csv with text and label columns; default: the reviews included in bert_tf")
parser.add_argument("--checkpoint", default="minilm", help="a folder or a model name on the Hugging Face Hub")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--trials", type=int, default=10)
options = parser.parse_args()

train, validation = bert_tf.read_examples(options.train).split(0.2, seed=0) if options.train else bert_tf.demo_reviews()

# The search space: a pair is a range, a list a choice. The best epoch is read off the curve of each trial.
hypermodel = bert_tf.ClassifierHyperModel(
    train,
    validation,
    checkpoint=options.checkpoint,
    learning_rate=(1e-4, 1e-2),
    batch_size=[16, 32, 64],
    dropout=0.2,
    epochs=options.epochs,
)
tuner = keras_tuner.BayesianOptimization(
    hypermodel,
    objective="val_loss",
    max_trials=options.trials,
    seed=1,
    directory="runs",
    project_name="keras-tuner",
    overwrite=True,
)
tuner.search(verbose=0)

for trial in tuner.oracle.get_best_trials(3):
    values = trial.hyperparameters.values
    rate, size = values["learning_rate"], values["batch_size"]
    print(f"val_loss {trial.score:.3f} at epoch {trial.best_step + 1}: learning rate {rate:.2g}, batch size {size}")

# The model of the best trial, with the weights of its best epoch.
model = tuner.get_best_models()[0]
predicted = bert_tf.predict(model, list(validation.texts), hypermodel.job.tokenizer)
right = sum(label == validation.label_names[i] for label, i in zip(predicted.labels, validation.labels, strict=True))
print(f"validation accuracy {right / len(validation):.3f}")
