# SPDX-License-Identifier: MIT
"""Engines that fail, die, stall or wait for ever: told of, and brought back."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from hpcapp.failure import read_status
from hpcapp.interactive.orders import EngineError, Interrupted

ROOT = Path(__file__).parent.parent.parent
LAPLACE = ROOT / "configs" / "small" / "laplace.yaml"
LONG = {
    "shape": [201, 201],
    "tolerance": 0,
    "max_iterations": 2_000_000,
    "check_every": 16,
}
# seconds within which a user is told
SOON = 15.0


@pytest.fixture
def usable(session):
    """Return the session, and bring it back after the test."""
    yield session
    session.restart()
    assert session.map(lambda comm, block: comm.allreduce(1)) == [2, 2]


def interrupt_after(seconds):
    """Interrupt this thread, as the button of a notebook does."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def wait_for_steps(running):
    until = time.monotonic() + 60
    while running.progress.fraction == 0 and time.monotonic() < until:
        time.sleep(0.02)
    assert running.progress.fraction > 0


def test_an_interrupt_stops_a_run_with_a_checkpoint(session):
    running = session.submit(
        LAPLACE, **{**LONG, "shape": [101, 101], "max_iterations": 40_000}
    )
    wait_for_steps(running)
    interrupt_after(0.1)
    with pytest.raises(Interrupted, match=r"stopped \(interrupt\)") as caught:
        running.result()
    assert "checkpoint-000001.nc; go on with: s.resume(" in str(caught.value)
    assert read_status(running.directory)["state"] == "stopped"
    # the session stays usable, and the checkpoint is one
    with session.resume(running.directory) as again:
        assert int(again.iteration[-1]) == 40_000


def test_an_interrupt_ends_a_function(session):
    interrupt_after(0.3)
    with pytest.raises(Interrupted, match="interrupted on all engines"):
        session.map(lambda comm, block: time.sleep(60))
    assert session.map(lambda comm, block: comm.rank) == [0, 1]


def test_an_interrupt_inside_of_a_collective_is_told_of(usable):
    def never(comm, block):
        # one comes, one does not
        comm.barrier() if comm.rank else comm.recv(source=1)

    interrupt_after(0.3)
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"inside of the MPI library.*s.restart\(\)"):
        usable.map(never)
    assert time.monotonic() - begun < SOON
    with pytest.raises(EngineError, match="still wait"):
        usable.map(print)


def test_an_error_on_one_engine_is_told_of_while_the_others_wait(usable, tmp_path):
    def plant(comm, block):
        own, folder = block
        sys.path.insert(0, own)
        import faulty

        faulty.plant("raise", "compute", 1, folder)

    usable.map(plant, [(str(ROOT / "tests" / "own"), str(tmp_path))] * 2)
    with pytest.raises(EngineError) as caught:
        usable.run(LAPLACE, **LONG)
    assert time.time() - float((tmp_path / "struck").read_text()) < SOON
    text = str(caught.value)
    assert "rank 1 of 2 on " in text
    assert "ZeroDivisionError: planted on rank 1" in text
    assert "engines 0 go on, or wait for it for ever; s.restart()" in text


def test_a_killed_engine_is_told_of(usable):
    running = usable.submit(LAPLACE, **LONG)
    wait_for_steps(running)
    begun = time.monotonic()
    os.kill(usable._engines.known[1].pid, signal.SIGKILL)
    with pytest.raises(EngineError, match=r"was killed.*s.restart\(\)"):
        running.result()
    assert time.monotonic() - begun < SOON
    assert running.progress.state == "failed"
    with pytest.raises(EngineError, match="has ended: it was killed or has crashed"):
        usable.run(LAPLACE)


def test_a_stalled_engine_is_told_of(usable):
    running = usable.submit(LAPLACE, **LONG)
    wait_for_steps(running)
    begun = time.monotonic()
    os.kill(usable._engines.known[0].pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match=r"stopped"):
        running.result()
    assert time.monotonic() - begun < SOON
