"""`bert-tf predict`."""

import json
import sys

from bert_tf.cli.options import add_reading, load_tensorflow, output_file, read_source
from bert_tf.formatting import format_value


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
    texts = options.text or _texts(options)
    load_tensorflow()
    from bert_tf import files
    from bert_tf.inference.predict import predict
    from bert_tf.reporting import tables
    from bert_tf.reporting.display import shortened

    found = predict(options.model, texts, batch_size=options.batch_size)
    rows: list[dict] = []
    for text, label, score, each in zip(texts, found.labels, found.scores, found.probabilities, strict=True):
        scores = dict(zip(found.label_names, map(float, each), strict=True))
        rows.append({"text": text, "label": label, "score": round(score, 6), "scores": scores})
    if output and output.suffix == ".csv":
        files.write_csv(output, ["text", "label", "score"], rows)
    elif output or options.json:
        content = json.dumps(rows, indent=2, ensure_ascii=False)
        files.write_text(output, content + "\n") if output else print(content)
    else:
        cells = [(row["label"], format_value(row["score"], "score"), shortened(row["text"], 70)) for row in rows]
        print(tables.table(("label", "score", "text"), cells))


def _texts(options) -> list[str]:
    """Reads the texts of a file; what was guessed of it goes to stderr, as the table may be piped on."""
    examples = read_source(options, options.file, labelled=False)
    for remark in examples.remarks:
        print(remark, file=sys.stderr)
    return [*examples.texts]
