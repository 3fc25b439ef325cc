# SPDX-License-Identifier: MIT
"""Timelines and traces: bounded, and no second is lost or moved."""

import numpy as np
import pytest

from hpcapp import clock as clock_module
from hpcapp.clock import PHASES, PIECES, SHORTEST, Clock
from hpcapp.errors import ResultError
from hpcapp.trace import (
    KEPT,
    TRACE,
    TRACED,
    Trace,
    _write,
    earlier_traces,
    read_trace,
    traced_ranks,
)


@pytest.fixture
def now(monkeypatch):
    """Return the time that clocks tell, to be set."""
    told = [100.0]
    monkeypatch.setattr(clock_module, "perf_counter", lambda: told[0])
    return told


def shares(intervals, edges):
    """Return the seconds of each phase between edges, interval by interval."""
    table = np.zeros((len(edges) - 1, len(PHASES)))
    for begin, end, phase in intervals:
        inside = np.minimum(end, edges[1:]) - np.maximum(begin, edges[:-1])
        table[:, PHASES.index(phase)] += np.maximum(inside, 0)
    return table


@pytest.mark.parametrize("length", [3e-4, 1e-2, 3.0, 1e4])
def test_each_piece_holds_the_seconds_that_were_spent_in_it(now, length):
    random = np.random.default_rng(7)
    clock, intervals = Clock(), []
    for _ in range(300):
        phase, begin = clock.current, now[0]
        now[0] += random.exponential(length)
        intervals.append((begin, now[0], phase))
        clock.enter(PHASES[random.integers(len(PHASES))])
    line = clock.timeline
    table = np.array(line.table(clock.read()))
    assert len(table) <= PIECES
    edges = 100.0 + line.width * np.arange(len(table) + 1)
    assert edges[-2] <= now[0] <= edges[-1]
    assert np.abs(table - shares(intervals, edges)).max() < 1e-9 * now[0]
    assert table.sum() == pytest.approx(now[0] - 100.0)


def test_pieces_become_twice_as_long_when_they_are_used_up(now):
    clock = Clock("compute")
    for _ in range(8 * PIECES):
        now[0] += SHORTEST
        clock.enter("compute")
        assert len(clock.timeline.pieces) < PIECES
    # after rounding of the times one more or less
    assert clock.timeline.width in (8 * SHORTEST, 16 * SHORTEST)


def test_waiting_for_all_ranks_is_told_by_phase(now):
    clock = Clock("io")
    with clock.waiting():
        now[0] += 2.0
        with clock.waiting():
            now[0] += 1.0
    assert clock.waited == {**dict.fromkeys(PHASES, 0.0), "io": 3.0}


def test_few_ranks_are_all_traced_and_many_evenly():
    assert traced_ranks(5).tolist() == [0, 1, 2, 3, 4]
    many = traced_ranks(100_000)
    assert (len(many), many[0], many[-1]) == (TRACED, 0, 99_999)
    assert set(np.diff(many)) == {392, 393}


def example(ranks=3):
    """Return a trace of ranks that computed one second more each."""
    pieces = np.zeros((ranks, PIECES, len(PHASES)), np.float32)
    pieces[:, 0, 0] = 1.0
    seconds = np.zeros((ranks, len(PHASES)))
    seconds[:, 0] = 1.0
    for rank in range(ranks):
        pieces[rank, 1 : 2 + rank, 2] = 1.0
        seconds[rank, 2] = 1 + rank
    waited = np.zeros_like(seconds)
    numbers = np.arange(ranks)
    return Trace(
        *(seconds, waited, numbers, 8 * numbers, numbers, 0.1 * numbers),
        np.ones(ranks),
        pieces,
    )


def test_a_trace_is_read_as_it_was_written(tmp_path):
    assert read_trace(str(tmp_path)) is None
    trace = example()
    _write(str(tmp_path), trace)
    found = read_trace(str(tmp_path))
    assert vars(found).keys() == vars(trace).keys()
    for name, value in vars(trace).items():
        assert np.array_equal(getattr(found, name), value)
    assert [path.name for path in tmp_path.iterdir()] == [TRACE]


def test_traces_of_earlier_starts_are_kept_the_newest_of_them(tmp_path):
    (tmp_path / "trace.mine.npz").write_bytes(b"somebody's")
    for ranks in range(1, KEPT + 4):
        _write(str(tmp_path), example(ranks))
    found = earlier_traces(str(tmp_path))
    # of the first KEPT + 2 starts; the last one's is the trace of the run
    assert list(found) == list(range(3, KEPT + 3))
    for number, name in found.items():
        assert read_trace(str(tmp_path), name).ranks == number
    assert read_trace(str(tmp_path)).ranks == KEPT + 3
    assert (tmp_path / "trace.mine.npz").exists()


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"PK\3\4"])
def test_a_damaged_trace_is_refused(tmp_path, data):
    (tmp_path / TRACE).write_bytes(data)
    with pytest.raises(ResultError, match=r"trace.npz: is damaged or no trace"):
        read_trace(str(tmp_path))


def test_a_trace_of_other_phases_is_refused(tmp_path):
    fields = vars(example())
    np.savez(tmp_path / TRACE, phases=np.array(["nap"]), **fields)
    with pytest.raises(ResultError, match="has the phases nap, this hpcapp has setup"):
        read_trace(str(tmp_path))
