# SPDX-License-Identifier: MIT
"""The trace that ranks leave together."""

import numpy as np
import pytest

from hpcapp.clock import PHASES, Clock
from hpcapp.log import Log
from hpcapp.trace import TRACE, leave_trace, read_trace

pytestmark = pytest.mark.mpi

COMPUTE = PHASES.index("compute")


def test_every_rank_is_in_the_trace_with_its_seconds(comm, folder):
    comm.clock = Clock()
    comm.clock.seconds["compute"] += 100.0 + comm.rank
    comm.clock.count(comm.rank, 10 * comm.rank)
    mine = comm.clock.read()
    leave_trace(comm, str(folder), Log(False))
    trace, all_seconds = read_trace(str(folder)) if comm.root else None, comm.all(mine)
    if trace is None:
        return
    assert trace.ranks == comm.size
    assert trace.traced.tolist() == list(range(comm.size))
    assert trace.messages.tolist() == list(range(comm.size))
    assert (trace.sent == 10 * trace.messages).all()
    for rank, seconds in enumerate(all_seconds):
        assert trace.seconds[rank, COMPUTE] == seconds["compute"] >= 100.0 + rank
    assert trace.begin.min() == 0
    # what was added behind the back of the timeline stands in one of its pieces
    told = trace.pieces.sum(axis=1)
    assert np.abs(told[:, COMPUTE] - 100.0 - trace.traced).max() < 1.0


def test_exchanges_are_counted(comm):
    if comm.size < 2:
        pytest.skip("one rank has no neighbours")
    neighbours = [(comm.rank or None) and comm.rank - 1, comm.rank + 1]
    if comm.rank == comm.size - 1:
        neighbours[1] = None

    class Line:
        """Ranks in a row."""

        def neighbours(self, rank):
            """Return those beside one."""
            return (tuple(neighbours),)

    before = comm.clock.messages, comm.clock.sent
    halo = comm.halo(np.zeros(6), Line(), 1, 1)
    for _ in range(3):
        halo.exchange()
    sides = sum(side is not None for side in neighbours)
    assert comm.clock.messages - before[0] == 3 * halo.messages == 3 * sides
    assert comm.clock.sent - before[1] == 3 * halo.bytes == 24 * sides
    halo.close()


def test_a_trace_that_cannot_be_written_is_a_warning(comm, folder, capsys):
    comm.clock = Clock()
    leave_trace(comm, str(folder / "missing"), Log(comm.root))
    if comm.root:
        said = capsys.readouterr().err
        assert f"{TRACE} cannot be written: " in said
        assert "the run has ended all the same" in said
