# SPDX-License-Identifier: MIT
"""What a wait for engines ends with, whatever they do: engines made up for that."""

import json

import pytest

from hpcapp.interactive import running
from hpcapp.interactive.orders import Called, Ended, EngineError, Interrupted, Order
from hpcapp.interactive.running import Pending, Run

ORDER = Order(None, "series", "results/series-1", (), "/", "")


class Engines:
    """Engines that live, and hear nothing."""

    def __init__(self):
        self.asked = 0

    def lost(self):
        return {}

    def ask_to_stop(self):
        self.asked += 1


class Result:
    """An answer that is there: a value, or an error to be raised."""

    data = None

    def __init__(self, answer):
        self.answer = answer

    def ready(self):
        return True

    def get(self, timeout):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Never(Result):
    """One that never comes."""

    def __init__(self):
        super().__init__(None)

    def ready(self):
        return False


@pytest.fixture
def remote():
    """Return an error as ipyparallel brings it from an engine."""
    error = pytest.importorskip("ipyparallel.error")
    return error.RemoteError("UnpicklingError", "unknown opcode", [], {})


def interrupt():
    """Stand for the button of a notebook, pressed once."""
    pressed = []

    def look():
        if not pressed:
            pressed.append(True)
            raise KeyboardInterrupt

    return look


def test_engines_that_do_not_stop_are_given_up():
    engines = Engines()
    run = Run(Pending(engines, [Never(), Never()]), ORDER, "", 0.1)
    with pytest.raises(EngineError, match=r"engines do not stop; s.restart\(\) ends"):
        run.result(look=interrupt())
    assert engines.asked >= 1
    assert run.progress.state == "failed"
    # it stays so
    with pytest.raises(EngineError, match="engines do not stop"):
        run.result()


def test_an_interrupt_after_the_end_says_so():
    ended = Ended(0, path="/results/series-1/result.nc", summary={})

    class Late(Result):
        """There from the third look on."""

        looks = 0

        def ready(self):
            self.looks += 1
            return self.looks > 2

    run = Run(Pending(Engines(), [Late(ended)]), ORDER, "", 60.0)
    with pytest.raises(Interrupted, match="but the run had ended: /results/series-1"):
        run.result(look=interrupt())


def test_what_an_engine_cannot_answer_names_it(remote):
    pending = Pending(Engines(), [Result(Called(0)), Result(remote)])
    assert pending.wait(None, lambda: None)
    with pytest.raises(EngineError, match="rank 1: UnpicklingError: unknown opcode"):
        pending.answers()


def test_an_engine_that_fails_alone_ends_the_wait(remote, monkeypatch):
    monkeypatch.setattr(running, "GRACE", 0.1)
    monkeypatch.setattr(running, "LOOK_AROUND", 0.05)
    pending = Pending(Engines(), [Never(), Result(remote)])
    with pytest.raises(EngineError) as caught:
        pending.wait(None, lambda: None)
    assert str(caught.value).startswith("unknown opcode\nengines 0 go on, or wait")
    assert pending.failed


def test_what_the_watchdog_of_a_run_has_found_ends_the_wait(tmp_path):
    told = "rank 1 of 2 on n1 stands still in halo"
    (tmp_path / "status.json").write_text(
        json.dumps({"state": "failed", "error": told})
    )
    pending = Pending(Engines(), [Never(), Never()], str(tmp_path))
    with pytest.raises(EngineError) as caught:
        pending.wait(None, lambda: None)
    assert str(caught.value).startswith(f"{told}; the other engines may wait")
    assert "s.restart() starts them again" in str(caught.value)
