"""Forms of Keras 2, and of transformers 4 beside its names, that stop or differ today: each with what to write instead.

Found in the syntax tree of a script. Whether a model is bert_tf's or a Keras model around it decides some of them, and is
followed through plain assignments; where that is not enough a form is taken to work.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

OURS, KERAS = "a model of bert_tf", "a Keras model"
WEIGHTS = ".weights.h5"


class Finding(NamedTuple):
    """One name or form of a script.

    Attributes:
        line: its line, from 1.
        name: what stands there.
        verdict: one of `VERDICTS`.
        note: what differs, or what to write instead.
    """

    line: int
    name: str
    verdict: str
    note: str = ""


WORKS, DIFFERS, STAYS, INSTEAD = VERDICTS = ("works", "works, differs", "works, stays transformers'", "write instead")

# What `keras.backend` still has; `tensorflow.keras.backend` has all of the old functions.
BACKEND = frozenset(
    [
        "result_type",
        "clear_session",
        "is_float_dtype",
        "is_int_dtype",
        "backend",
        "epsilon",
        "floatx",
        "image_data_format",
        "set_epsilon",
        "set_floatx",
        "set_image_data_format",
        "get_uid",
        "is_keras_tensor",
        "standardize_dtype",
        "name_scope",
    ]
)
OPTIMIZERS = frozenset(["Adam", "AdamW", "Adamax", "Adagrad", "Adadelta", "Nadam", "RMSprop", "SGD", "Adafactor"])

# What follows a dotted name, or begins it -> what to write instead.
DOTTED = {
    "keras.optimizers.legacy": "`keras.optimizers` without `legacy`",
    "keras.preprocessing.text": "a tokenizer: bert_tf.AutoTokenizer",
    "keras.wrappers": "the package `scikeras`, or keras.wrappers.SKLearnClassifier",
    "keras.layers.experimental": "`keras.layers` without `experimental`",
    "keras.utils.np_utils": "keras.utils.to_categorical",
}
# Names of the parts below a layer of DistilBERT and BERT in transformers 4 -> here.
PARTS = {
    "q_lin": "attention.query",
    "k_lin": "attention.key",
    "v_lin": "attention.value",
    "out_lin": "attention.dense",
    "sa_layer_norm": "attention_norm",
    "output_layer_norm": "feed_forward_norm",
    "ffn": "feed_forward",
    "self_attention": "attention",
    "bert_output": "feed_forward",
}
TOKENIZER_METHODS = frozenset(
    [
        "prepare_for_model",
        "build_inputs_with_special_tokens",
        "create_token_type_ids_from_sequences",
        "truncate_sequences",
        "prepare_seq2seq_batch",
        "as_target_tokenizer",
    ]
)


def dotted(node: ast.AST) -> str:
    """Returns a chain of attributes as text, `tf.keras.Model`; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


