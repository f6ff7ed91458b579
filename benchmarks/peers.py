"""Runs the sides of a comparison, each in a process of its own and each peer in a virtual environment of its own.

A side is a script in peers/: it takes a JSON of settings as its argument and prints a line of JSON as its last.
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

# Each peer's requirements; of several lists the first that can be installed. The +cpu keeps gigabytes of CUDA away.
# tensorflow-text 2.21.0 cannot be imported (https://github.com/tensorflow/text/issues/1541), and needs `tensorflow` itself.
PINS = {
    "kerashub": [["keras-hub==0.32.0", "tensorflow==2.21.0", "tensorflow-text==2.21.1"]],
    "transformers4": [["transformers==4.57.6", "tf-keras==2.21.0", "tensorflow-cpu==2.21.0", "huggingface-hub<1.0"]],
    "pytorch": [["transformers==5.23.0", f"torch==2.13.0{cpu}", "numpy", "safetensors"] for cpu in ("+cpu", "")],
}
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",  # everything is local: what would ask a hub is a mistake
    "KERAS_BACKEND": "tensorflow",
}


class PeerError(Exception):
    """A side that could not be installed or run; says why."""


def make_all(names: Iterable[str], venvs: Path) -> dict[str, str]:
    """Returns the Python of each side, making the environments that are not there."""
    return {name: sys.executable if name == OURS else make(name, venvs) for name in sorted(names)}


def make(name: str, venvs: Path) -> str:
    """Returns the Python of a peer's environment, made where there is none. One that is there is never changed."""
    folder = venvs.absolute() / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if folder.exists():
        if wrong := _differences(python, PINS[name][-1]):
            raise PeerError(f"{folder}: has not what {name} needs ({wrong}). Remove it, or choose another --venvs.")
        return str(python)
    print(f"{name}: making {folder}, with {' '.join(PINS[name][0])}", file=sys.stderr, flush=True)
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
    except BaseException:  # also when stopped: half an environment would look like a whole one
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return str(python)


def _call(name: str, command: list) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        what = " ".join(map(str, command[1:]))
        raise PeerError(
            f"{name}: could not be installed; this failed: python {what}\n{_tail(done.stdout + done.stderr)}"
        )


def _differences(python: Path, requirements: list[str]) -> str:
    """Says in what an environment differs from the pinned versions; "" = in nothing."""
    code = "import importlib.metadata as m; print({d.metadata['Name'].replace('_', '-').lower(): d.version for d in m.distributions()})"
    try:
        there = ast.literal_eval(subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout)
    except (OSError, SyntaxError):
        return f"no Python that runs at {python}"
    pins = dict(requirement.split("==") for requirement in requirements if "==" in requirement)
    wrong = [f"{n} {there.get(n, 'missing')}, not {v}" for n, v in pins.items() if there.get(n, "").split("+")[0] != v]
    return "; ".join(wrong)


def run(name: str, python: str, settings: dict) -> dict:
    """Runs one job of a side; returns what it reports, and `wall_s`, the seconds from its start to its end."""
    script = Path(__file__).resolve().parent / "peers" / f"{name}.py"
    # Ours is the bert_tf beside this folder; a peer sees nothing of it.
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
