# SPDX-License-Identifier: MIT
"""Laws of status.json and of the lock, with readers and owners that are real."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from hpcapp import status as status_module
from hpcapp.errors import Exit, RunDirectoryError
from hpcapp.status import SILENCE, Lock, Status

HOLD = (
    "import sys, time\n"
    "from hpcapp.status import Lock\n"
    "lock = Lock(sys.argv[1])\n"
    "print('held', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def other(tmp_path):
    """Start a process that holds the lock of the directory."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def refusal(directory):
    with pytest.raises(RunDirectoryError) as caught:
        Lock(str(directory))
    assert caught.value.code == Exit.USAGE
    return str(caught.value)


def abandon(directory, host, pid, age=0.0, **job):
    """Leave the lock file of an owner that is not there."""
    path = directory / ".lock"
    path.write_text(json.dumps({"host": host, "pid": pid, **job}))
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_lock_excludes_a_second_process_and_names_the_first(tmp_path, other):
    message = refusal(tmp_path)
    assert message == (
        f"{tmp_path}: in use by another run (process {other.pid} on "
        f"{socket.gethostname()}); wait for it, choose another directory with "
        f"--output, or, if it is dead for certain, remove {tmp_path}/.lock"
    )
    assert (tmp_path / ".lock").exists()


def test_owner_that_was_killed_is_recognised_at_once(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait(20)
    Lock(str(tmp_path)).release()


def test_lock_excludes_a_second_lock_of_the_same_process(tmp_path):
    lock = Lock(str(tmp_path))
    assert f"process {os.getpid()} on" in refusal(tmp_path)
    lock.release()


def test_released_lock_leaves_nothing_and_can_be_taken_again(tmp_path):
    for _ in range(3):
        lock = Lock(str(tmp_path))
        lock.release()
        lock.release()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EACCES, errno.ESTALE, errno.EIO, errno.ENOENT]
)
def test_lock_is_let_go_where_its_file_cannot_be_removed(tmp_path, monkeypatch, code):
    def refuse(path):
        raise OSError(code, os.strerror(code), path)

    lock = Lock(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        lock.release()
    assert (tmp_path / ".lock").exists()
    Lock(str(tmp_path)).release()
    assert list(tmp_path.iterdir()) == []


def test_lock_that_cannot_be_written_keeps_nobody_out(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse)
        with pytest.raises(OSError, match="No space left"):
            Lock(str(tmp_path))
    Lock(str(tmp_path)).release()


def test_owner_elsewhere_that_was_heard_of_lately_is_respected(tmp_path):
    abandon(tmp_path, "n0017", 4711, age=SILENCE - 30)
    assert "in use by another run (process 4711 on n0017)" in refusal(tmp_path)


def test_owner_elsewhere_that_is_silent_is_dead(tmp_path):
    abandon(tmp_path, "n0017", 4711, age=SILENCE + 30)
    lock = Lock(str(tmp_path), {})
    owner = json.loads((tmp_path / ".lock").read_text())
    assert owner == {"host": socket.gethostname(), "pid": os.getpid()}
    lock.release()


def test_owner_shows_that_it_lives_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(status_module, "REFRESH", 0.01)
    lock = Lock(str(tmp_path))
    for _ in range(2):
        os.utime(lock.path, (0, 0))
        until = time.monotonic() + 20
        while os.stat(lock.path).st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert time.time() - os.stat(lock.path).st_mtime < 60
    lock.release()
    # nothing touches what another run may hold from now on
    assert [t for t in threading.enumerate() if t is lock._thread] == []


JOB = {"SLURM_JOB_ID": "42", "SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"job": "42", "restart": "0", "step": "0"}, {"SLURM_RESTART_COUNT": "1"}),
        # one after the other in one allocation, without and with srun
        ({"job": "42", "restart": "0", "step": "0"}, {}),
        ({"job": "42", "restart": "0", "step": ""}, {"SLURM_STEP_ID": ""}),
    ],
)
def test_requeued_job_takes_over_its_own_lock_at_once(tmp_path, before, now):
    abandon(tmp_path, "n0017", 4711, **before)
    lock = Lock(str(tmp_path), {**JOB, **now})
    owner = json.loads((tmp_path / ".lock").read_text())
    assert (owner["host"], owner["job"]) == (socket.gethostname(), "42")
    lock.release()


@pytest.mark.parametrize(
    "before",
    [
        {"job": "41", "restart": "0", "step": "0"},
        # a step of the same start may run on another node meanwhile
        {"job": "42", "restart": "0", "step": "1"},
        {},
    ],
)
def test_fresh_lock_of_another_job_elsewhere_is_respected(tmp_path, before):
    abandon(tmp_path, "n0017", 4711, **before)
    for environ in (JOB, {}):
        with pytest.raises(RunDirectoryError, match="process 4711 on n0017"):
            Lock(str(tmp_path), environ)


