# SPDX-License-Identifier: MIT
"""Laws of requests to stop; signals are sent to this process or to one of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hpcapp.errors import Exit
from hpcapp.stops import SIGNALS, Stops, job_end


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(wakeup)
    for number, handler in before.items():
        signal.signal(number, handler)


def soon(condition):
    """Wait for a thread to do it."""
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_nothing_is_wanted_at_first():
    stops = Stops()
    assert not stops.wanted(1e9)
    assert stops.reason == ""


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_remembered_by_name(handlers, number):
    stops = Stops()
    stops.listen()
    os.kill(os.getpid(), number)
    assert soon(lambda: stops.wanted(0))
    assert stops.reason == number.name


EARLY = """
import os, signal, sys
from hpcapp import __main__ as program

class Finder:
    def find_spec(name, path, target=None):
        if name == "hpcapp.cli":
            os.kill(os.getpid(), signal.SIGUSR1)

sys.meta_path.insert(0, Finder)
program.main()
"""


def test_signal_that_comes_while_the_program_is_loaded_is_heard(root, tmp_path):
    settings = ["parameters.tolerance=0", "parameters.max_iterations=100000000"]
    words = [part for setting in settings for part in ("--set", setting)]
    words = ["run", "configs/small/laplace.yaml", "-o", str(tmp_path), *words]
    done = subprocess.run(
        [sys.executable, "-c", EARLY, *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == Exit.STOPPED, done.stderr
    assert "stopped (SIGUSR1), not finished" in done.stdout


def test_batch_systems_and_users_are_heard():
    assert set(SIGNALS) == {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT}


def test_first_reason_stays():
    stops = Stops(0.0)
    stops.request("asked")
    assert stops.wanted(0)
    assert stops.reason == "asked"


def test_wall_time_is_kept_with_the_margin_for_a_step_and_a_checkpoint():
    begun = time.monotonic() - 100
    assert not Stops(200, begun).wanted(50)
    assert Stops(200, begun).wanted(101)
    assert Stops(99, begun).wanted(0)


def test_wall_time_may_become_known_later():
    stops = Stops(begun=time.monotonic() - 100)
    stops.limit(50)
    assert stops.wanted(0)
    assert stops.reason == "wall time of 50 s"


def test_burst_of_signals_is_one_request(handlers):
    stops = Stops()
    stops.listen()
    for _ in range(5):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert soon(lambda: stops.reason == "SIGUSR1")


def test_end_of_the_batch_job_is_kept_too():
    stops = Stops(1e6)
    stops.limit_until(None)
    assert not stops.wanted(1000)
    stops.limit_until(time.time() + 500)
    assert not stops.wanted(400)
    assert stops.wanted(501)
    assert stops.reason == "end of the batch job"


def test_slurm_tells_the_end_in_the_environment():
    assert job_end({}) is None
    assert job_end({"SLURM_JOB_END_TIME": "1790000000"}) is None
    environ = {"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1790000000"}
    assert job_end(environ) == 1_790_000_000.0


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        ("7:00", 420),
        ("59", 59),
        ("1:02:03", 3723),
        ("2-00:00:10", 172810),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_older_slurm_is_asked(tmp_path, monkeypatch, left, seconds):
    fake = tmp_path / "squeue"
    fake.write_text(f'#!/bin/sh\n[ "$*" = "-h -j 7 -o %L" ] && echo "{left}"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = job_end({"SLURM_JOB_ID": "7"})
    if seconds is None:
        assert found is None
    else:
        assert found == pytest.approx(time.time() + seconds, abs=5)


def test_slurm_without_an_answer_sets_no_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert job_end({"SLURM_JOB_ID": "7"}) is None


@pytest.mark.parametrize(
    "busy",
    [
        "while True: time.sleep(0.05)",
        # handlers of Python never run while one is inside a library
        "import select; select.poll().poll()",
        # a call that no signal interrupts: a lock that this thread has already
        "lock = ctypes.create_string_buffer(128); c = ctypes.CDLL(None); "
        "c.pthread_mutex_lock(lock); c.pthread_mutex_lock(lock)",
    ],
)
def test_signal_that_comes_again_later_ends_the_process_at_once(tmp_path, busy):
    script = (
        "import ctypes, pathlib, time, hpcapp.stops as s\n"
        "s.PATIENCE = 0.2\n"
        "stops = s.Stops(); stops.listen()\n"
        f"stops.at_once = pathlib.Path({str(tmp_path / 'said')!r}).write_text\n"
        "print('ready', flush=True)\n"
        f"{busy}\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        until = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < until:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert process.wait(10) == Exit.FAILED
    assert (tmp_path / "said").read_text() == "ended at once by a second SIGTERM"


LEAVING = """
import os, signal, sys
from hpcapp.stops import SIGNALS, Stops

class Last:
    # kept by a module of the interpreter: goes when handlers have gone
    def __del__(self, kill=os.kill, pid=os.getpid(), numbers=tuple(map(int, SIGNALS))):
        for number in numbers:
            kill(pid, number)

stops = Stops()
stops.listen()
stops.leave()
sys.last = Last()
sys.exit(75)
"""


def test_a_rank_that_leaves_keeps_its_code_whatever_is_sent(root):
    # srun -K ends all ranks when the first has ended with 75
    done = subprocess.run([sys.executable, "-c", LEAVING], cwd=root)
    assert done.returncode == 75