class Forms:
    """Finds the forms in one script.

    Args:
        tree: the script.
        ours: names that stand for classes of models of bert_tf.
    """

    def __init__(self, tree: ast.Module, ours: set[str]):
        self.tree = tree
        self.paths = _imported(tree)
        self.classes = dict.fromkeys(ours, OURS)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                kinds = [self._class(base) for base in node.bases]
                self.classes[node.name] = next((kind for kind in kinds if kind), "")
        self.kinds: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and (kind := self._kind(node.value)):
                self.kinds |= {name: kind for target in node.targets if (name := dotted(target))}

    def __iter__(self) -> Iterator[Finding]:
        renamed = set()  # files of weights that must be written, and so read, under another name
        for node in ast.walk(self.tree):
            for name, note in self._stops(node):
                if isinstance(node, ast.Call) and name in ("save_weights", "ModelCheckpoint") and WEIGHTS in note:
                    renamed.add(_file(node))
                yield Finding(getattr(node, "lineno", 1), name, INSTEAD, note)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _called(node) == "load_weights" and (path := _file(node)) in renamed:
                yield Finding(node.lineno, "load_weights", INSTEAD, f"load_weights({_renamed(path or '', WEIGHTS)!r})")

    def _path(self, node: ast.AST) -> str:
        """Returns a dotted name by what its first part was imported as; `tensorflow.keras` and `tf.keras` are `keras`."""
        first, *rest = dotted(node).split(".")
        path = ".".join([self.paths.get(first, first), *rest])
        return path.removeprefix("tensorflow.") if path.startswith("tensorflow.keras") else path

    def _class(self, node: ast.AST) -> str:
        path = self._path(node)
        if path.split(".")[-1] in ("Model", "Sequential", "Functional") and path.startswith("keras"):
            return KERAS
        name = dotted(node)
        return self.classes.get(name, "") or self.classes.get(name.split(".")[-1], "")

    def _kind(self, node: ast.AST) -> str:
        """Returns what an expression gives: `OURS`, `KERAS` or "" for anything else."""
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in ("from_pretrained", "from_config"):
                called = called.value
            return self._class(called)
        return self.kinds.get(dotted(node), "")

    def _stops(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """Yields `(form, what to write instead)` for one node."""
        if isinstance(node, (ast.Attribute, ast.Import, ast.ImportFrom)):
            yield from self._names(node)
        if isinstance(node, ast.Call):
            method, path = _called(node), _file(node)
            kind = self._kind(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            yield from _files(method, kind, given, path)
            yield from _calls(method, kind, given)
        if isinstance(node, ast.Constant) and node.value == "TF_USE_LEGACY_KERAS":
            yield "TF_USE_LEGACY_KERAS", "nothing: remove the line, tf.keras is Keras 3"

    def _names(self, node: ast.Attribute | ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Attribute):
            name, path = dotted(node), self._path(node)
            paths = [path]
            if node.attr in PARTS and not isinstance(node.value, ast.Name):
                yield f".{node.attr}", f".{PARTS[node.attr]}"
            if node.attr == "lr" and name.split(".")[-2:-1] in (["optimizer"], ["opt"]):
                yield name, name.removesuffix("lr") + "learning_rate"
            tensorflows = self.paths.get(name.split(".")[0], "").startswith("tensorflow")
            if path.startswith("keras.backend.") and not tensorflows and path.split(".")[2] not in BACKEND:
                yield name, "`from tensorflow.keras import backend`, or the function of `keras.ops`"
        elif isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        else:
            paths = [f"{node.module}.{alias.name}" for alias in node.names]
        for path in paths:
            if path.split(".")[0] == "tf_keras":
                yield path, "keras"
            for start, note in DOTTED.items():
                if path.removeprefix("tensorflow.").startswith(start + "."):
                    yield path, note


def _files(method: str, kind: str, given: dict[str | None, ast.expr], path: str | None) -> Iterator[tuple[str, str]]:
    """What is written and read: Keras 3 tells formats by the end of a name."""
    if method == "save_weights" and kind == KERAS:
        if path is not None and not path.endswith(WEIGHTS):
            yield "save_weights", f"save_weights({_renamed(path, WEIGHTS)!r})"
        elif {"save_format", "options"} & set(given):
            yield "save_weights", "save_weights without `save_format` and `options`"
    elif method == "load_weights" and kind == KERAS and path and not path.endswith((".h5", ".hdf5", ".keras")):
        yield "load_weights", "a file that ends in .weights.h5; a TensorFlow checkpoint cannot be read"
    elif method == "save" and kind == KERAS and path and not path.endswith((".keras", ".h5", ".hdf5")):
        yield "save", f"save({path + '.keras'!r}), or export({path!r}) for a SavedModel"
    elif method == "load_model" and path and not path.endswith((".keras", ".h5", ".hdf5")):
        yield "load_model", f"load_model({path + '.keras'!r}) of a file that Keras 3 saved"
    elif method == "ModelCheckpoint" and path:
        weights = getattr(given.get("save_weights_only"), "value", False)
        if weights and not path.endswith(WEIGHTS):
            yield "ModelCheckpoint", f"ModelCheckpoint({_renamed(path, WEIGHTS)!r}, ...)"
        elif not weights and not path.endswith((".keras", ".h5")):
            yield "ModelCheckpoint", f"ModelCheckpoint({_renamed(path, '.keras')!r}, ...)"
    elif method == "open" and path and path.endswith("tf_model.h5"):
        yield "open", "model.safetensors: save_pretrained writes that"


def _calls(method: str, kind: str, given: dict[str | None, ast.expr]) -> Iterator[tuple[str, str]]:
    if method in OPTIMIZERS and "lr" in given:
        yield f"{method}(lr=...)", f"{method}(learning_rate=...)"
    if method in TOKENIZER_METHODS:
        yield method, "tokenizer(text, ...), which does all of it"
    if method == "compile" and kind == KERAS:
        metrics = given.get("metrics")
        if isinstance(metrics, (ast.Call, ast.Constant)) and getattr(metrics, "value", True) is not None:
            yield "compile(metrics=...)", "metrics=[...], a list"


def _imported(tree: ast.Module) -> dict[str, str]:
    """Returns what each imported name stands for: `{"K": "keras.backend", "tf": "tensorflow"}`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _called(call: ast.Call) -> str:
    """Returns what is called, of a method its name alone."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)


def _file(call: ast.Call) -> str | None:
    """Returns the file that is written or read, if it is written out: the first argument, or `filepath`."""
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "filepath")]
    text = getattr(given[0], "value", None) if given else None
    return text if isinstance(text, str) else None


def _renamed(path: str, end: str) -> str:
    for old in (".hdf5", ".h5", ".ckpt", ".weights"):
        path = path.removesuffix(old)
    return path + end
