"""`bert-tf evaluate`."""

from bert_tf.cli.options import add_options, given, models_task, read_source
from bert_tf.quiet import load_backend
from bert_tf.settings import EVALUATE


def add_evaluate(commands) -> None:
    command = commands.add_parser(
        "evaluate",
        usage="bert-tf evaluate MODEL [MODEL] --data FILE [OPTIONS]",
        help="measure a fine-tuned model on labelled texts",
        description="Measures a fine-tuned model on labelled texts, by what it gives a text: scores with intervals, confusion and "
        "calibration, or each label, or the errors of numbers; the worst mistakes, and slices. With two models they are compared on "
        "the same texts. Leaves report.html, evaluation.json and mistakes.csv in the output folder.",
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
    from bert_tf.evaluation import slices

    columns = slices.columns(EVALUATE.settings(**settings).slices.by)
    task, classes = models_task(models)
    texts = read_source(options, data, keep=columns, task=task).relabel(classes, f"The model {models[0]}")
    train = read_source(options, options.train, task=task)
    load_backend()
    from bert_tf.judging.evaluate import evaluate

    evaluate(models[0], texts, models[1] if len(models) == 2 else None, train=train, **settings)
