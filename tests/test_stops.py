# SPDX-License-Identifier: MIT
"""Laws of requests to stop; signals are sent to this process or to one of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hpcapp.errors import Exit
from hpcapp.stops import SIGNALS, Stops


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nothing_is_wanted_at_first():
    stops = Stops()
    assert not stops.wanted(1e9)
    assert stops.reason == ""


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_remembered_by_name(handlers, number):
    stops = Stops()
    stops.listen()
    os.kill(os.getpid(), number)
    assert stops.wanted(0)
    assert stops.reason == number.name


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
    assert stops.reason == "SIGUSR1"


def test_signal_that_comes_again_later_ends_the_process_at_once():
    script = (
        "import os, signal, hpcapp.stops as s\n"
        "s.PATIENCE = 0.2\n"
        "stops = s.Stops(); stops.listen()\n"
        "print('ready', flush=True)\n"
        "import time\n"
        "while True: time.sleep(0.05)\n"
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
