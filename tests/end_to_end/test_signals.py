# SPDX-License-Identifier: MIT
"""A signal to any one rank: a checkpoint, exit 75 on all, and the same bits later."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hpcapp.failure import read_status

ROOT = Path(__file__).parent.parent.parent
SMALL = "configs/small/laplace.yaml"
LONG = ["parameters.tolerance=0", "parameters.max_iterations=4000"]
LONG += ["parameters.shape=[301, 301]", "parameters.check_every=16"]
SETTINGS = [part for setting in LONG for part in ("--set", setting)]


def process_of(target, rank):
    """Return the process of a rank that computes in a run directory."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            environ = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = os.fsencode(target) in arguments and arguments[1:3] == [b"-m", b"hpcapp"]
        if mine and f"PMI_RANK={rank}".encode() in environ:
            return int(entry.name)
    raise AssertionError(f"no rank {rank} in {target}")


def start(mpirun, ranks, target, *options):
    """Start a long run; return when it computes."""
    process = subprocess.Popen(
        mpirun.command(ranks, "run", SMALL, "-o", str(target), *SETTINGS, *options),
        cwd=ROOT,
        env=mpirun.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if (read_status(target) or {}).get("fraction", 0) > 0:
            return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError(process.communicate())


@pytest.fixture(scope="module")
def undisturbed(mpirun, tmp_path_factory):
    """Return the directory of a run that nobody has disturbed."""
    target = tmp_path_factory.mktemp("undisturbed") / "r"
    done = mpirun(2, "run", SMALL, "-q", "-o", str(target), *SETTINGS)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize(
    ("name", "rank"), [("SIGTERM", 2), ("SIGINT", 0), ("SIGUSR1", 1)]
)
def test_a_signal_to_any_one_rank_stops_all(
    mpirun, hpcapp, tmp_path, undisturbed, name, rank
):
    target = tmp_path / "r"
    process = start(mpirun, 3, target)
    victim, number = process_of(target, rank), getattr(signal, name)
    # what batch systems do: several within a moment are one
    for _ in range(3):
        os.kill(victim, number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert f"laplace: stopped ({name}), not finished" in out
    assert read_status(target)["state"] == "stopped"
    done = mpirun(2, "resume", str(target), "-q")
    assert done.returncode == 0, done.stderr
    same = hpcapp("compare", target, undisturbed)
    assert same.returncode == 0, same.stdout


def test_the_end_of_a_slurm_job_is_a_wall_time(mpirun, tmp_path):
    # a job that has some seconds left; SLURM_JOB_ID alone does not mean srun
    end = str(int(time.time()) + 6)
    options = ["--set", "parameters.max_iterations=100000000"]
    done = mpirun(
        2,
        *("run", SMALL, "-o", str(tmp_path / "r"), *SETTINGS, *options),
        SLURM_JOB_ID="1",
        SLURM_JOB_END_TIME=end,
        HYDRA_RMK="user",
        HYDRA_BOOTSTRAP="fork",
    )
    assert done.returncode == 75, done.stderr
    assert "stopped (end of the batch job)" in done.stdout
