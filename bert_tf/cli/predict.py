"""`bert-tf predict`."""

import json
import sys
from typing import Any

from bert_tf.cli.options import add_reading, load_tensorflow, output_file, read_source
from bert_tf.formatting import format_value, printable, shown_text


def add_predict(commands) -> None:
    command = commands.add_parser(
        "predict",
        help="sort new texts into classes",
        description="Sorts texts into the classes a model was fine-tuned for; prints a table, or JSON.",
        epilog='Example: bert-tf predict runs/reviews/model --text "Broke after a day." --text "Lovely."',
    )
    command.add_argument("model", metavar="MODEL", help="folder of a fine-tuned model (or a name on the hub)")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", action="append", metavar="TEXT", help="a text; may be given several times")
    command.add_argument(
        "--text-pair",
        action="append",
        metavar="TEXT",
        help="for a model of pairs: the second text of each --text, in their order",
    )
    source.add_argument("--file", metavar="FILE", help="texts: .csv, .tsv, .json, .jsonl, .parquet or .xlsx")
    add_reading(command)
    most = "the most texts at once; if left out, by their length"
    command.add_argument("--batch-size", type=int, metavar="N", help=most)
    as_json = "print JSON: text, label, score, and the score of each class"
    command.add_argument("--json", action="store_true", help=as_json)
    command.add_argument("--output", metavar="FILE", help="write to this .csv or .json file and not to the terminal")
    command.set_defaults(run=_predict)


def _predict(options) -> None:
    output = output_file("--output", options.output, ".csv", ".json")
    texts = _pairs(options) if options.text else _texts(options)
    load_tensorflow()
    from bert_tf import files
    from bert_tf.inference.predict import predict
    from bert_tf.reporting import tables

    found = predict(options.model, texts, batch_size=options.batch_size)
    rows: list[dict] = []
    for text, label, score, each in zip(texts, found.labels, found.scores, found.probabilities, strict=True):
        scores = dict(zip(found.label_names, map(float, each), strict=True))
        rows.append({"text": shown_text(text), "label": label, "score": round(score, 6), "scores": scores})
    if output and output.suffix == ".csv":
        files.write_csv(output, ["text", "label", "score"], rows)
    elif output or options.json:
        content = json.dumps(rows, indent=2, ensure_ascii=False)
        files.write_text(output, content + "\n") if output else print(content)
    else:
        cells = [(row["label"], format_value(row["score"], "score"), _shortened(row["text"])) for row in rows]
        print(tables.table(("label", "score", "text"), cells))


def _pairs(options) -> list[Any]:
    """Returns the texts given as --text, or pairs of them and those given as --text-pair."""
    if options.text_pair is None:
        return options.text
    if len(options.text_pair) != len(options.text):
        raise ValueError(
            f"--text-pair: each --text needs one. Received: {len(options.text)} --text, {len(options.text_pair)} --text-pair"
        )
    return [*zip(options.text, options.text_pair, strict=True)]


def _texts(options) -> list[Any]:
    """Reads the texts or pairs of a file; what was guessed of it goes to stderr, as the table may be piped on."""
    if options.text_pair is not None:
        raise ValueError("--text-pair goes with --text. Of a file name both columns: --text-column A,B")
    examples = read_source(options, options.file, labelled=False)
    for remark in examples.remarks:
        print(remark, file=sys.stderr)
    return [*examples.texts]


def _shortened(text: str, width: int = 70) -> str:
    """Returns a text as one line that a terminal can show."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else line[: width - 3] + "..."
