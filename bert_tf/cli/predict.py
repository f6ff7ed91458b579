"""`bert-tf predict`."""

import json
import os
import sys
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from bert_tf import terminal
from bert_tf.cli import early
from bert_tf.cli.options import add_reading, output_file, read_source, value_of
from bert_tf.extras import check_ray
from bert_tf.formatting import counted, format_value, shown_text
from bert_tf.quiet import load_backend
from bert_tf.settings import PREDICT_FILES, Data

FIRST_ROWS, MOST_CHARACTERS = 20, 200  # of a table
STDIN = "-"


def add_predict(commands) -> None:
    command = commands.add_parser(
        "predict",
        usage="bert-tf predict MODEL (--text TEXT | --file FILE) [OPTIONS]",
        help="give new texts their class, labels or number",
        description="Gives texts what a model was fine-tuned for: a class, labels joined by |, or a number; prints a table, or JSON. "
        "With --output the file is read and written block by block, whatever its size, and keeps all its columns.",
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
    files = (
        "texts: .csv, .tsv, .json, .jsonl, .parquet or .xlsx; into a folder also several, a folder or a pattern in quotes, "
        '"texts/*.parquet"; Parquet files also from s3://, gs:// or hdfs://; - reads a text a line from standard input'
    )
    source.add_argument("--file", metavar="FILE", help=files)
    add_reading(command, PREDICT_FILES)
    most = "the most texts at once (default: by their length)"
    command.add_argument("--batch-size", type=value_of(int, least=1), metavar="N", help=most)
    as_json = (
        "print JSON: text, label, score, and the score of each class; for several labels a list, for a number its value"
    )
    command.add_argument("--json", action="store_true", help=as_json)
    written = (
        "write the columns of the file, the label, its score and the probability of each class to this .csv, .jsonl or .parquet "
        "file, or to a folder of Parquet files (predicted/, s3://bucket/predicted); to a .json file what --json prints"
    )
    command.add_argument("--output", metavar="FILE|FOLDER/", help=written)
    command.set_defaults(run=_predict)


def written_in_blocks(output: str | None) -> bool:
    """Whether an output is written block by block, and can be continued."""
    from bert_tf.data.writers import WRITERS

    return output is not None and (is_folder(output) or Path(output).suffix in WRITERS)


def is_folder(output: str | None) -> bool:
    """Whether an output is a folder of parts: a URI, a name that ends in / or has no ending, or a folder that is there."""
    from bert_tf.data.places import is_remote

    if output is None:
        return False
    return is_remote(output) or output.endswith(("/", os.sep)) or not Path(output).suffix or Path(output).is_dir()


def _predict(options) -> None:
    from bert_tf.data.places import several
    from bert_tf.data.writers import WRITERS

    if options.text_pair is not None and not options.text:
        raise ValueError("--text-pair goes with --text. Of a file name both columns: --text-column A,B")
    given = {
        option.name: getattr(options, option.name)
        for option in PREDICT_FILES.options()
        if hasattr(options, option.name)
    }
    PREDICT_FILES.settings(**given)
    if options.file == STDIN:
        options.file, options.text = None, _lines()
    if is_folder(options.output):
        _to_folder(options, given)
        return
    output = output_file("--output", options.output, *WRITERS, ".json")
    _needing(given, "FOLDER/, such as predicted/", "engine", "workers")
    if options.file and several(options.file):
        raise ValueError(
            f"--file {options.file}: may be several files, for which --output must be a folder, such as predicted/."
        )
    if written_in_blocks(options.output):
        _to_file(options, output, given)
        return
    _needing(given, f"FILE that ends in {', '.join(WRITERS)}, or FOLDER/", "resume", "overwrite")
    texts = _pairs(options) if options.text is not None else _texts(options)
    early.check_model(options.model)
    load_backend()
    from bert_tf import files
    from bert_tf.inference.predict import predict
    from bert_tf.tasks.task import task_of

    found = predict(options.model, texts, batch_size=options.batch_size, max_length=given.get("max_length"))
    texts = [*map(shown_text, texts)]
    rows, task = found.rows(texts), task_of(found.task)
    if output or options.json:
        content = json.dumps(rows, indent=2, ensure_ascii=False)
        files.write_text(output, content + "\n") if output else print(content)
    else:
        _print(task.answers(found.outputs, found.label_names, found.thresholds), texts)


def _print(answers: dict[str, list[Any]], texts: list[str]) -> None:
    """Prints a table of texts and what they were given: on a terminal its first rows, and how to get the others."""
    from bert_tf.reporting.display import shortened

    most = FIRST_ROWS if terminal.width() else len(texts)
    kinds = ["score" if name == "score" else "plain" for name in answers]
    lines = [
        [*(format_value(value, kind) for value, kind in zip(row, kinds, strict=True)), shortened(text, MOST_CHARACTERS)]
        for *row, text in islice(zip(*answers.values(), texts, strict=True), most)
    ]
    names = [*answers, "text"]
    words = [i for i, name in enumerate(names) if name not in ("score", "value")]
    print(terminal.table(names, lines, left=words, cut=[len(names) - 1]))
    if len(texts) > most:
        print(f"... and {len(texts) - most:,} more. All of them: --output FILE.csv, or --json.")


def _needing(given: dict, output: str, *names: str) -> None:
    """Raises ValueError if one of some options is given: they go with another output."""
    if wrong := [name for name in names if name in given]:
        raise ValueError(f"--{wrong[0]} needs --output {output}.")


def _to_folder(options, given: dict) -> None:
    """Classifies files into a folder of parts; all their rows are looked at before TensorFlow loads."""
    from bert_tf.data.parts import read_sources

    if not options.file:
        raise ValueError("--output FOLDER/ needs --file: texts of the command line go into one file.")
    if given.get("engine") == "ray":
        check_ray()
    names = {item.name for item in fields(Data)}
    sources = read_sources(options.file, Data(**{name: value for name, value in given.items() if name in names}))
    for remark in sources.remarks:
        terminal.say(remark, sys.stderr)
    early.check_model(options.model)
    load_backend()
    from bert_tf.inference.many_files import predict_files

    done = predict_files(options.model, sources, options.output, batch_size=options.batch_size, **given)
    _said(done, f" of {counted(len(sources.files), 'file')}")


def _said(done, of: str = "") -> None:
    resumed = f", {done.resumed:,} of them from the run that was interrupted" if done.resumed else ""
    terminal.say(
        f"Written: {done.file}, {counted(done.rows, 'row')}{of}{resumed}; predictions: {', '.join(done.columns)}"
    )


def _lines() -> list[str]:
    """Returns the lines of standard input that are not empty; ValueError if there is none, or they are not UTF-8."""
    try:
        lines = sys.stdin.buffer.read().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"--file -: standard input must be UTF-8 text, one text a line ({error}).") from error
    texts = [line.rstrip("\r") for line in lines if line.strip()]
    if not texts:
        raise ValueError("--file -: standard input has no lines. Expected: one text a line.")
    return texts


