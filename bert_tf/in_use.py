"""The options of a finished model in use, exported, for many files or behind HTTP; `bert_tf.settings` has the others, and the commands."""

from dataclasses import dataclass

from bert_tf.options import Group, option, unrecorded


@dataclass(frozen=True)
class Bulk(Group):
    """many files"""

    engine: str = unrecorded(
        "keras",
        "what runs the model: keras, in this process; ray, workers of a Ray cluster, or on the cores of this machine "
        "(pip install bert-tf[ray])",
        choices=("keras", "ray"),
    )
    workers: int | None = unrecorded(
        None,
        "workers of Ray, each with its own model and its share of the cores",
        least=1,
        absent="one for each GPU, or core",
    )


@dataclass(frozen=True)
class Serving(Group):
    """serving"""

    host: str = unrecorded(
        "127.0.0.1",
        "address to listen on; 0.0.0.0 = every network of this machine. Requests are neither encrypted nor authenticated: use "
        "another address only on a network you trust, or behind a proxy",
        metavar="ADDRESS",
    )
    port: int = unrecorded(8000, "port to listen on; 0 = a free one", least=0, most=65535)
    max_batch: int = unrecorded(64, "most texts of different requests that are classified together", least=1)
    max_wait: float = unrecorded(
        5.0, "milliseconds that a text waits for others while nothing is computed", metavar="MS", least=0, most=10_000
    )
    max_queue: int = unrecorded(1024, "texts that may wait; beyond it requests get 503 and should come again", least=1)
    max_texts: int = unrecorded(256, "most texts of one request; a request with more gets 422", least=1)
    max_characters: int = unrecorded(20_000, "most characters of a text; a longer one gets 422", least=1)
    max_body: int = unrecorded(2_000_000, "most bytes of a request; a larger one gets 413", metavar="BYTES", least=100)


@dataclass(frozen=True)
class Export(Group):
    """export"""

    to: str = option(
        "onnx",
        "format: onnx, for onnxruntime, transformers.js and optimum; openvino; litert (TensorFlow Lite); saved-model, for TensorFlow "
        "Serving; keras, a .keras file",
        choices=("onnx", "openvino", "litert", "saved-model", "keras"),
    )
    int8: bool = option(False, "write a second file with 8-bit weights too: a quarter of the size, and faster")
    sample: int = option(200, "texts to judge by, drawn at random", least=1)
    max_drift: float = option(1e-4, "largest difference of a logit from the model's own, in float32", least=0)
    min_agreement: float | None = option(
        None, "smallest share of texts with the model's own answer", least=0, most=1, absent="1, of an 8-bit file 0.98"
    )
    max_loss: float = option(
        0.01,
        "how much worse accuracy may become (of several labels micro F1; of numbers the mean error, by this share)",
        least=0,
    )
    without_tfidf: bool = option(False, "export a model that is blended with TF-IDF without this second part")
