# SPDX-License-Identifier: MIT
"""Laws of the end of a job: it comes, whatever can no longer be said or written."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import types

import pytest

from hpcapp import parallel
from hpcapp.clock import Clock
from hpcapp.errors import ConfigError, HpcappError, ResultError
from hpcapp.failure import read_status
from hpcapp.gpu.device import GpuError
from hpcapp.log import say
from hpcapp.mpi.comm import Comm
from hpcapp.parallel import _Job
from hpcapp.status import Status
from hpcapp.stops import Stops
from hpcapp.studies.standing import find_standing

SMALL = "configs/small/laplace.yaml"


class Ended(BaseException):
    """Stands for the end of the process."""


class Alone:
    """One rank of two, whose other does or does not have the same error."""

    size, rank, root = 2, 0, True

    def __init__(self, together=True):
        self.together, self.clock, self.aborted = together, Clock(), []

    def duplicate(self):
        """Return itself."""
        return self

    def broadcast(self, value):
        """Return what rank 0 has."""
        return value

    def meet(self, seconds):
        """Tell whether the other rank came."""
        return self.together

    def abort(self, code):
        """Note the code and come back no more."""
        self.aborted.append(code)
        raise Ended


class Full:
    """A stream that takes nothing."""

    def write(self, text):
        """Refuse."""
        raise OSError(28, os.strerror(28))

    def flush(self):
        """Refuse."""
        raise OSError(28, os.strerror(28))


def refusal(code):
    """Return a function that a file system refuses."""

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    return refuse


def end(comm, error, directory=""):
    """Let a job meet an error; return its code, or that of its abort."""
    job = _Job(comm, types.SimpleNamespace(), (), Stops())
    job.directory = str(directory)

    def fail():
        raise error

    try:
        return job.guard(fail)
    except Ended:
        return comm.aborted[0]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("error", [HpcappError("it broke"), ZeroDivisionError("x")])
def test_a_job_ends_with_its_code_where_nothing_can_be_said(
    monkeypatch, tmp_path, together, error
):
    monkeypatch.setattr(parallel, "GRACE", 0.0)
    monkeypatch.setattr(sys, "stderr", Full())
    monkeypatch.setattr(sys, "stdout", Full())
    assert end(Alone(together), error, tmp_path) == 1
    assert (tmp_path / "crash-rank0.json").exists()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("error", [HpcappError("it broke"), ZeroDivisionError("x")])
def test_a_job_ends_where_its_checkpoints_cannot_be_listed(
    monkeypatch, tmp_path, capsys, together, error, code
):
    monkeypatch.setattr(parallel, "GRACE", 0.0)
    monkeypatch.setattr(os, "listdir", refusal(code))
    (tmp_path / "checkpoints").mkdir()
    Status(str(tmp_path), {}).update("running", force=True)
    assert end(Alone(together), error, tmp_path) == 1
    crash = json.loads((tmp_path / "crash-rank0.json").read_text())
    assert crash["checkpoint"] is None
    assert read_status(tmp_path)["state"] == "failed"
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == (
        f"hpcapp: {tmp_path}/checkpoints: cannot be read: {os.strerror(code)}; once it "
        f"can be, go on with: mpirun -np 2 python -m hpcapp resume {tmp_path}"
    )


@pytest.mark.parametrize("error", [ResultError("damaged"), ConfigError("must be 3")])
def test_a_failure_after_the_start_is_written_down_whatever_its_code(
    tmp_path, capsys, error
):
    Status(str(tmp_path), {}).update("running", force=True)
    assert end(Alone(), error, tmp_path) == 2
    crash = json.loads((tmp_path / "crash-rank0.json").read_text())
    assert crash["error"] == str(error)
    assert read_status(tmp_path)["state"] == "failed"
    assert capsys.readouterr().err.splitlines() == [
        f"hpcapp: {error}",
        f"hpcapp: {tmp_path}: there is no checkpoint; start the run again",
    ]


@pytest.mark.parametrize("error", [HpcappError("it broke"), ZeroDivisionError("x")])
def test_a_job_ends_whatever_goes_wrong_at_its_end(monkeypatch, tmp_path, error):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(parallel, "leave", fail)
    comm = Alone()
    assert end(comm, error, tmp_path) == 1
    assert comm.aborted == [1]


@pytest.mark.parametrize("error", [GpuError("lost"), HpcappError("it broke")])
def test_after_a_gpu_that_failed_nothing_is_cleaned_up(monkeypatch, tmp_path, error):
    left = []

    def leave_at_once(code):
        left.append(code)
        raise Ended

    comm = Alone()
    comm.aborted.append(1)
    monkeypatch.setattr(parallel, "leave_at_once", leave_at_once)
    assert end(comm, error, tmp_path) == 1
    assert left == ([1] if isinstance(error, GpuError) else [])


def test_a_process_that_leaves_at_once_says_what_it_had_to_say_and_no_more():
    script = """
import weakref
from mpi4py import MPI
from hpcapp.mpi.abort import leave_at_once

class Array:
    pass

array = Array()
weakref.finalize(array, print, "given back")
print("said", end="")
leave_at_once(3)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "said", "")


@pytest.mark.parametrize("stream", [Full(), None])
def test_an_abort_comes_where_nothing_can_be_flushed(monkeypatch, stream):
    class Raw:
        def Get_rank(self):  # noqa: N802
            return 0

        Get_size = Get_rank

        def Abort(self, code):  # noqa: N802
            raise Ended(code)

    def leave(code):
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", leave)
    # the one that would end these tests
    monkeypatch.setattr(threading, "Timer", lambda *_: types.SimpleNamespace(start=int))
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(Ended) as caught:
        Comm(Raw()).abort(7)
    assert caught.value.args == (7,)


