"""The application behind HTTP: what each address answers. `bert_tf.serving.server` runs it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from bert_tf.data.gates import Text
from bert_tf.explanation.explain import explain
from bert_tf.explanation.page import page
from bert_tf.in_use import Serving
from bert_tf.inference.predict import Classifier, Predictions, task_of_model
from bert_tf.serving.batching import Batcher, FullError
from bert_tf.serving.metrics import Metrics
from bert_tf.serving.page import HEADERS, answer_page, form_page
from bert_tf.serving.requests import Question, RefusedError, body_of, form_of, question_of, text_of

log = logging.getLogger("bert_tf")

Row = dict[str, Any]


def make_app(classifier: Classifier, limits: Serving, name: str) -> FastAPI:
    """Makes the application for a model, for a server of ASGI such as uvicorn.

    Args:
        classifier: the model.
        limits: how much is taken, and how texts come together; host and port do not matter here.
        name: str, the model's, for people.
    """
    batcher = Batcher(
        lambda texts: _answers(classifier, texts), limits.max_batch, limits.max_wait / 1000, limits.max_queue
    )
    metrics = Metrics(lambda: batcher.texts)
    batcher.seen = metrics.batches.observe

    @contextlib.asynccontextmanager
    async def running(app: FastAPI):
        task = asyncio.create_task(batcher.run())
        yield  # the server answers what has come in before it goes on here
        task.cancel()
        batcher.close()

    app = FastAPI(lifespan=running, openapi_url=None)  # its pages load scripts from elsewhere
    _add_errors(app)
    _add_counting(app, metrics)
    _add_answers(app, classifier, batcher, limits, name)

    @app.get("/metrics")
    async def counts() -> Response:
        content, kind = metrics.text()
        return Response(content, media_type=kind)

    return app


def _add_answers(app: FastAPI, classifier: Classifier, batcher: Batcher, limits: Serving, name: str) -> None:
    """Adds the addresses that the model answers."""
    config = classifier.model.config
    pairs, task = bool(getattr(config, "text_pairs", False)), task_of_model(classifier.model).name
    form = form_page(name, pairs, limits.max_characters)

    async def asked(texts: Sequence[Text]) -> Sequence[list[Row]]:
        return await _or_refused(batcher.ask(texts))

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        question = question_of(await body_of(request, limits.max_body), pairs, limits)
        return JSONResponse(_shaped(question, await asked(question.texts), task))

    @app.get("/")
    async def start() -> HTMLResponse:
        return HTMLResponse(form, headers=HEADERS)

    @app.post("/explain")
    async def why(request: Request) -> HTMLResponse:
        try:
            fields = form_of(await body_of(request, limits.max_body))
            given: Any = fields if pairs else fields.get("text", "")
            text = text_of(given, "The form", pairs, limits)
            if not "".join(text).strip():
                raise RefusedError(422, "Write a text first.")
            if pairs or task == "regression":  # `explain` has no words for these
                (rows,) = await asked([text])
                best = f"{rows[0]['score']:g}" if task == "regression" else f"\u201c{rows[0]['label']}\u201d"
                return HTMLResponse(answer_page(f"The model says {best}", rows), headers=HEADERS)
            return HTMLResponse(await _or_refused(batcher.alone(_explained, classifier, text)), headers=HEADERS)
        except RefusedError as refused:
            return HTMLResponse(answer_page(refused.sentence), refused.status, {**HEADERS, **refused.headers})

    @app.get("/health")
    async def health() -> Row:
        return {"status": "ok", "model": name, "task": task, "labels": [*classifier.model.label_names]}


def _explained(classifier: Classifier, text: str) -> str:
    """Returns the page of an explanation."""
    try:
        return page([explain(classifier.model, text, classifier.tokenizer, max_length=classifier.max_length)])
    except ValueError as error:  # a text without words
        raise RefusedError(422, str(error)) from error


def _answers(classifier: Classifier, texts: list[Text]) -> list[list[Row]]:
    """Returns every class and its score for each text, the likeliest first; of a multi-label model also whether it is predicted."""
    found: Predictions = classifier(texts, progress=False)
    if found.task == "regression":
        return [[{"label": found.label_names[0], "score": float(value)}] for value in found.outputs]
    chosen = found.labels if found.task == "multi-label" else None
    rows = []
    for i, scores in enumerate(found.outputs):
        order = (-scores).argsort(kind="stable")
        every = [{"label": found.label_names[k], "score": float(scores[k])} for k in order]
        if chosen is not None:
            every = [{**row, "predicted": row["label"] in chosen[i]} for row in every]
        rows.append(every)
    return rows


def _shaped(question: Question, answers: Sequence[list[Row]], task: str) -> Any:
    """Returns answers in the form of Hugging Face's pipelines: the best class of each text, or with top_k a list for each text; for a
    multi-label model, where there is no best one, a list of the labels that are predicted."""
    if question.top_k == 0 and task != "multi-label":
        return [rows[0] for rows in answers]
    if question.top_k == 0:
        lists = [[row for row in rows if row["predicted"]] for rows in answers]
    else:
        lists = [rows[: question.top_k] for rows in answers]
    return lists[0] if question.single else lists


async def _or_refused(answer: Any) -> Any:
    """Awaits an answer of the model; raises RefusedError if there is none."""
    try:
        return await answer
    except FullError as error:
        raise RefusedError(503, "Too many texts are waiting. Try again in a second.", Retry_After="1") from error
    except RefusedError:
        raise
    except Exception as error:
        log.exception("A request failed.")
        raise RefusedError(500, "The model failed on this request; the server's log says why.") from error


def _add_errors(app: FastAPI) -> None:
    """Makes every error JSON with a sentence."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": error.sentence}, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        known = {
            404: "There is nothing here. Predictions: POST /predict; a page: GET /.",
            405: "This address takes another method.",
        }
        return JSONResponse({"error": known.get(error.status_code, error.detail)}, error.status_code, error.headers)


def _add_counting(app: FastAPI, metrics: Metrics) -> None:
    @app.middleware("http")
    async def counted(request: Request, call_next: Any) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        metrics.answered(request.url.path, response.status_code, time.perf_counter() - started)
        return response
