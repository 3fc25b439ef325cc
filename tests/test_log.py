# SPDX-License-Identifier: MIT
"""Laws of messages, progress and the clock, with a clock of our own."""

import re
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpcapp import clock as clock_module
from hpcapp import log as log_module
from hpcapp.clock import PHASES, Clock
from hpcapp.log import Log, Progress, duration


class Ticks:
    """A clock that stands until it is told to go on."""

    def __init__(self, monkeypatch, module, name):
        self.now = 1000.0
        monkeypatch.setattr(module, name, SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def ticks(monkeypatch):
    return Ticks(monkeypatch, log_module, "time")


def said(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def speak(log):
    log.detail("details")
    log.info("what happens")
    log.warn("danger")
    log.record("for the file")


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (0, ["hpcapp: warning: danger"]),
        (1, ["hpcapp: what happens", "hpcapp: warning: danger"]),
        (2, ["hpcapp: details", "hpcapp: what happens", "hpcapp: warning: danger"]),
    ],
)
def test_level_chooses_what_is_printed_to_stderr(capsys, level, lines):
    speak(Log(level=level))
    assert said(capsys) == lines


def test_other_ranks_are_silent_and_write_nothing(tmp_path, capsys):
    log = Log(speaks=False, level=2)
    log.open(str(tmp_path / "log.txt"), keep=False)
    speak(log)
    log.close()
    assert said(capsys) == []
    assert not (tmp_path / "log.txt").exists()


def test_file_holds_everything_with_a_time_before_and_after_it_is_opened(tmp_path):
    path = tmp_path / "log.txt"
    log = Log(level=0)
    log.info("2026 is a year")
    log.info("before")
    log.open(str(path), keep=False)
    log.info("12 sweeps")
    log.close()
    log.close()
    lines = path.read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    assert all(re.match(stamp, line) for line in lines)
    assert [re.sub(stamp, "", line, count=1) for line in lines] == [
        "2026 is a year",
        "before",
        "12 sweeps",
    ]


