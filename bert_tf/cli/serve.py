"""`bert-tf serve`."""

import sys

from bert_tf import terminal
from bert_tf.cli.options import add_options, given
from bert_tf.quiet import load_backend
from bert_tf.settings import SERVE

LOOPBACK = ("127.", "::1", "localhost")


def add_serve(commands) -> None:
    command = commands.add_parser(
        "serve",
        usage="bert-tf serve MODEL [OPTIONS]",
        help="serve a model over HTTP, with a page to try it",
        description='Serves a model: POST /predict takes {"inputs": "a text"} or a list of texts and answers label and score, as '
        "Hugging Face's pipelines do; texts of concurrent requests are classified together. GET / is a page to try a text and see "
        "why, GET /health and GET /metrics (Prometheus) are for machines. Ctrl-C or SIGTERM ends it when what has come in is answered.",
        epilog="Example: bert-tf serve runs/reviews/model --port 8080",
    )
    command.add_argument("model", metavar="MODEL", help="folder of a fine-tuned model (or a name on the hub)")
    add_options(command, SERVE, sources=False)
    command.set_defaults(run=_serve)


def _serve(options) -> None:
    model = options.model
    del options.model
    settings = given(options, SERVE)
    from bert_tf.cli.options import models_task
    from bert_tf.serving.server import bind, check, check_installed, serve

    check_installed()
    models_task([model])
    chosen = SERVE.settings(**settings).serving
    check(chosen)
    bound = bind(chosen)
    if not chosen.host.startswith(LOOPBACK):
        warning = f"Open to the network at {chosen.host}: requests are neither encrypted nor authenticated."
        terminal.say(warning, sys.stderr)
    load_backend()
    serve(model, listening=bound, **settings)
