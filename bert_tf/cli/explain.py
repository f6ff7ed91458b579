"""`bert-tf explain`."""

import json
import sys

from bert_tf import terminal
from bert_tf.cli import early
from bert_tf.cli.options import output_file
from bert_tf.quiet import load_backend


def add_explain(commands) -> None:
    command = commands.add_parser(
        "explain",
        usage="bert-tf explain MODEL --text TEXT [OPTIONS]",
        help="say which words spoke for and against a class, and what attention looked at",
        description="Says why a model gives texts their classes: each word's share in the answer (integrated gradients), with a "
        "check on it, and with --html the attention of every layer and head.",
        epilog='Example: bert-tf explain runs/reviews/model --text "Broke after a day." --html why.html',
    )
    command.add_argument("model", metavar="MODEL", help="folder of a fine-tuned model (or a name on the hub)")
    text = "a text; may be given several times"
    command.add_argument("--text", action="append", required=True, metavar="TEXT", help=text)
    command.add_argument("--target", metavar="CLASS", help="the class to explain (default: the one predicted)")
    command.add_argument("--html", metavar="FILE", help="write an interactive page that needs no network")
    text = "print JSON: the words, where they are, their attributions"
    command.add_argument("--json", action="store_true", help=text)
    command.set_defaults(run=_explain)


def _explain(options) -> None:
    page = output_file("--html", options.html, ".html", ".htm")
    early.check_model(options.model)
    load_backend()
    from bert_tf.explanation.explain import explain
    from bert_tf.inference.predict import load_classifier

    model, tokenizer = load_classifier(options.model)
    found = []
    with terminal.Bar("Explaining", len(options.text), "text") as bar:
        for text in options.text:
            found.append(explain(model, text, tokenizer, target=options.target, attentions=bool(page)))
            bar.update()
    if page:
        from bert_tf.explanation.page import write_page

        write_page(page, found)
    if options.json:
        print(json.dumps([explanation.as_dict() for explanation in found], indent=2, ensure_ascii=False))
    elif page:
        print(f"Written: {page}")
    else:
        from bert_tf.explanation.terminal import render

        print("\n\n\n".join(render(explanation, terminal.colours(sys.stdout)) for explanation in found))
