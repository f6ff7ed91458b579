"""`bert-tf serve`: a real process, real requests, a real browser."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from conftest import ROOT

import bert_tf
from bert_tf.cli.main import main
from bert_tf.in_use import Serving
from bert_tf.inference.predict import Classifier

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

HOSTILE = """</script><script>window.hacked=1</script> <img src=x onerror=window.hacked=1> good\u2028thing"""


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """An untrained classifier of two classes on disk."""
    keras.utils.set_random_seed(5)
    folder = tmp_path_factory.mktemp("serving") / "model<b>"
    names = {0: "bad", 1: "very good"}
    bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, id2label=names).save_pretrained(folder)
    bert_tf.load_tokenizer(tiny).save_pretrained(folder)
    return folder


@contextlib.contextmanager
def served(folder, *options):
    """Runs the command; yields its process and port."""
    command = [sys.executable, "-m", "bert_tf.cli", "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        found = re.search(r"at http://127.0.0.1:(\d+) ", line)
        assert found, (line, process.stderr.read())
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def port(folder):
    with served(folder, "--max-body", "50000", "--max-texts", "40", "--max-characters", "2000") as (_, port):
        yield port


def asked(port, path, body=None, method=None, **headers):
    """Returns status, headers and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    content = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
    with contextlib.closing(connection):
        connection.request(method or ("GET" if body is None else "POST"), path, content, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def predicted(port, inputs, **parameters):
    body = {"inputs": inputs, **({"parameters": parameters} if parameters else {})}
    status, _, content = asked(port, "/predict", body)
    assert status == 200, content
    return json.loads(content)


def test_answers_have_the_form_of_pipelines_and_equal_predict(port, folder):
    texts = ["good", "really bad " * 30, HOSTILE, ""]
    expected = bert_tf.predict(folder, texts)
    found = predicted(port, texts)
    assert [row["label"] for row in found] == expected.labels
    assert np.allclose([row["score"] for row in found], expected.scores, atol=1e-6)
    (single,) = predicted(port, "good")
    assert single["label"] == found[0]["label"]
    every = predicted(port, texts, top_k=None)
    assert [rows[0]["label"] for rows in every] == expected.labels
    assert np.allclose([sum(row["score"] for row in rows) for rows in every], 1, atol=1e-6)
    assert [len(rows) for rows in predicted(port, texts, top_k=1)] == [1] * 4
    assert [row["label"] for row in predicted(port, "good", top_k=9)] == [row["label"] for row in every[0]]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("text=good", 400, "The body is not valid JSON. Expected JSON such as"),
        ("[" * 20_000, 400, "The body is not valid JSON."),
        (["good"], 422, "The body has no inputs."),
        ({"inputs": []}, 422, "inputs: is an empty list."),
        ({"inputs": ["a", 3]}, 422, "inputs[1]: expected a text, a string; it is a number."),
        ({"inputs": None}, 422, "inputs: expected a text, a string; it is null."),
        (
            {"inputs": {"text": "a", "text_pair": "b"}},
            422,
            "inputs: expected a text, a string. The model was trained on",
        ),
        ({"inputs": ["a"] * 41}, 422, "inputs: has 41 texts, at most 40 are taken. Send them in several requests."),
        ({"inputs": "a" * 2001}, 422, "inputs: has 2,001 characters, at most 2,000 are taken."),
        ('{"inputs": "\\ud800"}', 422, "inputs: has half a character (a lone surrogate)."),
        ({"inputs": "a", "top_k": 2}, 422, "top_k: is not known."),
        ({"inputs": "a", "parameters": {"top_k": 0}}, 422, "parameters.top_k: expected a whole number of at least 1"),
        ({"inputs": "a", "parameters": {"top_k": True}}, 422, "parameters.top_k: expected a whole number"),
        ({"inputs": "a", "parameters": [1]}, 422, "parameters: expected an object."),
        ({"inputs": "a" * 60_000}, 413, "The request is larger than 50,000 bytes."),
    ],
)
def test_wrong_requests_get_a_status_and_a_sentence(port, body, status, says):
    found, headers, content = asked(port, "/predict", body)
    assert (found, headers["content-type"]) == (status, "application/json")
    assert json.loads(content)["error"].startswith(says)


