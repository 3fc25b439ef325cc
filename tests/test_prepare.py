# SPDX-License-Identifier: MIT
"""Laws of the way from a command to a session: what is told, and what is touched."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import netCDF4
import pytest

from hpcapp.errors import ConfigError
from hpcapp.log import Log
from hpcapp.prepare import Request, prepare
from hpcapp.status import Lock
from hpcapp.stops import Stops

SMALL = "configs/small/laplace.yaml"


class Once:
    """Three ranks that take part in one broadcast from rank 0, and nothing else."""

    size, rank, root = 3, 0, True

    def on_root(self, function):
        """Do it, once."""
        self.on_root = None
        return function()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rnu: {}", ":2: rnu: unknown key"),
        ("run: {process_grid: [2, 2]}", ":2: run.process_grid: must not need more"),
        ("parameters: {boundary: {left: 1/x}}", ":2: parameters.boundary.left: must"),
        ("output: {directory: '${NOPE}'}", ":2: output.directory: the environment"),
    ],
)
def test_a_fault_is_told_before_anything_else_is_communicated(tmp_path, line, message):
    path = tmp_path / "c.yaml"
    path.write_text(f"workload: laplace\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        prepare(Once(), Request(str(path), environ={}), Log(False), Stops())
    assert str(caught.value).startswith(f"{path}{message}")
    assert list(tmp_path.iterdir()) == [path]


def test_a_workload_without_cuda_kernels_says_so_at_once(tmp_path):
    path, own = tmp_path / "c.yaml", Path(__file__).parent / "own" / "quadrature.py"
    path.write_text(f"workload: {own}\nrun: {{device: cuda}}\n")
    with pytest.raises(ConfigError) as caught:
        prepare(Once(), Request(str(path), environ={}), Log(False), Stops())
    assert str(caught.value) == (
        f"{path}:2: run.device: cuda asked for, but this workload has kernels for the "
        "CPU only; or use device: cpu, or auto to allow the CPU"
    )


# --- going on, while others are at work


def run(root, *arguments):
    """Run hpcapp, or a script, on one rank."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def stopped(root, tmp_path_factory):
    """Return the directory of a run that was stopped, with one checkpoint."""
    target = tmp_path_factory.mktemp("stopped") / "r"
    settings = ["parameters.tolerance=0", "parameters.max_iterations=100000000"]
    options = [part for s in (*settings, "run.wall_time=1 s") for part in ("--set", s)]
    done = run(root, "-m", "hpcapp", "run", SMALL, "-o", target, *options)
    assert done.returncode == 75, done.stderr
    return target


def test_what_another_run_is_at_work_on_is_not_judged(root, tmp_path, stopped):
    target = tmp_path / "r"
    shutil.copytree(stopped, target)
    newest = target / "checkpoints" / "checkpoint-000001.nc"
    newest.write_bytes(newest.read_bytes()[:-1])
    held = Lock(str(target))
    before = sorted(path.name for path in newest.parent.iterdir())
    done = run(root, "-m", "hpcapp", "resume", target)
    held.release()
    assert done.returncode == 2, done.stderr
    assert f"{target}: in use by another run (process " in done.stderr
    assert "damaged" not in done.stderr
    assert sorted(path.name for path in newest.parent.iterdir()) == before
    alone = run(root, "-m", "hpcapp", "resume", target)
    assert "checkpoint-000001.nc: damaged: has " in alone.stderr


# another run writes a checkpoint and removes the one before it until it ends
ENDING = """
import os, sys
import mpi4py
mpi4py.rc.initialize = False
import hpcapp.run_directory as module
taken = module.Lock
def lock(directory):
    for kind in ("nc", "json"):
        path = os.path.join(directory, "checkpoints", "checkpoint-00000{}." + kind)
        os.rename(path.format(1), path.format(2))
    return taken(directory)
module.Lock = lock
from hpcapp.__main__ import main
main()
"""


@pytest.mark.parametrize("verb", ["resume", "run"])
def test_what_a_run_goes_on_from_is_chosen_once_nobody_else_is_there(
    root, tmp_path, stopped, verb
):
    target = tmp_path / "r"
    shutil.copytree(stopped, target)
    first = [target] if verb == "resume" else [target / "run.yaml", "-o", target]
    options = ["--resume"] if verb == "run" else []
    done = run(root, "-c", ENDING, verb, *first, *options, "--set", "run.wall_time=1 s")
    assert done.returncode == 75, done.stderr
    assert f"going on from {target}/checkpoints/checkpoint-000002.nc" in done.stderr


def test_a_refused_run_leaves_the_directory_as_it_was(root, tmp_path, stopped):
    target = tmp_path / "r"
    shutil.copytree(stopped, target)
    (target / "crash-rank1.json").write_text("{}")
    before = sorted(target.rglob("*"))
    done = run(root, "-m", "hpcapp", "resume", target, "--set", "run.seed=5")
    assert done.returncode == 2
    assert "run.seed: must not change when a run goes on, was 0, got 5" in done.stderr
    assert sorted(target.rglob("*")) == before


DYING = """
import os
import mpi4py
mpi4py.rc.initialize = False
import hpcapp.driver
hpcapp.driver._Run._finish = lambda self, state: os._exit(9)
from hpcapp.__main__ import main
main()
"""


def test_a_run_goes_on_only_with_the_inputs_that_it_began_with(root, tmp_path):
    target, book = tmp_path / "r", tmp_path / "b.txt"
    text = "To be, or not to be: that is the question.\n" * 50
    (tmp_path / "a.txt").write_text(text)
    book.write_text(text)
    inputs = f"parameters.inputs=[{tmp_path}/a.txt, {book}]"
    options = ["-o", target, "--set", inputs, "--set", "checkpoint.every=0.001 s"]
    killed = run(root, "-c", DYING, "run", "configs/small/words.yaml", *options)
    assert killed.returncode == 9, killed.stderr
    (target / ".lock").unlink()
    before = sorted(target.rglob("*"))
    book.write_text(text.replace("question", "quest!on"))
    done = run(root, "-m", "hpcapp", "resume", target)
    assert done.returncode == 2, done.stderr
    assert f"hpcapp: {book}: must not change when a run goes on: file 2" in done.stderr
    assert sorted(target.rglob("*")) == before
    # the same bytes at another time are the same input
    book.write_text(text)
    done = run(root, "-m", "hpcapp", "resume", target)
    assert done.returncode == 0, done.stderr
    with netCDF4.Dataset(target / "result.nc") as file:
        digests = [entry["sha256"] for entry in json.loads(file.hpcapp_inputs)]
    assert digests == [hashlib.sha256(text.encode()).hexdigest()] * 2
