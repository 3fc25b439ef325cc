# SPDX-License-Identifier: MIT
"""The notebooks run from top to bottom, and check their own answers."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "launch" / "notebooks").glob("*.ipynb"))


@pytest.mark.medium
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    pytest.importorskip("jupyterlab", reason="the extra notebook is not installed")
    browser = all(map(shutil.which, ("chromium", "chromedriver")))
    if path.stem == "tour" and browser and find_spec("selenium"):
        pytest.skip("all its cells are run in a browser, by test_browser.py")
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    if not Path(sys.executable).with_name("mpirun").exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    paths = os.environ.get("PYTHONPATH")
    monkeypatch.setenv(
        "PYTHONPATH", f"{ROOT}{os.pathsep}{paths}" if paths else str(ROOT)
    )
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    nbformat = pytest.importorskip("nbformat")
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