def _pairs(options) -> list[Any]:
    """Returns the texts given as --text, or pairs of them and those given as --text-pair."""
    if options.text_pair is None:
        return options.text
    if len(options.text_pair) != len(options.text):
        raise ValueError(
            f"--text-pair: each --text needs one. Received: {len(options.text)} --text, {len(options.text_pair)} --text-pair"
        )
    return [*zip(options.text, options.text_pair, strict=True)]


def _to_file(options, output, given: dict) -> None:
    """Classifies a file block by block; all its rows are looked at before TensorFlow loads."""
    from bert_tf.data.blocks import read_blocks

    names = {item.name for item in fields(Data)}
    data = Data(**{name: value for name, value in given.items() if name in names})
    if options.text_pair is not None:
        given_texts = dict(zip(("text", "text_pair"), zip(*_pairs(options), strict=True), strict=True))
        blocks = read_blocks(given_texts, replace(data, text_column="text,text_pair"))
    else:
        blocks = read_blocks({"text": options.text} if options.text else options.file, data)
    for remark in blocks.remarks:
        terminal.say(remark, sys.stderr)
    early.check_model(options.model)
    load_backend()
    from bert_tf.inference.bulk import predict_file

    done = predict_file(options.model, blocks, output, batch_size=options.batch_size, **given)
    _said(done)


def _texts(options) -> list[Any]:
    """Reads the texts or pairs of a file; what was guessed of it goes to stderr, as the table may be piped on."""
    examples = read_source(options, options.file, labelled=False)
    for remark in examples.remarks:
        terminal.say(remark, sys.stderr)
    return [*examples.texts]
