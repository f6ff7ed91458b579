"""Explains why a model classified reviews as it did: words for and against, and how far to trust them.

python examples/explain_a_review.py                                   # trains a model on the included reviews first
python examples/explain_a_review.py --model runs/reviews/model --html why.html
"""

import argparse
from pathlib import Path

import bert_tf
from bert_tf.explanation.page import write_page
from bert_tf.explanation.terminal import render
from bert_tf.inference.predict import load_classifier

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", help="folder of a fine-tuned model; default: train one now")
parser.add_argument("--checkpoint", default="minilm", help="what to fine-tune if no model is given")
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--html", default="why.html", help="page to write")
options = parser.parse_args()

train, validation = bert_tf.demo_reviews()
if not options.model:
    settings = {"checkpoint": options.checkpoint, "epochs": options.epochs, "unfreeze": 2}
    bert_tf.finetune(train, validation, **settings, output_dir="runs/explain", overwrite=True)
    options.model = "runs/explain/model"

# The words of two reviews, on the terminal and as an interactive page.
model, tokenizer = load_classifier(options.model)
texts = ["Stopped charging after a week. A waste of money.", "Really happy with this kettle, quick and quiet."]
explanations = [bert_tf.explain(model, text, tokenizer) for text in texts]
for explanation in explanations:
    print(render(explanation, colour=False), end="\n\n\n")
write_page(Path(options.html), explanations)
print(f"Written: {options.html}")

# Do these words matter more to the model than random ones? Mean over several reviews, with a confidence interval.
trust = bert_tf.faithfulness(model, list(validation.texts[:10]), tokenizer)
low, high = trust.interval
print(f"Faithfulness over {len(trust.scores)} reviews: {trust.mean:.2f} [{low:.2f}, {high:.2f}]; 0 = random words")
