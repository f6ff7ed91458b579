"""A server for one model, in this process."""

import contextlib
import os
import socket
from typing import Any

from bert_tf import extras
from bert_tf.in_use import Serving
from bert_tf.options import with_options
from bert_tf.settings import SERVE, Settings


@with_options(SERVE)
def serve(model: str | os.PathLike, *, listening: socket.socket | None = None, settings: Settings) -> None:
    """Serves a classifier over HTTP until the process is told to stop.

    `POST /predict` takes {"inputs": "a text"}, or a list of texts; for a model of pairs
    {"text": ..., "text_pair": ...} in place of each text. With {"parameters": {"top_k": 2}} it
    answers the two likeliest classes. Answers have the form of Hugging Face's pipelines. Texts of
    concurrent requests are classified together. `GET /` is a page to try a text, with the reasons;
    `GET /health` says which model it is, `GET /metrics` counts, for Prometheus. On Ctrl-C or SIGTERM
    the server takes no new requests, answers those that it has, and ends.

    Args:
        model: folder or hub name of a classifier.
        listening: a bound socket to use instead of `host` and `port`.
        {options}
    Raises: OSError if the port is taken; ImportError if FastAPI, uvicorn or prometheus_client is not
        installed; ValueError for a model that is no classifier.

    >>> serve("runs/reviews/model", port=8000)
    """
    check_installed()
    chosen = settings.serving
    check(chosen)
    bound = listening or bind(chosen)
    import uvicorn

    from bert_tf.inference.predict import Classifier
    from bert_tf.serving.app import make_app

    classifier = Classifier(model, engine="keras")
    pairs = getattr(classifier.model.config, "text_pairs", False)
    classifier([("a", "b") if pairs else "a"])  # traces the program, so that the first request need not wait for it
    app = make_app(classifier, chosen, os.fspath(model))
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="on")
    bound.listen(config.backlog)  # who comes before the server runs, waits
    print(f"Serving {model} at {address(bound)} (Ctrl-C stops it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # raised again when all that had come in is answered
        uvicorn.Server(config).run(sockets=[bound])


def check_installed() -> None:
    """Raises ImportError if what a server needs is missing."""
    extras.check_installed("serve", "fastapi", "uvicorn", "prometheus_client")


def check(chosen: Serving) -> None:
    """Raises ValueError for options that exclude each other."""
    if chosen.max_queue < chosen.max_texts:
        raise ValueError(
            "`max_queue` must be at least `max_texts`, else the largest requests are never answered. Received: "
            f"max_queue={chosen.max_queue}, max_texts={chosen.max_texts}"
        )


def bind(chosen: Serving) -> socket.socket:
    """Returns a socket at the address; nothing is answered there yet. Raises OSError if that cannot be."""
    bound = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(chosen.host, chosen.port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
    except OSError as error:
        if bound is not None:
            bound.close()
        what = f"{chosen.host} port {chosen.port}: cannot listen there ({error.strerror or error})."
        raise OSError(
            f"{what} Choose another with host and port (--host, --port; --port 0 takes a free one)."
        ) from error
    return bound


def address(bound: Any) -> str:
    """Returns the address of a socket for a browser."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
