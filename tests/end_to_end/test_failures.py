# SPDX-License-Identifier: MIT
"""Failures of one rank in every phase: the job ends soon, says why and how to go on."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from hpcapp.failure import read_status

ROOT = Path(__file__).parent.parent.parent
FAULTY = str(ROOT / "tests" / "own" / "faulty.py")

# phase: the rank that fails where it matters, and what the traceback calls the phase
PHASES = {
    "configuration": (0, "setup"),
    "plan": (0, "setup"),
    "compile": (1, "compile"),
    "compute": (2, "compute"),
    "exchange": (1, None),
    "write": (2, "io"),
    "finish": (1, "setup"),
}
WORKLOADS = ["laplace", "mandelbrot", "montecarlo-pi", "series-kempner"]
SOME = ["laplace", "mandelbrot", "montecarlo-pi", "series-kempner"] * 2


def cases(names):
    """Return one workload for each name, the others marked slow."""
    chosen = list(zip(names, SOME, strict=False))
    return [
        pytest.param(name, workload, marks=() if quick else pytest.mark.slow)
        for name in names
        for workload in WORKLOADS
        for quick in [(name, workload) in chosen]
    ]


def strike(mpirun, tmp_path, phase, rank, workload, *options):
    """Run with a fault on one of 3 ranks; return the process and seconds to its end."""
    command = mpirun.command(3, "run")[:-3]
    target = tmp_path / "r"
    config = str(ROOT / "configs" / "small" / f"{workload}.yaml")
    arguments = ["run", config, "-o", str(target), "--set", "output.writer=direct"]
    done = subprocess.run(
        [*command, FAULTY, phase, str(rank), str(tmp_path), *arguments, *options],
        cwd=ROOT,
        env=mpirun.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    ended = time.time()
    return done, ended - float((tmp_path / "struck").read_text())


@pytest.mark.parametrize(("phase", "workload"), cases(list(PHASES)))
def test_a_defect_in_any_phase_ends_the_job(mpirun, tmp_path, phase, workload):
    rank, name = PHASES[phase]
    done, seconds = strike(mpirun, tmp_path, phase, rank, workload)
    assert done.returncode == 1, done.stderr
    assert seconds < 10
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert f"hpcapp: rank {rank} of 3 on " in done.stderr
    assert name is None or f", phase {name}: unexpected error" in done.stderr
    assert f"ZeroDivisionError: planted on rank {rank}" in done.stderr
    target = tmp_path / "r"
    assert not (target / "result.nc").exists()
    if phase in ("configuration", "plan"):
        assert not target.exists()
        return
    assert "there is no checkpoint; start the run again" in done.stderr
    crash = json.loads((target / f"crash-rank{rank}.json").read_text())
    assert crash["error"] == f"ZeroDivisionError: planted on rank {rank}"
    assert "ZeroDivisionError" in crash["traceback"]
    status = read_status(target)
    assert status["state"] == "failed"
    assert "ZeroDivisionError: planted on" in status["error"]


@pytest.mark.parametrize(("how", "workload"), cases(["kill", "stop"]))
def test_a_rank_that_is_killed_or_stopped_ends_the_job(mpirun, tmp_path, how, workload):
    options = ["--set", "checkpoint.every=0.001 s"] if workload == "laplace" else []
    done, seconds = strike(mpirun, tmp_path, how, 1, workload, *options)
    assert seconds < 10
    # the code after a kill is the launcher's own
    assert done.returncode == 1 if how == "stop" else done.returncode not in (0, 75)
    target = tmp_path / "r"
    assert not (target / "result.nc").exists()
    error = read_status(target)["error"]
    crash = json.loads((target / "crash-rank1.json").read_text())
    if how == "kill":
        assert error.endswith("was killed or ended without a word")
        assert done.stderr.count("was killed or ended without a word") == 1
    else:
        assert "stalled: was stopped or has ended, silent for " in error
        # the others say where they wait
        assert done.stderr.count("in drive") == 2, done.stderr
        other = json.loads((target / "crash-rank2.json").read_text())
        assert "in drive" in other["traceback"]
    assert crash["rank"] == 1
    if options:
        assert "checkpoint-0000" in crash["checkpoint"]
        assert f"go on with: {crash['resume']}\n" in done.stderr
        again = mpirun(2, "resume", str(target))
        assert again.returncode == 0, again.stderr
        names = {path.name for path in target.iterdir()}
        assert names == {"result.nc", "run.yaml", "status.json", "log.txt"}
