"""`bert-tf evaluate`."""

from collections.abc import Sequence

from bert_tf.cli.options import add_options, given, load_tensorflow, read_source
from bert_tf.settings import EVALUATE


def add_evaluate(commands) -> None:
    command = commands.add_parser(
        "evaluate",
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
    columns = [name for name in EVALUATE.settings(**settings).slices.by or () if name != "length"]
    task, classes = _task(models)
    texts = read_source(options, data, keep=columns, task=task).relabel(classes, f"The model {models[0]}")
    train = read_source(options, options.train, task=task)
    load_tensorflow()
    from bert_tf.judging.evaluate import evaluate

    evaluate(models[0], texts, models[1] if len(models) == 2 else None, train=train, **settings)


def _task(models: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Returns the task of the models and the classes of the first, before TensorFlow has loaded; ValueError for one without a head
    or two that cannot be compared."""
    from bert_tf.checkpoints import locate
    from bert_tf.checkpoints.config import label_names, problem_type, read_config
    from bert_tf.checkpoints.folder import has_head
    from bert_tf.tasks.task import common_task, task_name, task_of

    tasks, classes = [], []
    for model in models:
        folder = locate.resolve(model)
        if not has_head(folder):
            raise ValueError(f"{model}: has no classification head. Fine-tune it first: bert-tf finetune.")
        config = read_config(folder)
        tasks.append(task_of(task_name(problem_type(config), config)))
        classes.append(label_names(config))
    return common_task(models, tasks, classes).name, classes[0]
