# SPDX-License-Identifier: MIT
"""Messages of a multigrid cycle are those that were counted before.

Every rank's cycle is run in this process, with a communicator that counts in place
of one that sends, and without the kernels.
"""

import numpy as np
import pytest

from hpcapp.problem import parse_problem
from hpcapp.workload import Context
from hpcapp.workloads.laplace import multigrid
from hpcapp.workloads.laplace.level import MARGIN
from hpcapp.workloads.laplace.levels import build_levels
from hpcapp.workloads.laplace.multigrid import Cycles
from hpcapp.workloads.laplace.traffic import cycle_traffic

TEXT = (
    "workload: laplace\n"
    "parameters: {{shape: {shape}, method: multigrid, join_below: {joined}}}"
)


class Counting:
    """A communicator of one rank among others, which counts what it would send."""

    def __init__(self, rank):
        self.rank = rank
        self.messages = self.bytes = 0

    def moves(self, sends, receives):
        return Counted(self, sends, receives)


class Counted:
    """Pieces that go nowhere."""

    def __init__(self, comm, sends, receives):
        self.comm = comm
        self.away = [view.nbytes for rank, view in sends if rank != comm.rank]
        own = [view for rank, view in sends if rank == comm.rank]
        back = [view for rank, view in receives if rank == comm.rank]
        assert [v.shape for v in own] == [v.shape for v in back]

    def run(self):
        self.comm.messages += len(self.away)
        self.comm.bytes += sum(self.away)


class Idle:
    """A device that computes nothing."""

    threads = 1

    def launch(self, kernel, calls):
        return [np.zeros(2, np.int64) for _ in calls]


def levels_of(shape, joined, ranks):
    problem = parse_problem(TEXT.format(shape=shape, joined=joined), "t.yaml", ())
    poisson = problem.workload._problem({})
    layout = problem.layout(ranks)
    return poisson, layout, build_levels(poisson.axes, layout, max(joined, MARGIN))


@pytest.mark.parametrize("ranks", range(1, 17))
@pytest.mark.parametrize("shape", ["[257, 257]", "[94, 301]"])
@pytest.mark.parametrize("joined", [8, 30])
def test_messages_and_bytes_of_a_cycle(monkeypatch, ranks, shape, joined):
    monkeypatch.setattr(multigrid._Direct, "solve", lambda self: None)
    poisson, layout, levels = levels_of(shape, joined, ranks)
    for rank in range(ranks):
        comm = Counting(rank)
        cycles = Cycles(Context(comm, Idle(), layout), poisson, joined, 0.0)
        # as `Multigrid.advance` does
        cycles.levels[0].exchange()
        cycles.cycle()
        expected = cycle_traffic(levels, rank)
        assert (comm.messages, comm.bytes) == (expected.messages, expected.bytes)


@pytest.mark.parametrize("side", [256, 1024])
def test_exchanges_grow_with_the_logarithm_of_the_ranks(side):
    # fixed work per rank: each factor of 16 in ranks adds about as many
    counts = []
    for across in (4, 16, 64, 256):
        n = across * side + 1
        *_, levels = levels_of(f"[{n}, {n}]", 64, across**2)
        middle = across // 2 * across + across // 2
        found = [cycle_traffic(levels, rank).rounds for rank in (0, 1, middle)]
        counts.append(max(found))
    steps = np.diff(counts)
    assert (steps >= 0).all()
    assert steps.max() <= 10
    assert counts[-1] <= 50


def test_the_plan_tells_the_traffic_of_a_cycle():
    text = TEXT.format(shape="[1025, 1025]", joined=64)
    problem = parse_problem(text, "t.yaml", ())
    ((name, row),) = problem.workload.plan_rows(problem.layout(16))
    assert name == "a cycle"
    assert row.startswith("7 levels; rank 0 sends ")
    assert "; rank 10 sends " in row
    jacobi = parse_problem("workload: laplace", "t.yaml", ())
    assert jacobi.workload.plan_rows(jacobi.layout(16)) == ()
