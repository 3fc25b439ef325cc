# SPDX-License-Identifier: MIT
"""The benchmark of GPUs runs in the simulator, and finds its answers right."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

# Numba's generator warns in the simulator, and orbits that are out overflow
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def measured(world, monkeypatch):
    """Return the report of the whole benchmark, tiny."""
    if world.size > 1:
        pytest.skip("takes seconds: one rank does")
    monkeypatch.syspath_prepend(str(ROOT))
    from tests.benchmarks.gpu.measure import measure

    return measure(quick=False)


def test_every_rung_runs_and_every_answer_is_right(measured, tmp_path):
    wrong = [check.text for check in measured.checks if not check.holds]
    assert wrong == []
    failed = [row for row in measured.rows if str(row[3]).startswith("failed")]
    assert failed == []
    assert all(len(row) == len(measured.columns) for row in measured.rows)
    tasks = {row[0] for row in measured.rows}
    assert len(tasks) == 11
    with_course = {row[0] for row in measured.rows if row[1].startswith("course")}
    assert tasks - with_course == {"laplace multigrid"}
    for task in tasks:
        names = [row[1] for row in measured.rows if row[0] == task]
        assert any(name.startswith("hpcapp") for name in names)
        assert "hpcapp, CPU" in names
    text = measured.text()
    assert "Numba's CUDA simulator" in text
    assert "| task | what | size |" in text
    # speeds are no matter here
    assert measured.requirements == []
    measured.write(tmp_path / "gpu.json")
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert found["gpu"] == "Numba's CUDA simulator"
    assert len(found["rows"]) == len(measured.rows)
    assert all(check["holds"] is True for check in found["checks"])
