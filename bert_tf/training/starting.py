"""The classifier that training starts from: the checkpoint's, with its own head or a new one."""

from typing import Any

from bert_tf.checkpoints import folder, locate
from bert_tf.checkpoints.config import label_names, read_config
from bert_tf.checkpoints.heads import OWN_KEY, head_of
from bert_tf.data.classes import key_of
from bert_tf.data.examples import Examples
from bert_tf.models.auto import model_class
from bert_tf.models.parts import weights_from_a_file
from bert_tf.settings import Settings
from bert_tf.tasks.task import ORDINAL, THRESHOLDS, task_name, task_of

NEW_HEAD = "For a new head pass new_head=True (--new-head)."


def classifier_for(settings: Settings, examples: Examples, dtype: str) -> tuple[Any, Examples, bool]:
    """Loads the classifier for the labels of `examples`, and says whether its head is new; the checkpoint's is kept only if it
    is for these labels."""
    options = settings.model
    source, head = str(options.checkpoint), options.head
    path = locate.resolve(source)
    config = read_config(path)
    keep_head = folder.has_head(path) and not options.new_head
    task = task_of(examples.task)
    if keep_head and config.problem_type and task.problem_type != config.problem_type:
        raise ValueError(
            f"{source} has a head for {task_name(config.problem_type, config)}, the data is read for {task.name} (task=..., --task). "
            f"{NEW_HEAD}"
        )
    if keep_head and (pairs := getattr(config, "text_pairs", None)) not in (None, examples.pairs):
        kinds = {True: "pairs of texts", False: "single texts"}
        raise ValueError(
            f"{source} has a head for {kinds[pairs]}; {examples.source}: {kinds[examples.pairs]}. {NEW_HEAD}"
        )
    if keep_head and head not in (None, head_of(config)):
        raise ValueError(f"{source} has a head over {head_of(config)}, but head={head!r} was given. {NEW_HEAD}")
    if keep_head:
        examples = _with_labels_of(config, examples, source)
    elif head is None and settings.training.recipe == "auto":
        head = "layer_means"
    config = read_config(
        path,
        id2label=dict(enumerate(examples.label_names)),
        problem_type=task.problem_type,
        **task.config,
        **({OWN_KEY: head} if head else {}),
    )
    for key in {ORDINAL, THRESHOLDS} - {*task.config}:  # of the checkpoint's own task
        vars(config).pop(key, None)
    with weights_from_a_file():
        model = model_class(config)(config, dtype=dtype)
    info = folder.load_weights(model, path, new_head=options.new_head, quiet=True)
    frozen = options.unfreeze == 0 or (options.unfreeze is None and settings.training.recipe == "plain")
    pooler = model.encoder.pooler is not None and model.head == "first_token"
    if frozen and pooler and any("pooler" in name for name in info["missing_keys"]):
        raise ValueError(
            f"{source} has no pooler, and with a frozen base a random one would stay. Train it with unfreeze=1 "
            "(--unfreeze 1), use head='layer_means' (--head layer_means), or fold the checkpoint: bert-tf convert --to distilbert."
        )
    model.name_or_path = source
    return model, examples, not keep_head


def _with_labels_of(config, examples: Examples, source: str) -> Examples:
    """Returns the examples with their labels in the order of a checkpoint's head; LABEL_0, ... stand for any."""
    names = label_names(config)
    if task_of(examples.task).problem_type == "regression" and len(names) == 1:
        return examples.relabel(names)
    if set(map(key_of, names)) == set(map(key_of, examples.label_names)):
        return examples.relabel(names)
    unnamed = all(name == f"LABEL_{i}" for i, name in enumerate(names))
    if len(names) != len(examples.label_names) or not unnamed:
        raise ValueError(
            f"{source} has a head for {len(names)} labels ({', '.join(names)}), the data has {len(examples.label_names)} "
            f"({', '.join(examples.label_names)}). {NEW_HEAD}"
        )
    return examples
