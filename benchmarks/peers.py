"""Runs the sides of a comparison: each in its own process, each peer in its own virtual environment.

A side is a script in peers/. It takes its settings as JSON in its only argument and prints a line of JSON last.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venv-benchmarks"
OURS = "ours"  # runs in the Python that runs the benchmark

# The requirements of each peer; of several lists the first that can be installed. +cpu avoids gigabytes of CUDA.
# tensorflow-text 2.21.0 cannot be imported (https://github.com/tensorflow/text/issues/1541), and needs `tensorflow` itself.
PINS = {
    "kerashub": [["keras-hub==0.32.0", "tensorflow==2.21.0", "tensorflow-text==2.21.1"]],
    "transformers4": [["transformers==4.57.6", "tf-keras==2.21.0", "tensorflow-cpu==2.21.0", "huggingface-hub<1.0"]],
    "pytorch": [["transformers==5.23.0", f"torch==2.13.0{cpu}", "numpy", "safetensors"] for cpu in ("+cpu", "")],
}
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",  # everything is local: a request to the hub is a mistake
    "KERAS_BACKEND": "tensorflow",
}


class PeerError(Exception):
    """A side could not be installed or run; the message says why."""


def make_all(names: Iterable[str], venvs: Path) -> dict[str, str]:
    """Returns the Python of each side; creates the environments that are missing."""
    return {name: sys.executable if name == OURS else make(name, venvs) for name in sorted(names)}


def make(name: str, venvs: Path) -> str:
    """Returns the Python of a peer's environment, which is created if missing and never changed afterwards."""
    folder = venvs.absolute() / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if folder.exists():
        if wrong := _differences(python, PINS[name][-1]):
            raise PeerError(
                f"{folder}: does not have what {name} needs ({wrong}). Remove it, or choose another --venvs."
            )
        return str(python)
    print(f"{name}: creating {folder} with {' '.join(PINS[name][0])}", file=sys.stderr, flush=True)
    venvs.mkdir(parents=True, exist_ok=True)
    if venvs == VENVS:
        (venvs / ".gitignore").write_text("*\n")
    try:
        _call(name, [sys.executable, "-m", "venv", folder])
        for requirements in PINS[name]:
            try:
                _call(name, [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
                break
            except PeerError:
                if requirements is PINS[name][-1]:
                    raise
    except BaseException:  # also when interrupted: half an environment would look complete
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return str(python)


def _call(name: str, command: list) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        what = " ".join(map(str, command[1:]))
        raise PeerError(f"{name}: installation failed at: python {what}\n{_tail(done.stdout + done.stderr)}")


def _differences(python: Path, requirements: list[str]) -> str:
    """Says how an environment differs from the pinned versions; "" = not at all."""
    code = "import importlib.metadata as m; print({d.metadata['Name'].replace('_', '-').lower(): d.version for d in m.distributions()})"
    try:
        installed = ast.literal_eval(subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout)
    except (OSError, SyntaxError):
        return f"no working Python at {python}"
    pins = dict(requirement.split("==") for requirement in requirements if "==" in requirement)
    wrong = [
        f"{n} {installed.get(n, 'missing')}, not {v}"
        for n, v in pins.items()
        if installed.get(n, "").split("+")[0] != v
    ]
    return "; ".join(wrong)


def run(name: str, python: str, settings: dict) -> dict:
    """Runs one job of a side; returns what it reports, and `wall_s`, the seconds from start to end."""
    script = Path(__file__).resolve().parent / "peers" / f"{name}.py"
    # Our side uses the bert_tf next to this folder; a peer does not see it.
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT) if name == OURS else ""}
    started = time.perf_counter()
    command = [python, str(script), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    wall = time.perf_counter() - started
    if done.returncode:
        raise PeerError(f"{name} ({settings['job']}) failed with exit code {done.returncode}.\n{_tail(done.stderr)}")
    try:
        return {**json.loads(done.stdout.strip().splitlines()[-1]), "wall_s": wall}
    except (IndexError, ValueError):
        raise PeerError(f"{name} ({settings['job']}) reported nothing.\n{_tail(done.stdout + done.stderr)}") from None


def ours(job: str, **settings) -> dict:
    """Runs one of our own jobs."""
    return run(OURS, sys.executable, {"job": job, **settings})


def _tail(text: str, size: int = 2000) -> str:
    return text.strip()[-size:]
