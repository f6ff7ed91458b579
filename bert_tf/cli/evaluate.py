"""`bert-tf evaluate`."""

from bert_tf.cli.options import add_options, given, load_tensorflow, read_source
from bert_tf.settings import EVALUATE


def add_evaluate(commands) -> None:
    command = commands.add_parser(
        "evaluate",
        help="measure a fine-tuned model on labelled texts",
        description="Measures a fine-tuned model on labelled texts: scores with intervals, confusion, calibration, the most confident "
        "mistakes, and slices. With two models they are compared on the same texts. Leaves report.html, evaluation.json and "
        "mistakes.csv in the output folder.",
        epilog="Example: bert-tf evaluate runs/reviews/model --data test.csv --by language,length",
    )
    models = "folder of a fine-tuned model (or a name on the hub); two are compared"
    command.add_argument("models", nargs="+", metavar="MODEL", help=models)
    add_options(command, EVALUATE, sources=False)
    command.add_argument("--data", required=True, metavar="FILE", help="labelled texts, as for finetune")
    train = "texts that the TF-IDF baseline is trained on, to stand beside the model"
    command.add_argument("--train", metavar="FILE", help=train)
    command.set_defaults(run=_evaluate)


def _evaluate(options) -> None:
    models, data = options.models, options.data
    if len(models) > 2:
        more = "bert-tf compare MODEL ... --train FILE --validation FILE"
        raise ValueError(f"One model is measured, or two are compared. Received: {len(models)}. For more: {more}")
    for name in ("models", "data"):
        delattr(options, name)
    settings = given(options, EVALUATE)
    columns = [name for name in EVALUATE.settings(**settings).slices.by or () if name != "length"]
    texts = read_source(options, data, keep=columns)
    train = read_source(options, options.train)
    for model in models:
        _check(model, texts)
    load_tensorflow()
    from bert_tf.judging.evaluate import evaluate

    evaluate(models[0], texts, models[1] if len(models) == 2 else None, train=train, **settings)


def _check(model: str, texts) -> None:
    """Raises ValueError for a model without classes or labels that it does not have, before TensorFlow has loaded."""
    from bert_tf.checkpoints import locate
    from bert_tf.checkpoints.config import label_names, read_config
    from bert_tf.checkpoints.folder import has_head

    folder = locate.resolve(model)
    if not has_head(folder):
        raise ValueError(f"{model}: has no classification head. Fine-tune it first: bert-tf finetune.")
    texts.relabel(label_names(read_config(folder)), f"The model {model}")