def test_a_body_that_does_not_say_its_size_is_cut_off(port):
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(13):  # 53,248 bytes
            connection.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_addresses_for_machines(port, folder):
    status, _, content = asked(port, "/health")
    assert (status, json.loads(content)["labels"]) == (200, ["bad", "very good"])
    predicted(port, ["good", "bad"])
    status, headers, content = asked(port, "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert 'bert_tf_requests_total{code="200",path="/predict"}' in content
    assert "bert_tf_queue_texts 0.0" in content
    assert 'bert_tf_batch_texts_bucket{le="2.0"}' in content
    status, _, content = asked(port, "/nowhere")
    assert (status, "POST /predict" in json.loads(content)["error"]) == (404, True)
    assert asked(port, "/predict")[0] == 405
    assert 'path="other"' in asked(port, "/metrics")[2]


def test_a_stop_answers_what_is_waiting_and_a_full_queue_says_when_to_come_again(folder):
    options = ("--max-wait", "3000", "--max-queue", "4", "--max-texts", "4")
    with served(folder, *options) as (process, port), ThreadPoolExecutor() as pool:
        waiting = pool.submit(predicted, port, ["good", "bad", "fine"])
        deadline = time.monotonic() + 60
        while "bert_tf_queue_texts 3.0" not in asked(port, "/metrics")[2]:
            assert time.monotonic() < deadline
        status, headers, content = asked(port, "/predict", {"inputs": ["one", "more"]})
        assert (status, headers["retry-after"]) == (503, "1")
        assert "Try again in a second" in json.loads(content)["error"]
        process.send_signal(signal.SIGTERM)
        assert len(waiting.result(60)) == 3
        process.wait(60)
        assert process.stderr.read() == ""
        with pytest.raises(ConnectionRefusedError):
            asked(port, "/health")


def test_the_page_in_a_browser(port, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def title(_):
        return [each.text for each in browser.find_elements(By.TAG_NAME, "h1")]

    browser.get(f"http://127.0.0.1:{port}/")
    assert browser.find_element(By.CSS_SELECTOR, "header .soft").text.endswith("model<b>")
    area = browser.find_element(By.ID, "text")
    browser.execute_script("arguments[0].value = arguments[1]", area, HOSTILE)
    browser.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(browser, 120).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "iframe.filled"))
    assert browser.find_element(By.ID, "state").text == ""
    browser.switch_to.frame("answer")
    assert re.fullmatch("Why the model said \u201c(bad|very good)\u201d", title(browser)[0])
    words = browser.find_element(By.ID, "words")
    assert words.get_property("textContent") == HOSTILE
    assert browser.execute_script("return window.hacked") is None
    next(each for each in words.find_elements(By.TAG_NAME, "button") if each.text == "good").click()
    assert "good" in browser.find_element(By.ID, "word-readout").text
    browser.switch_to.default_content()
    assert browser.execute_script("return window.hacked") is None
    browser.execute_script("arguments[0].value = ' '; arguments[0].form.requestSubmit()", area)
    browser.switch_to.frame("answer")
    WebDriverWait(browser, 60).until(lambda _: title(browser) == ["Write a text first."])
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    own = rf"(data:.*|http://127.0.0.1:{port}/(explain|favicon.ico)?)"
    assert [address for address in sent if not re.fullmatch(own, address, re.DOTALL)] == []
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [said for said in severe if "422" not in said and "favicon" not in said] == []


def test_wrong_options_are_one_line(folder, tiny, capsys):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        for more, says in [
            (
                [str(folder), "--port", str(taken.getsockname()[1])],
                "cannot listen there (Address already in use). Choose",
            ),
            ([str(folder), "--max-queue", "3"], "--max-queue must be at least --max-texts"),
            ([str(folder), "--port", "70000"], "--port must be at most 65535"),
            ([str(tiny)], "has no classification head"),
        ]:
            assert main(["serve", *more]) == 2
            assert says in capsys.readouterr().err


@pytest.mark.slow
def test_a_thousand_requests_by_32_clients_lose_none(port, folder):
    texts = [f"text number {i}: " + "word " * (i * 7 % 23) for i in range(1000)]
    expected = bert_tf.predict(folder, texts)
    seconds, found, lock = [], {}, threading.Lock()

    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        with contextlib.closing(connection):
            for i in range(number, 1000, 32):
                started = time.perf_counter()
                connection.request("POST", "/predict", json.dumps({"inputs": texts[i]}))
                answer = connection.getresponse()
                content = json.loads(answer.read())
                with lock:
                    found[i] = (answer.status, content)
                    seconds.append(time.perf_counter() - started)

    with ThreadPoolExecutor(32) as pool:
        [*pool.map(client, range(32))]
    assert {status for status, _ in found.values()} == {200}
    rows = [found[i][1][0] for i in range(1000)]
    assert [row["label"] for row in rows] == expected.labels
    assert np.allclose([row["score"] for row in rows], expected.scores, atol=1e-5)
    p50, p95 = (f"{1000 * each:.0f} ms" for each in np.percentile(seconds, [50, 95]))
    print(f"p50 {p50}, p95 {p95}")


def in_process(folder, **options):
    """A client of the application for a model, without a server between."""
    pytest.importorskip("httpx")
    from starlette.testclient import TestClient

    from bert_tf.serving.app import make_app

    return TestClient(make_app(Classifier(folder), Serving(**options), "the model"))


def test_a_number_is_served(saved):
    folder = saved("served-number", 3, id2label={0: "stars"}, problem_type="regression")
    (expected,) = bert_tf.predict(folder, ["good"]).values
    with in_process(folder) as client:
        for body in ({"inputs": ["good"]}, {"inputs": "good"}):
            (row,) = client.post("/predict", json=body).json()
            assert row == {"label": "stars", "score": pytest.approx(expected, abs=1e-5)}
        assert client.get("/health").json()["task"] == "regression"
        answer = client.post("/explain", data={"text": "good"})
        assert (answer.status_code, f"The model says {row['score']:g}" in answer.text) == (200, True)


def test_pairs_are_served(saved):
    names = {0: "apart", 1: "together"}
    folder = saved("served-pairs", 4, id2label=names, problem_type="single_label_classification", text_pairs=True)
    pairs = [("Is it loud?", "Not at all."), ("Does it fit?", "It is blue.")]
    expected = bert_tf.predict(folder, pairs)
    inputs = [{"text": first, "text_pair": second} for first, second in pairs]
    with in_process(folder) as client:
        rows = client.post("/predict", json={"inputs": inputs}).json()
        assert [row["label"] for row in rows] == expected.labels
        assert np.allclose([row["score"] for row in rows], expected.scores, atol=1e-6)
        for wrong in ("Is it loud?", {"text": "Is it loud?"}):
            refused = client.post("/predict", json={"inputs": wrong})
            assert refused.status_code == 422
            assert 'inputs: expected {"text": ..., "text_pair": ...}.' in refused.json()["error"]
        assert 'name="text_pair"' in client.get("/").text
        answer = client.post("/explain", data=inputs[0])
        assert (answer.status_code, f"\u201c{expected.labels[0]}\u201d" in answer.text) == (200, True)
