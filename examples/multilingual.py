"""Learns in one language and shows how good it is in each: a multilingual encoder, its base frozen.

python examples/multilingual.py --data reviews.csv --checkpoint intfloat/multilingual-e5-small --prefix "query: "

The file has the columns text, label and lang. Texts of the language --learn are learnt, all others are the test; if the file holds
translations of the same texts, give the test texts as a file of their own (--test).
"""

import argparse

import pandas

import bert_tf

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="a .csv with the columns text, label and lang")
parser.add_argument("--test", help="the same with the test texts; default: the other languages of --data")
parser.add_argument("--learn", default="en", help="the language to learn")
parser.add_argument("--checkpoint", default="intfloat/multilingual-e5-small", help="a folder, or a name on the hub")
parser.add_argument("--prefix", default=None, help='what the checkpoint wants before each text: "query: " for e5')
parser.add_argument("--output-dir", default="runs/multilingual")
options = parser.parse_args()

table = pandas.read_csv(options.data)
learnt = table[table.lang == options.learn]
test = pandas.read_csv(options.test) if options.test else table[table.lang != options.learn]

# Seconds after the features: the head is solved. The table of languages is in report.html and on the terminal too.
run = bert_tf.finetune(
    learnt[["text", "label"]],
    test=test,
    by="lang",
    checkpoint=options.checkpoint,
    prefix=options.prefix,
    unfreeze=0,
    output_dir=options.output_dir,
    overwrite=True,
)
for row in run.metrics["test"]["slices"]["lang"]:
    print(f"{row['slice']}: {row['texts']} texts, accuracy {row['accuracy']['value']:.3f}")
