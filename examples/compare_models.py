"""Which model is worth its cost on your texts? Fine-tunes several on a frozen base and compares accuracy, latency, size and memory.

python examples/compare_models.py --models minilm roberta-base microsoft/deberta-v3-small --train reviews.csv
"""

import argparse

import bert_tf

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--train", help="a .csv with text and label columns; default: the reviews included in bert_tf")
parser.add_argument("--models", nargs="+", default=["minilm"], help="folders or model names on the Hugging Face Hub")
options = parser.parse_args()

train, validation = bert_tf.read_examples(options.train).split(0.2, seed=0) if options.train else bert_tf.demo_reviews()
found = bert_tf.race(options.models, train, validation, output_dir="runs/models", overwrite=True)

print()
for row in found.rows:  # the best first
    score = row["accuracy"]
    print(
        f"{row['name']:<40} {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]  "
        f"{1000 * row['latency']:>6.1f} ms  {row['size'] / 1e6:>7.1f} MB"
    )
print("\nWhich are worth their cost: runs/models/report.html")
