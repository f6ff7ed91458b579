"""`bert-tf export`."""

from bert_tf.cli.options import add_options, given
from bert_tf.quiet import load_backend
from bert_tf.settings import EXPORT


def add_export(commands) -> None:
    command = commands.add_parser(
        "export",
        usage="bert-tf export MODEL DIR [OPTIONS]",
        help="write a fine-tuned model for another runtime, and prove that it says the same",
        description="Writes a fine-tuned model with its tokenizer, its labels and a README for another runtime. The written file is run "
        "on real texts in that runtime; if it does not say what the model says, it is refused and nothing is left.",
        epilog="Example: bert-tf export runs/reviews/model bundle --to onnx --int8 --texts reviews.csv",
    )
    command.add_argument("model", metavar="MODEL", help="folder of a fine-tuned model (or a name on the hub)")
    command.add_argument("folder", metavar="DIR", help="folder to write")
    texts = "real texts to judge by, if possible labelled; if omitted, the validation texts of the run that the model is from"
    command.add_argument("--texts", metavar="FILE", help=texts)
    add_options(command, EXPORT, sources=False)
    command.set_defaults(run=_export)


def _export(options) -> None:
    model, folder, texts = options.model, options.folder, options.texts
    for name in ("model", "folder", "texts"):
        delattr(options, name)
    settings = given(options, EXPORT)
    from bert_tf.exporting.gates import check

    check(model, folder, EXPORT.settings(**settings), texts)
    load_backend()
    from bert_tf.exporting.export import export

    export(model, folder, texts, **settings)
