"""Several devices that share a batch: parts of a processor here, in a process of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT

import bert_tf
from bert_tf.backends import devices


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_several_devices_give_the_numbers_of_one(backend, tiny, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    plain = shutil.copytree(tiny, tmp_path / "plain")
    if backend == "tensorflow":  # whose devices draw the same random numbers, each for its share of a batch
        config = json.loads((plain / "config.json").read_text())
        rates = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}
        (plain / "config.json").write_text(json.dumps(config | rates))
    script = Path(__file__).with_name("on_devices.py")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, script, plain, tmp_path], env=environment, capture_output=True, text=True)
    assert "same on several devices" in done.stdout, done.stderr


@pytest.mark.slow
def test_several_machines_give_the_numbers_of_one(tiny, tmp_path):
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    script, environment = Path(__file__).with_name("on_machines.py"), {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    losses = {}
    for machines in (1, 2):
        running = [
            subprocess.Popen([sys.executable, script, str(i), str(machines), address, tiny, tmp_path], **options)
            for i in range(machines)
        ]
        ended = [each.communicate(timeout=300) for each in running]
        assert [each.returncode for each in running] == [0] * machines, ended
        losses[machines] = [[float(loss) for loss in out.splitlines()[-1].split()] for out, _ in ended]
    np.testing.assert_allclose(losses[2], losses[1] * 2, rtol=1e-5)
    one, two = (
        bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tmp_path / name).get_weights() for name in "12"
    )
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_on_pytorch_it_is_said(monkeypatch, reviews, tmp_path):
    class Torch:
        devices = staticmethod(lambda: ["cuda:0", "cuda:1"])

    monkeypatch.setattr(devices, "_backend", lambda: Torch)
    with pytest.raises(ValueError, match="on PyTorch Keras computes on one device. For several use TensorFlow or JAX"):
        bert_tf.finetune(reviews, devices="all", output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
def test_all_devices_of_a_search_may_be_one(monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):  # its texts are read, so it is not refused
        bert_tf.search(tmp_path / "nowhere.csv", devices="all", output_dir=tmp_path / "search")
    monkeypatch.setattr(devices._backend(), "devices", lambda: ["GPU:0", "GPU:1"])
    with pytest.raises(ValueError, match="A search on several devices needs JAX .* Received: devices='all'"):
        bert_tf.search(tmp_path / "nowhere.csv", devices="all", output_dir=tmp_path / "search")


@pytest.mark.parametrize("wrong", [0, "some", True, 1.5])
def test_a_wrong_number_is_refused(wrong, reviews):
    with pytest.raises(ValueError, match="`devices` must be a number of devices, at least 1, or 'all'"):
        bert_tf.finetune(reviews, devices=wrong)


def test_a_worker_takes_one(reviews, tmp_path):
    with pytest.raises(ValueError, match="A worker computes on one device. Received: worker='a', devices=2"):
        bert_tf.search(reviews, worker="a", devices=2, output_dir=tmp_path / "search")
