"""What clients send, read and checked: anything wrong is a status and a sentence."""

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from bert_tf.data.gates import Text, well_formed
from bert_tf.in_use import Serving

EXPECTED = (
    'Expected JSON such as {"inputs": "a text"}, or {"inputs": ["a text", "another"], "parameters": {"top_k": 2}}.'
)


class RefusedError(Exception):
    """A request that is not answered as asked: the HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str, **headers: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Question(NamedTuple):
    """
    texts: str or pairs of str.
    single: whether it was one text, not a list.
    top_k: how many classes are asked for; None = all, 0 = not said.
    """

    texts: list[Text]
    single: bool
    top_k: int | None


async def body_of(request: Any, most: int) -> bytes:
    """Returns the body of a request; raises RefusedError if it has more than `most` bytes, as soon as that is known."""
    too_large = RefusedError(413, f"The request is larger than {most:,} bytes. Send the texts in several requests.")
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def question_of(body: bytes, pairs: bool, limits: Serving) -> Question:
    """Reads the body of a request for predictions.

    Args:
        pairs: whether the model takes pairs of texts, {"text": ..., "text_pair": ...}.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"The body is not valid JSON. {EXPECTED}") from error
    if not isinstance(values, dict) or "inputs" not in values:
        raise RefusedError(422, f"The body has no inputs. {EXPECTED}")
    parameters = values.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise RefusedError(422, f"parameters: expected an object. {EXPECTED}")
    unknown = [
        *(values.keys() - {"inputs", "parameters"}),
        *(f"parameters.{name}" for name in parameters if name != "top_k"),
    ]
    if unknown:
        raise RefusedError(422, f"{min(unknown)}: is not known. {EXPECTED}")
    inputs, top_k = values["inputs"], parameters.get("top_k", 0)
    if "top_k" in parameters and top_k is not None and (type(top_k) is not int or top_k < 1):
        raise RefusedError(422, "parameters.top_k: expected a whole number of at least 1, or null for all classes.")
    single = not isinstance(inputs, list)
    rows = [inputs] if single else inputs
    if not rows:
        raise RefusedError(422, f"inputs: is an empty list. {EXPECTED}")
    if len(rows) > limits.max_texts:
        raise RefusedError(
            422,
            f"inputs: has {len(rows):,} texts, at most {limits.max_texts:,} are taken. Send them in several requests.",
        )
    return Question(
        [text_of(row, "inputs" if single else f"inputs[{i}]", pairs, limits) for i, row in enumerate(rows)],
        single,
        top_k,
    )


def text_of(row: Any, name: str, pairs: bool, limits: Serving) -> Text:
    """Checks one text, or pair of texts."""
    if not pairs:
        if isinstance(row, dict):
            raise RefusedError(422, f"{name}: expected a text, a string. The model was trained on single texts.")
        return checked(row, name, limits)
    if not isinstance(row, dict) or row.keys() != {"text", "text_pair"}:
        raise RefusedError(
            422, f'{name}: expected {{"text": ..., "text_pair": ...}}. The model was trained on pairs of texts.'
        )
    return (checked(row["text"], f"{name}.text", limits), checked(row["text_pair"], f"{name}.text_pair", limits))


def checked(text: Any, name: str, limits: Serving) -> str:
    """Returns a text that the model can read."""
    if not isinstance(text, str):
        kinds = {
            bool: "true or false",
            int: "a number",
            float: "a number",
            list: "a list",
            dict: "an object",
            type(None): "null",
        }
        raise RefusedError(422, f"{name}: expected a text, a string; it is {kinds[type(text)]}.")
    if len(text) > limits.max_characters:
        raise RefusedError(422, f"{name}: has {len(text):,} characters, at most {limits.max_characters:,} are taken.")
    if not well_formed(text):
        raise RefusedError(422, f"{name}: has half a character (a lone surrogate).")
    return text


def form_of(body: bytes) -> dict[str, str]:
    """Reads the body of a form of a page."""
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict")
    except ValueError as error:
        raise RefusedError(400, "Expected a form with the field text.") from error
    return {name: values[-1] for name, values in found.items()}
