"""`bert-tf convert`."""

from pathlib import Path

from bert_tf import terminal
from bert_tf.quiet import load_backend


def add_convert(commands) -> None:
    command = commands.add_parser(
        "convert",
        help="rewrite a checkpoint in the standard form",
        description="Rewrites a checkpoint that bert_tf can read as config.json, model.safetensors and tokenizer files.",
        epilog="Example: bert-tf convert my-bert my-distilbert --to distilbert",
    )
    command.add_argument("source", metavar="SRC", help="folder or hub name")
    command.add_argument("destination", metavar="DST", help="folder to write")
    fold = "fold a BERT into a DistilBERT: the same numbers for single texts, without token types and pooler"
    command.add_argument("--to", choices=["distilbert"], help=fold)
    command.add_argument("--overwrite", action="store_true", help="replace the checkpoint that DST holds")
    pickled = "read pytorch_model.bin where there is nothing else: its tensors alone, which needs PyTorch"
    command.add_argument("--allow-pickle", action="store_true", help=pickled)
    command.set_defaults(run=_convert)


def _convert(options) -> None:
    destination = Path(options.destination)
    if destination.is_dir() and any(destination.iterdir()) and not options.overwrite:
        raise FileExistsError(f"{destination}: is not empty. Choose another folder, or --overwrite.")
    load_backend()
    from bert_tf.inference.convert import convert

    done = convert(options.source, destination, to=options.to, allow_pickle=options.allow_pickle)
    terminal.say(
        f"{done.tensors_read} tensors read, {done.tensors_written} written; {done.compared} of a probe text before and "
        f"after differ by at most {done.difference:.1e}. Written: {destination}"
    )