@pytest.mark.parametrize(("keep", "lines"), [(True, 2), (False, 1)])
def test_log_of_a_resumed_run_is_kept(tmp_path, keep, lines):
    path = tmp_path / "log.txt"
    for again in (False, keep):
        log = Log(level=0)
        log.open(str(path), keep=again)
        log.info("a line")
        log.close()
    assert len(path.read_text().splitlines()) == lines


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_file_that_cannot_be_written_is_said_once_and_does_no_harm(capsys):
    log = Log(level=1)
    log.open("/dev/full", keep=True)
    log.info("one")
    log.record("two")
    log.info("three")
    log.close()
    assert said(capsys) == [
        "hpcapp: one",
        "hpcapp: warning: /dev/full: cannot be written: No space left on device; the "
        "run goes on, lines may be missing there",
        "hpcapp: three",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_stderr_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    log = Log(level=1)
    log.open(str(tmp_path / "log.txt"), keep=False)
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", full)
        log.info("one")
    with suppress(OSError):
        full.close()
    log.close()
    assert (tmp_path / "log.txt").read_text().endswith(" one\n")


# --- progress


def run_steps(ticks, fractions, seconds, environ=None, level=1):
    progress = Progress(Log(level=level), {} if environ is None else environ)
    for fraction in fractions:
        ticks.now += seconds
        progress.update(fraction, "residual 1e-3")
    progress.close()


def test_a_line_is_said_every_ten_percent(ticks, capsys):
    run_steps(ticks, [k / 100 for k in range(101)], 0.5)
    percent = [int(re.search(r"(\d+) %", line)[1]) for line in said(capsys)]
    assert percent == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_steps_of_exactly_ten_percent_are_all_said(ticks, capsys):
    run_steps(ticks, [k / 10 for k in range(11)], 5)
    assert len(said(capsys)) == 10


def test_a_slow_run_says_a_line_every_minute(ticks, capsys):
    run_steps(ticks, [k / 10_000 for k in range(61)], 10)
    times = [re.search(r"after ([^,]*)", line)[1] for line in said(capsys)]
    assert times == ["60.0 s", *(f"{minute} min 00 s" for minute in range(2, 11))]


def test_line_tells_percent_time_and_what_is_left(ticks, capsys):
    run_steps(ticks, [0.0, 0.25], 50)
    # a quarter in 50 s: three more are left
    assert said(capsys) == [
        "hpcapp:  25 % after 1 min 40 s, 2 min 30 s left, residual 1e-3"
    ]


def test_line_tells_the_rate_of_the_steps_since_the_first(ticks, capsys):
    progress = Progress(Log(), {}, "updates")
    progress.update(0.1, "", 1e12)  # before the clock of steps: not counted
    for fraction in (0.3, 0.5):
        ticks.now += 4
        progress.update(fraction, "", 6e9)
    assert "1.5 Gupdates/s, 10.0 s left" in said(capsys)[-1]


def test_time_left_is_that_of_equal_steps(ticks):
    progress = Progress(Log(level=0), {})
    ticks.now += 100  # set-up and compilation take none of it
    for done in range(1, 5):
        ticks.now += 7
        progress.update(done / 10, "")
    assert progress.eta(0.4, ticks.now) == pytest.approx(6 * 7)


def test_time_left_of_a_resumed_run_counts_what_it_does_itself(ticks):
    progress = Progress(Log(level=0), {})
    progress.update(0.9, "")
    ticks.now += 30
    assert progress.eta(0.95, ticks.now) == pytest.approx(30)


def test_time_left_is_unknown_at_first(ticks):
    progress = Progress(Log(level=0), {})
    progress.update(0.5, "")
    assert progress.eta(0.5, ticks.now + 1) is None


@pytest.mark.parametrize(
    ("environ", "level"),
    [({"HPCAPP_PROGRESS": "off"}, 1), ({}, 0), ({"HPCAPP_PROGRESS": "bar"}, 0)],
)
def test_quiet_runs_show_no_progress(ticks, capsys, environ, level):
    run_steps(ticks, [0, 0.5, 1], 100, environ, level)
    assert said(capsys) == []


def test_bar_is_drawn_where_the_launcher_asks_for_it(capsys):
    progress = Progress(Log(), {"HPCAPP_PROGRESS": "bar"})
    progress.update(0.25, "residual 1e-3")
    progress.update(1.0, "residual 1e-6")
    progress.close()
    drawn = capsys.readouterr().err
    assert "25%" in drawn
    assert "hpcapp:" not in drawn


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0123, "0.012 s"),
        (0.996, "1.0 s"),
        (12.34, "12.3 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (245, "4 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7380, "2 h 03 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations_are_shown_in_a_form_to_read(seconds, text):
    assert duration(seconds) == text


# --- the clock of phases


def test_inner_phase_pauses_the_outer_one(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock_module, "perf_counter", lambda: now[0])
    clock = Clock()
    now[0] = 1.0
    with clock.phase("compute"):
        now[0] = 3.0
        with clock.phase("halo"):
            now[0] = 7.0
        now[0] = 15.0
    now[0] = 31.0
    spent = {"setup": 1.0 + 16.0, "compute": 2.0 + 8.0, "halo": 4.0}
    assert clock.read() == {**dict.fromkeys(PHASES, 0.0), **spent}


def test_phase_ends_when_an_error_leaves_it():
    clock = Clock("compute")
    with pytest.raises(KeyError), clock.phase("io"):
        raise KeyError
    assert clock.current == "compute"


def test_seconds_of_all_phases_add_up_to_the_time_that_passed(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(clock_module, "perf_counter", lambda: now[0])
    clock = Clock()
    for step, phase in enumerate(PHASES * 3):
        now[0] += 2.0**step
        assert clock.enter(phase) in PHASES
    assert sum(clock.read().values()) == now[0] - 5.0