def test_what_is_said_tells_why_it_was_not(capsys):
    assert say("words", Full()) == "No space left on device"
    assert say("words") == ""
    assert capsys.readouterr().err == "words\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_finished_run_stays_one_where_nobody_can_be_told(root, tmp_path):
    command = [sys.executable, "-m", "hpcapp", "run", SMALL, "-o"]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    for name, streams in (("a", ("stdout",)), ("b", ("stdout", "stderr"))):
        target = tmp_path / name
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*command, str(target)],
                cwd=root,
                env=environ,
                text=True,
                stdin=subprocess.DEVNULL,
                **{"stderr": subprocess.PIPE, **dict.fromkeys(streams, full)},
            )
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in target.iterdir()) == [
            *("log.txt", "result.nc", "run.yaml", "status.json", "trace.npz")
        ]
        if name == "a":
            assert done.stderr.splitlines()[-1] == (
                "hpcapp: warning: standard output cannot be written: No space left on "
                f"device; the run has ended all the same, with {target}/result.nc"
            )


KEEPING = """
import os, sys
import mpi4py
mpi4py.rc.initialize = False
unlink = os.unlink
def refuse(path, *rest, **named):
    if "checkpoints" in str(path) and os.path.exists(path):
        raise PermissionError(13, "Permission denied", path)
    unlink(path, *rest, **named)
os.unlink = refuse
from hpcapp.__main__ import main
main()
"""


@pytest.mark.parametrize(("keep", "code"), [(99, 0), (1, 1)])
def test_checkpoints_that_cannot_be_removed(root, tmp_path, keep, code):
    settings = ["checkpoint.every=0.001 s", f"checkpoint.keep={keep}"]
    options = [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-c", KEEPING, "run", SMALL, "-o", str(tmp_path), *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ".json: cannot be removed: Permission denied" in done.stderr
    assert (tmp_path / "result.nc").exists() == (code == 0)
    assert read_status(tmp_path)["state"] == ("failed" if code else "finished")


KILLED = """
import os, sys
import mpi4py
mpi4py.rc.initialize = False
import hpcapp.driver
hpcapp.driver.clear_after = lambda result: os._exit(9)
from hpcapp.__main__ import main
main()
"""


def alone(root, *arguments):
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
def killed(root, tmp_path_factory):
    """Return the directory of a run that was killed when its result was whole."""
    target = tmp_path_factory.mktemp("killed") / "r"
    options = ["-o", target, "--set", "checkpoint.every=0.001 s"]
    done = alone(root, "-c", KILLED, "run", SMALL, *options)
    assert done.returncode == 9, done.stderr
    assert list((target / "checkpoints").iterdir())
    # the witness, which outlives it, has the last word
    until = time.monotonic() + 60
    while read_status(target)["state"] == "running" and time.monotonic() < until:
        time.sleep(0.05)
    return target


def test_a_run_killed_after_its_result_has_finished(root, killed, tmp_path):
    target = tmp_path / "r"
    shutil.copytree(killed, target)
    result = target / "result.nc"
    before = result.stat().st_mtime_ns
    standing = find_standing(str(target))
    assert standing.state == "finished"
    assert standing.text().splitlines()[-2:] == [
        str(result),
        "it was killed before it could remove its checkpoints: the next run or resume "
        "there does",
    ]
    done = alone(root, "-m", "hpcapp", "resume", target)
    assert done.returncode == 0, done.stderr
    assert "finished already, and nothing more is asked for" in done.stderr
    assert result.stat().st_mtime_ns == before
    names = sorted(path.name for path in target.iterdir())
    assert names == ["log.txt", "result.nc", "run.yaml", "status.json"]
    assert read_status(target)["state"] == "finished"


def test_a_run_killed_after_its_result_is_moved_as_a_finished_one(
    root, killed, tmp_path
):
    target, moved = tmp_path / "r", tmp_path / "r.1"
    shutil.copytree(killed, target)
    before = (target / "result.nc").stat().st_mtime_ns
    done = alone(root, "-m", "hpcapp", "run", SMALL, "-o", target)
    assert done.returncode == 0, done.stderr
    assert f"{target}: the finished run there is now in {moved}" in done.stderr
    for folder, trace in ((target, ["trace.npz"]), (moved, [])):
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["log.txt", "result.nc", "run.yaml", "status.json", *trace]
        assert read_status(folder)["state"] == "finished"
    assert (moved / "result.nc").stat().st_mtime_ns == before


def test_a_run_killed_while_it_extends_its_result_has_not_finished(
    root, killed, tmp_path
):
    target = tmp_path / "r"
    shutil.copytree(killed, target)
    config = target / "run.yaml"
    text = config.read_text()
    config.write_text(text.replace("max_iterations: ", "max_iterations: 9"))
    assert config.read_text() != text
    assert find_standing(str(target)).state == "failed"
    done = alone(root, "-m", "hpcapp", "run", SMALL, "-o", target)
    assert done.returncode == 2
    assert "holds an unfinished run with a checkpoint; go on with" in done.stderr


def test_a_rank_that_a_second_signal_ends_says_how_to_go_on(tmp_path, capsys):
    Status(str(tmp_path), {}).update("running", force=True)
    for _ in range(2):
        # two ranks, of which the first speaks
        job = _Job(Alone(), types.SimpleNamespace(), (), Stops())
        job.directory = str(tmp_path)
        job._give_up("ended at once by a second SIGTERM")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("hpcapp: rank 0 on ")
    assert first.endswith(": ended at once by a second SIGTERM")
    assert second == f"hpcapp: {tmp_path}: there is no checkpoint; start the run again"
    assert read_status(tmp_path)["state"] == "failed"
