# SPDX-License-Identifier: MIT
"""Engines that do not come, or do not answer: what the message says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hpcapp
from hpcapp.errors import LaunchError
from hpcapp.interactive.cluster import survey
from hpcapp.interactive.keeper import Keeper, find_marked, find_segments
from hpcapp.interactive.orders import EngineError
from hpcapp.interactive.running import Pending, Run

BREAKS = """
import os, sys
if "ipyparallel.engine" in sys.orig_argv and "--mpi" in sys.orig_argv:
    print("this engine is broken on purpose", file=sys.stderr, flush=True)
    os._exit(3)
"""


class Client:
    """A client whose engines answer as it is told."""

    def __init__(self, answer):
        self.ids, self.answer = [0], answer

    def __getitem__(self, key):
        return self

    def apply_async(self, function):
        return self

    def get(self, timeout):
        raise self.answer


def refused(answer):
    with pytest.raises(LaunchError) as caught:
        survey(Client(answer), 1, 0.1)
    return str(caught.value)


def test_an_engine_that_does_not_answer():
    text = refused(TimeoutError())
    assert "session: engine 0 does not answer within 0.1 s: it is busy or hangs" in text


def test_an_engine_without_hpcapp():
    from ipyparallel.error import RemoteError

    error = RemoteError("ModuleNotFoundError", "No module named 'hpcapp'", [], {})
    text = refused(error)
    assert "session: engine 0 cannot load hpcapp (ModuleNotFoundError: No" in text
    assert "in the same environment" in text


@pytest.mark.medium
def test_engines_that_die_show_their_own_lines(tmp_path, monkeypatch):
    if not Path(sys.executable).with_name("mpirun").exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    (tmp_path / "sitecustomize.py").write_text(BREAKS)
    paths = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{paths}")
    with pytest.raises(LaunchError) as caught:
        hpcapp.Session(n=2, timeout=120)
    text = str(caught.value)
    assert "0 of 2 engines have come, and their launcher has ended" in text
    assert "  this engine is broken on purpose" in text


def test_what_a_session_starts_ends_with_the_keeper(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    token = f"test-{os.getpid()}"
    keeper = Keeper(token, str(folder))
    # one that does not hear SIGTERM
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=1)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; time.sleep(600)"],
        env={**os.environ, "HPCAPP_SESSION": token},
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline()
    assert [one.pid for one in find_marked(token)] == [process.pid]
    keeper.end()
    assert process.wait(10) == -9
    assert find_marked(token) == []
    assert not folder.exists()
    process.stdout.close()


def test_shared_memory_of_killed_engines_is_removed(tmp_path):
    if not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm here: this system keeps shared memory elsewhere")
    mapped, told, theirs = (
        Path(f"/dev/shm/{name}{os.getpid()}")
        for name in ("mpich_shm_mapped", "mpich_shm_told", "somebodys")
    )
    for path in (mapped, told, theirs):
        path.write_bytes(bytes(4096))
    code = "import mmap, os, sys, time\nkept = []\nfor path in sys.argv[1:]:\n"
    code += "    kept.append(mmap.mmap(os.open(path, os.O_RDWR), 4096))\n"
    code += "print(1, flush=True)\ntime.sleep(600)"
    token = f"test-{os.getpid()}-shared"
    keeper = Keeper(token, str(tmp_path / "session"))
    process = subprocess.Popen(
        [sys.executable, "-c", code, mapped, theirs],
        env={**os.environ, "HPCAPP_SESSION": token},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout.readline()
        # of all that it shares, what is an MPI library's
        assert find_segments([process.pid]) == {str(mapped)}
        keeper.note([str(told)])
        keeper.end()
        process.wait(10)
        assert [path.exists() for path in (mapped, told, theirs)] == [0, 0, 1]
    finally:
        process.kill()
        process.stdout.close()
        theirs.unlink()


def test_a_run_that_goes_on_has_no_summary():
    class Result:
        def ready(self):
            return False

    with pytest.raises(EngineError, match="has not ended: there is no summary yet"):
        _ = Run(Pending(None, [Result()]), None, "", None).summary


def test_the_package_has_a_session_and_nothing_made_up():
    from hpcapp.interactive.session import Session

    assert hpcapp.Session is Session
    with pytest.raises(AttributeError, match="module 'hpcapp' has no attribute 'Sess'"):
        _ = hpcapp.Sess