@pytest.mark.parametrize(
    ("squeue", "free"),
    [
        ("exit 0", True),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", True),
        ("echo RUNNING", False),
        ("echo COMPLETING", False),
        # no answer is no answer
        ("echo 'Unable to contact slurm controller' >&2; exit 1", False),
        ("exec sleep 60", False),
    ],
)
def test_lock_of_a_job_that_slurm_has_forgotten_is_free(
    tmp_path, monkeypatch, squeue, free
):
    (tmp_path / "squeue").write_text(f'#!/bin/sh\n[ "$3" = 41 ] || exit 9\n{squeue}\n')
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(status_module, "ANSWER", 0.5 if "sleep" in squeue else 20)
    environ = {**JOB, "SLURM_CLUSTER_NAME": "east"}
    abandon(tmp_path, "n0017", 4711, job="41", step="0", cluster="east")
    if free:
        Lock(str(tmp_path), environ).release()
        return
    with pytest.raises(RunDirectoryError, match="process 4711 on n0017"):
        Lock(str(tmp_path), environ)


@pytest.mark.parametrize(
    "before", [{"job": "41", "cluster": "west"}, {"job": "-a", "cluster": "east"}]
)
def test_lock_of_a_job_elsewhere_is_not_asked_for(tmp_path, monkeypatch, before):
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    abandon(tmp_path, "n0017", 4711, **before)
    with pytest.raises(RunDirectoryError, match="process 4711 on n0017"):
        Lock(str(tmp_path), {**JOB, "SLURM_CLUSTER_NAME": "east"})


def test_lock_that_is_held_is_respected_within_a_job(tmp_path):
    lock = Lock(str(tmp_path), JOB)
    with pytest.raises(RunDirectoryError, match="in use by another run"):
        Lock(str(tmp_path), {**JOB, "SLURM_RESTART_COUNT": "1"})
    lock.release()


@pytest.mark.parametrize("text", ["", "{", "[1]", "\0" * 10])
def test_damaged_lock_file_of_nobody_is_taken(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    Lock(str(tmp_path)).release()


@pytest.fixture
def no_locks(monkeypatch):
    """Stand for a file system without locks."""

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_an_owner_on_this_host_lives_as_long_as_its_process(
    tmp_path, no_locks, other
):
    assert f"process {other.pid} on" in refusal(tmp_path)
    other.kill()
    other.wait(20)
    Lock(str(tmp_path)).release()


def test_without_locks_the_age_tells_of_owners_elsewhere(tmp_path, no_locks):
    abandon(tmp_path, "n0017", 4711)
    assert "on n0017" in refusal(tmp_path)
    abandon(tmp_path, "n0017", 4711, age=SILENCE + 30)
    Lock(str(tmp_path)).release()


def test_only_one_of_many_gets_the_lock(tmp_path):
    held, refused = [], []
    start = threading.Barrier(8)

    def take():
        start.wait()
        try:
            held.append(Lock(str(tmp_path)))
        except RunDirectoryError:
            refused.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 7)
    held[0].release()


# --- status.json


def read(directory):
    return json.loads((directory / "status.json").read_text(encoding="utf-8"))


def test_status_tells_what_was_said_so_far(tmp_path):
    status = Status(str(tmp_path), {"workload": "laplace", "ranks": 4})
    status.update("running", force=True, fraction=0.5, note="residual 1e-3 ä")
    status.update("finished", force=True, fraction=1.0)
    found = read(tmp_path)
    assert found["updated"] >= found["started"]
    assert {k: v for k, v in found.items() if k not in ("updated", "started")} == {
        "workload": "laplace",
        "ranks": 4,
        "pid": os.getpid(),
        "state": "finished",
        "fraction": 1.0,
        "note": "residual 1e-3 ä",
    }


def test_status_is_rewritten_at_most_once_a_second_unless_forced(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(status_module.time, "monotonic", lambda: now[0])
    status = Status(str(tmp_path), {})
    seen = []
    for step in range(31):
        now[0] = 100.0 + step / 10
        status.update("running", step=step)
        seen.append(read(tmp_path)["step"])
    assert sorted(set(seen)) == [0, 10, 20, 30]
    status.update("running", force=True, step=31)
    assert read(tmp_path)["step"] == 31


def test_status_that_cannot_be_written_is_said_once_and_does_no_harm(tmp_path, capsys):
    # a folder stands where the new text is to be written, whoever we are
    (tmp_path / "status.json.part").mkdir()
    status = Status(str(tmp_path), {})
    for step in range(3):
        status.update("running", force=True, step=step)
    assert capsys.readouterr().err == (
        f"hpcapp: warning: {tmp_path}/status.json: cannot be written: Is a directory; "
        "the run goes on, what is said there may be old\n"
    )
    (tmp_path / "status.json.part").rmdir()
    status.update("running", force=True, step=3)
    assert read(tmp_path)["step"] == 3


def test_reader_never_sees_half_a_file(tmp_path):
    status = Status(str(tmp_path), {})
    status.update("running", force=True, step=0, note="")
    done = threading.Event()
    seen, faults = [], []

    def watch():
        while not done.is_set():
            try:
                found = read(tmp_path)
                assert found["note"] == "x" * found["step"]
                seen.append(found["step"])
            except Exception as error:
                faults.append(error)

    reader = threading.Thread(target=watch)
    reader.start()
    begun = time.monotonic()
    step = 0
    while time.monotonic() - begun < 1 or len(set(seen)) < 5:
        step = (step + 997) % 20_000
        status.update("running", force=True, step=step, note="x" * step)
    done.set()
    reader.join()
    assert faults == []
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
