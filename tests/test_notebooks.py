"""The notebooks in examples/notebooks run from top to bottom, and what they keep is small."""

import json

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.name)
def test_a_notebook_keeps_its_outputs_and_is_small(notebook):
    assert notebook.stat().st_size < 1_000_000
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    shown = [output.get("data", {}) for output in outputs]
    assert sum("image/png" in data or "data:image/" in "".join(data.get("text/html", "")) for data in shown) >= 3
    assert sum("text/html" in output.get("data", {}) for output in outputs) >= 5
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == [*range(1, len(counts) + 1)]  # run once, from the top
    text = notebook.read_text(encoding="utf-8")
    assert "/home/" not in text
    assert "/root/" not in text


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.name)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("TEXTS", "40")
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    run = nbclient.NotebookClient(
        nbformat.read(notebook, as_version=4), timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert all(cell["execution_count"] for cell in run.cells if cell.cell_type == "code")
