"""Trains the top 0, 1, 2, ... layers of the base and compares accuracy, overfitting and time.

python examples/unfreeze_top_layers.py --layers 0 1 2 all
"""

import argparse

import bert_tf

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--train", help="a .csv with text and label columns; default: the reviews included in bert_tf")
parser.add_argument("--checkpoint", default="minilm", help="a folder or a model name on the Hugging Face Hub")
parser.add_argument("--layers", nargs="+", default=["0", "2"], help="numbers of top layers to train, or all")
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()

train, validation = bert_tf.read_examples(options.train).split(0.2, seed=0) if options.train else bert_tf.demo_reviews()

rows = []
for layers in options.layers:
    run = bert_tf.finetune(
        train,
        validation,
        checkpoint=options.checkpoint,
        unfreeze=layers if layers == "all" else int(layers),
        recipe="plain",
        epochs=options.epochs,
        learning_rate=1e-3 if layers == "0" else 2e-4,
        output_dir=f"runs/unfreeze-{layers}",
        overwrite=True,
    )
    rows.append((layers, run.metrics))

print("\nlayers  trained parameters  accuracy  validation accuracy  gap in loss  seconds")
for layers, metrics in rows:
    gap = metrics["val_loss"] - metrics["loss"]
    print(
        f"{layers:>6}  {metrics['trainable_parameters']:>18,}  {metrics['accuracy']:>8.3f}  "
        f"{metrics['val_accuracy']:>19.3f}  {gap:>11.3f}  {metrics['seconds']:>7.0f}"
    )
