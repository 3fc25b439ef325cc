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
# those before a run directory is taken
EARLY = ("configuration", "plan")
FAULTS = ("raise", "kill", "stop")
# seconds in which a job must be over, counted from its fault
BOUND = 10


def small(name):
    """Return the name of the plainest small configuration of a workload."""
    found = [path.stem for path in (ROOT / "configs" / "small").glob(f"{name}*.yaml")]
    return min(found, key=lambda stem: (len(stem), stem))


WORKLOADS = [small(name) for name in workload_names()]


def cases(fault):
    """Return every phase with every workload; all but one of each phase are slow.

    Those that are not are spread such that each workload gets faults in several phases.
    """
    first = FAULTS.index(fault) * len(PHASES)
    quick = {
        (phase, WORKLOADS[number % len(WORKLOADS)])
        for number, phase in enumerate(PHASES, first)
    }
    return [
        pytest.param(*case, marks=() if case in quick else pytest.mark.slow)
        for case in itertools.product(PHASES, WORKLOADS)
    ]


def strike(mpirun, tmp_path, fault, phase, workload, *settings):
    """Run with a fault on one of 3 ranks; return the process and seconds to its end."""
    command = mpirun.command(3, "run")[:-3]
    target, rank = tmp_path / "r", PHASES[phase][0]
    config = str(ROOT / "configs" / "small" / f"{workload}.yaml")
    options = ["run", config, "-o", str(target)]
    for setting in ("output.writer=direct", *settings):
        options += ["--set", setting]
    done = subprocess.run(
        [*command, FAULTY, fault, phase, str(rank), str(tmp_path), *options],
        cwd=ROOT,
        env=mpirun.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    ended = time.time()
    return done, ended - float((tmp_path / "struck").read_text())


@pytest.mark.parametrize(("phase", "workload"), cases("raise"))
def test_a_defect_in_any_phase_ends_the_job(mpirun, tmp_path, phase, workload):
    rank, name = PHASES[phase]
    done, seconds = strike(mpirun, tmp_path, "raise", phase, workload)
    assert done.returncode == 1, done.stderr
    assert seconds < BOUND
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert f"hpcapp: rank {rank} of 3 on " in done.stderr
    assert name is None or f", phase {name}: unexpected error" in done.stderr
    assert f"ZeroDivisionError: planted on rank {rank}" in done.stderr
    target = tmp_path / "r"
    assert not (target / "result.nc").exists()
    if phase in EARLY:
        assert not target.exists()
        return
    assert "there is no checkpoint; start the run again" in done.stderr
    crash = json.loads((target / f"crash-rank{rank}.json").read_text())
    assert crash["error"] == f"ZeroDivisionError: planted on rank {rank}"
    assert "ZeroDivisionError" in crash["traceback"]
    status = read_status(target)
    assert status["state"] == "failed"
    assert "ZeroDivisionError: planted on" in status["error"]


def check_loss(mpirun, tmp_path, done, phase):
    """Check what is left and said of a lost rank; go on from a checkpoint."""
    target, rank = tmp_path / "r", PHASES[phase][0]
    assert not (target / "result.nc").exists()
    if phase in EARLY:
        assert not target.exists()
        return
    crash = json.loads((target / f"crash-rank{rank}.json").read_text())
    assert crash["rank"] == rank
    assert crash["resume"] == f"mpirun -np 3 python -m hpcapp resume {target}"
    assert read_status(target)["state"] == "failed"
    if not crash["checkpoint"]:
        assert phase not in ("compute", "finish")
        assert "there is no checkpoint; start the run again" in done.stderr
        return
    said = f"hpcapp: the last checkpoint is {crash['checkpoint']} ("
    assert said in done.stderr
    assert f"go on with: {crash['resume']}\n" in done.stderr
    again = mpirun(2, "resume", str(target))
    assert again.returncode == 0, again.stderr
    names = {path.name for path in target.iterdir()}
    assert names == {"result.nc", "run.yaml", "status.json", "log.txt", "trace.npz"}


@pytest.mark.parametrize(("phase", "workload"), cases("kill"))
def test_a_rank_that_is_killed_in_any_phase_ends_the_job(
    mpirun, tmp_path, phase, workload
):
    every = "checkpoint.every=0.001 s"
    done, seconds = strike(mpirun, tmp_path, "kill", phase, workload, every)
    # the launcher's own code: no rank is left to say another
    assert done.returncode == 9, done.stderr
    assert seconds < BOUND
    check_loss(mpirun, tmp_path, done, phase)
    if phase not in EARLY:
        # the launcher may have ended the others before anybody looked
        assert 1 <= done.stderr.count("was killed or ended without a word") <= 3
        assert f"hpcapp: rank {PHASES[phase][0]} on " in done.stderr


@pytest.mark.parametrize(("phase", "workload"), cases("stop"))
def test_a_rank_that_is_stopped_in_any_phase_ends_the_job(
    mpirun, tmp_path, phase, workload
):
    every = "checkpoint.every=0.001 s"
    done, seconds = strike(mpirun, tmp_path, "stop", phase, workload, every)
    assert done.returncode == 1, done.stderr
    assert seconds < BOUND
    rank = PHASES[phase][0]
    assert "hpcapp: " in done.stderr
    assert f"rank {rank}, phase " in done.stderr
    assert "stalled: was stopped or has ended, silent for " in done.stderr
    # the others say where they wait
    assert done.stderr.count("in prepare" if phase in EARLY else "in drive") >= 2
    check_loss(mpirun, tmp_path, done, phase)


def test_ranks_that_wait_for_one_another_end_the_job(mpirun, tmp_path):
    config, target = tmp_path / "c.yaml", tmp_path / "r"
    config.write_text(
        "workload: tests.own.deadlock\nrun: {stall: 8 s}\n"
        "checkpoint: {every: 0.001 s}\noutput: {writer: direct}\n"
    )
    done = mpirun(3, "run", str(config), "-o", str(target))
    assert done.returncode == 1, done.stderr
    assert "no rank of the job goes on" in done.stderr
    for rank in range(3):
        assert f"rank {rank}, phase compute: stalled: waits for others" in done.stderr
        crash = json.loads((target / f"crash-rank{rank}.json").read_text())
        assert crash["error"].startswith("stalled: waits for others, silent for ")
        assert "in receive" in crash["traceback"]
        assert "checkpoint-0000" in crash["checkpoint"]
    assert done.stderr.count("in receive") == 3
    said = f"hpcapp: the last checkpoint is {crash['checkpoint']} ("
    assert said in done.stderr
    assert f"go on with: mpirun -np 3 python -m hpcapp resume {target}\n" in done.stderr
    assert read_status(target)["state"] == "failed"


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
