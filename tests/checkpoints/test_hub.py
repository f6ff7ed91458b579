"""Up to the hub and down from it, against a hub of our own on this machine: real HTTP, the real client."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from conftest import GOLDEN

import bert_tf

COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """The few addresses of the Hugging Face hub that up- and downloading a small model need."""

    repos: ClassVar[dict[str, dict[str, bytes]]] = {}

    def _answer(self, status: int, body: bytes = b"", **headers) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, values, status: int = 200) -> None:
        self._answer(status, json.dumps(values).encode(), Content_Type="application/json")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlparse(self.path).path
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
            self.repos.setdefault(name, {})
            self._json({"url": f"http://{self.headers['Host']}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif path.endswith("/commit/main"):
            name = "/".join(path.split("/")[3:5])
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.repos[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self._json({"commitUrl": f"http://{self.headers['Host']}/{name}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self._json({"error": f"not here: {path}"}, 404)

    def do_GET(self):
        path = unquote(urlparse(self.path).path)
        if path == "/api/whoami-v2":
            self._json({"name": "somebody", "type": "user", "orgs": [], "auth": {"accessToken": {"role": "write"}}})
            return
        parts = path.strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = self.repos.get(name)
        if files is None:
            self._answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif "tree" in parts:
            self._json(
                [{"type": "file", "path": f, "size": len(files[f]), "oid": f"{len(files[f]):040}"} for f in files]
            )
        elif parts[0] == "api":
            siblings = [{"rfilename": file} for file in files]
            self._json({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})
        elif (file := "/".join(parts[4:])) in files:
            self._answer(200, files[file], ETag=f'"{len(files[file])}"', X_Repo_Commit=COMMIT)
        else:
            self._answer(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    Hub.repos = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def run(code: str, hub: str, tmp_path) -> str:
    """In a process of its own: the client reads its settings when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1",
                   "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", f"import bert_tf\n{code}"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_up_and_down_again(hub, tmp_path):
    run(
        f"""
model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained({str(GOLDEN / "v4/distilbert_h5")!r})
model.push_to_hub("reviews")
tokenizer = bert_tf.AutoTokenizer.from_pretrained({str(GOLDEN / "v4/distilbert_h5")!r})
import keras
import numpy as np
model.compile("adam")
callback = bert_tf.PushToHubCallback("out", tokenizer=tokenizer, hub_model_id="somebody/pushed", tags="reviews")
model.fit(np.ones((4, 3), "int32"), np.zeros(4, "int32"), callbacks=[callback], verbose=0)
model.save_pretrained("saved", push_to_hub=True, repo_id="third")
again = bert_tf.TFAutoModelForSequenceClassification.from_pretrained("somebody/pushed")
ours, theirs = (keras.ops.convert_to_numpy(each(np.ones((2, 3), "int32")).logits) for each in (model, again))
assert np.array_equal(ours, theirs)
assert len(bert_tf.load_tokenizer("somebody/pushed")("great value")["input_ids"]) == 4
""",
        hub,
        tmp_path,
    )
    assert set(Hub.repos["somebody/reviews"]) == {"config.json", "model.safetensors"}
    assert set(Hub.repos["somebody/third"]) == {"config.json", "model.safetensors"}
    pushed = Hub.repos["somebody/pushed"]
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(pushed)
    card = pushed["README.md"].decode()
    assert "- reviews" in card
    assert "| epoch | loss |" in card


@pytest.mark.slow
def test_a_repository_with_h5_alone(hub, tmp_path):
    folder = GOLDEN / "v4/distilbert_h5"
    Hub.repos["somebody/old"] = {file.name: file.read_bytes() for file in folder.iterdir()}
    Hub.repos["somebody/old"]["flax_model.msgpack"] = b"not wanted"
    printed = run(
        """
model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained("somebody/old")
print(model.config.id2label)
""",
        hub,
        tmp_path,
    )
    assert "{0: 'negative', 1: 'positive'}" in printed
    assert not list((tmp_path / "hf").rglob("flax_model.msgpack"))


def test_a_name_that_is_not_there(hub, tmp_path):
    printed = run(
        """
try:
    bert_tf.TFDistilBertForSequenceClassification.from_pretrained("somebody/nothing")
except FileNotFoundError as error:
    print(error)
""",
        hub,
        tmp_path,
    )
    assert "Unknown checkpoint 'somebody/nothing'" in printed


@pytest.mark.slow
def test_model_card_escapes_and_tells_the_history(tmp_path):
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(GOLDEN / "distilbert_tiny")
    model.compile("adam", metrics=["accuracy"])
    model.fit(model.dummy_inputs, np.array([0, 1, 2]), epochs=2, verbose=0)
    model.create_model_card(tmp_path / "card", "<script>x</script>", language="en", license="mit", dataset="imdb")
    card = (tmp_path / "card/README.md").read_text()
    header, body = card.split("---\n")[1:3]
    assert "license: mit" in header
    assert "datasets:\n- imdb" in header
    assert "<script>" not in body
    assert "| epoch | accuracy | loss |" in body
    assert [line[:3] for line in body.splitlines() if line.startswith("| ")] == ["| e", "| 1", "| 2"]
    assert "learning_rate: 0.001" in body
