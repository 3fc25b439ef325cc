# SPDX-License-Identifier: MIT
"""Messages of a multigrid cycle are those that were counted before.

Every rank's cycle is run in this process, with a communicator that counts in place
of one that sends, and without the kernels.
"""

import numpy as np
import pytest

from hpcapp.cli import run_command_line
from hpcapp.problem import parse_problem
from hpcapp.workload import Context, Network
from hpcapp.workloads.laplace import multigrid
from hpcapp.workloads.laplace.level import MARGIN
from hpcapp.workloads.laplace.levels import build_levels
from hpcapp.workloads.laplace.multigrid import Cycles
from hpcapp.workloads.laplace.scaling import (
    RANKS,
    cycle_seconds,
    levels_on,
    start_seconds,
)
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

    def moves(self, sends, receives, packing=None):
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

    name, threads = "cpu", 1

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


NETWORK = Network(latency=2e-6, bandwidth=1e10, rate=5e8)


def model(ranks, side=512):
    """Return the axes and the layout of one rank's share, its levels on many ranks."""
    poisson, layout, _ = levels_of(f"[{side + 1}, {side + 1}]", 64, 1)
    return levels_on(poisson.axes, layout, 64, ranks)


def test_one_rank_only_computes():
    levels = model(1)
    # 513^2 points: V(2, 1) cycles do three sweeps on each level but the last, whose
    # 15^2 unknowns are solved with a factored band of 2 x 15 + 1
    updates = 3 * sum((2**k - 1) ** 2 for k in range(9, 4, -1)) + 4 * 15**3 / 7
    assert [level.unknowns for level in levels][-1] == 15**2
    assert cycle_seconds(levels, 1, NETWORK) == pytest.approx(updates / 5e8, rel=0.01)


@pytest.mark.parametrize("ranks", RANKS)
def test_each_rank_keeps_its_share(ranks):
    levels = model(ranks)
    ny, nx = (axis.cells for axis in levels[0].axes)
    assert ny * nx == ranks * 512 * 512
    assert max(ny, nx) <= 2 * min(ny, nx)


def test_time_of_a_cycle_grows_with_the_logarithm_of_the_ranks():
    seconds = [cycle_seconds(model(ranks), ranks, NETWORK) for ranks in RANKS]
    steps = np.diff(seconds)
    # as many levels and messages more for each decade
    assert (steps > 0).all()
    assert steps.max() < 2 * steps.min()
    # a thousand times as many ranks
    assert seconds[-1] < 1.5 * seconds[0]


def test_full_multigrid_is_a_cycle_from_each_level():
    levels = model(10_000)
    cycles = [
        cycle_seconds(levels[number:], 1, NETWORK) for number in range(len(levels) - 1)
    ]
    found = start_seconds(levels, 10_000, NETWORK)
    assert sum(cycles) < found < 1.3 * sum(cycles)


def test_plan_prints_modelled_times(capsys, tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(TEXT.format(shape="[513, 513]", joined=64))
    options = ["plan", str(path), "-n", "1", "--network", "2e-6", "1e10", "5e8"]
    assert run_command_line(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[-4:]] == [
        f"{ranks} ranks" for ranks in RANKS
    ]
    assert lines[-4].endswith(" ms")


@pytest.mark.parametrize(
    "more, message",
    [
        (["--network", "0", "1", "1"], "all three must be > 0 and finite, got 0 1 1"),
        (
            ["--set", "parameters.method=jacobi", "--network", "1", "1", "1"],
            "laplace has no model of its times with these parameters",
        ),
    ],
)
def test_what_cannot_be_modelled_is_refused(capsys, tmp_path, more, message):
    path = tmp_path / "m.yaml"
    path.write_text("workload: laplace\nparameters: {method: multigrid}")
    assert run_command_line(["plan", str(path), *more]) == 2
    assert message in capsys.readouterr().err
