# SPDX-License-Identifier: MIT
"""Failures of one rank in every phase: the job ends soon, says why and how to go on."""

import itertools
import json
import subprocess
import time
from pathlib import Path

import pytest

from hpcapp.discovery import workload_names
from hpcapp.failure import read_status

ROOT = Path(__file__).parent.parent.parent
SMALL = "configs/small/laplace.yaml"
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


def small(name):
    """Return the name of the plainest small configuration of a workload."""
    found = [path.stem for path in (ROOT / "configs" / "small").glob(f"{name}*.yaml")]
    return min(found, key=lambda stem: (len(stem), stem))


WORKLOADS = [small(name) for name in workload_names()]


def cases(names, first=0):
    """Return every workload for each name, all but one each marked slow."""
    quick = {
        (name, WORKLOADS[number % len(WORKLOADS)])
        for number, name in enumerate(names, first)
    }
    return [
        pytest.param(*case, marks=() if case in quick else pytest.mark.slow)
        for case in itertools.product(names, WORKLOADS)
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


@pytest.mark.parametrize(("how", "workload"), cases(["kill", "stop"], 1))
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
        # the launcher may have ended the others before anybody looked
        said = done.stderr.count("was killed or ended without a word")
        assert 1 <= said <= 3
        assert "hpcapp: rank 1 on " in done.stderr
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


# --- disks


def lines(text):
    """Return the lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()]


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a file system of 2 MB, and a function that enlarges it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size):
        options = f"size={size}" + (",remount" if folder.is_mount() else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True).returncode

    if mount("2m"):
        pytest.skip("cannot mount a small file system here")
    yield folder, mount
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    "writer", ["direct", pytest.param("gather", marks=pytest.mark.slow)]
)
def test_a_full_disk_ends_the_run_and_its_checkpoints_stay(mpirun, small_disk, writer):
    folder, mount = small_disk
    target = folder / "r"
    options = ["parameters.tolerance=0", "parameters.max_iterations=400"]
    options += ["parameters.shape=[301, 301]", "parameters.check_every=16"]
    options += ["checkpoint.every=0.001 s", f"output.writer={writer}"]
    settings = [part for option in options for part in ("--set", option)]
    # two checkpoints of 0.7 MB find room, a third one does not
    done = mpirun(2, "run", SMALL, "-o", str(target), *settings)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (said,) = [line for line in lines(done.stderr) if "000003.nc: cannot" in line]
    assert said.startswith(f"hpcapp: {target}/checkpoints/checkpoint-000003.nc: ")
    assert said.endswith("No space left on device")
    assert f"the last checkpoint is {target}/checkpoints/checkpoint-000002.nc" in (
        done.stderr
    )
    names = sorted(path.name for path in (target / "checkpoints").iterdir())
    assert names == [f"checkpoint-00000{n}.{s}" for n in (1, 2) for s in ("json", "nc")]
    mount("20m")
    again = mpirun(3, "resume", str(target))
    assert again.returncode == 0, again.stderr
    assert "damaged" not in again.stderr


def test_a_directory_that_vanishes_ends_the_run_with_a_word(mpirun, tmp_path):
    options = ["--set", "parameters.tolerance=0", "--set", "checkpoint.every=0.5 s"]
    options += ["--set", "parameters.max_iterations=100000000"]
    target = tmp_path / "r"
    process = subprocess.Popen(
        mpirun.command(2, "run", SMALL, "-o", str(target), *options),
        cwd=ROOT,
        env=mpirun.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not list(target.glob("checkpoints/*.json")) and time.monotonic() < until:
        time.sleep(0.05)
    moved = tmp_path / "moved"
    target.rename(moved)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "No such file or directory" in said
    assert not target.exists()
    again = mpirun(1, "resume", str(moved), "--set", "run.wall_time=2 s")
    assert again.returncode == 75, again.stderr
