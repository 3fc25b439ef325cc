# SPDX-License-Identifier: MIT
"""What the plan says of sweeps is what they do.

Every rank's sweeps are run in this process, with a communicator that counts exchanges
and a device that counts points instead of computing them. What an exchange sends is
compared with real ones in the tests under MPI.
"""

import numpy as np
import pytest

from hpcapp.decomposition import halo_sent
from hpcapp.fields import State
from hpcapp.problem import parse_problem
from hpcapp.workload import Context
from hpcapp.workloads.laplace import kernels
from hpcapp.workloads.laplace.grid import boundary_lines
from hpcapp.workloads.laplace.groups import FLOPS_JACOBI, FLOPS_REDBLACK, sweeps_traffic
from hpcapp.workloads.laplace.sweeps import Sweeper


class Comm:
    """A rank among others whose exchanges go nowhere."""

    def __init__(self, rank):
        self.rank, self.exchanges = rank, 0

    def halo(self, array, layout, margin, depth, packing):
        return Halo(self)

    def max(self, values):
        return values


class Halo:
    def __init__(self, comm):
        self.comm = comm

    def exchange(self):
        self.comm.exchanges += 1

    def start(self):
        self.comm.exchanges += 1

    def finish(self):
        pass


class Device:
    """Counts the points of the levels that it is given."""

    name, threads = "cpu", 1

    def __init__(self):
        self.points = 0

    def launch(self, kernel, calls):
        if kernel is kernels.residual_cpu:
            return [np.zeros(2, np.int64) for _ in calls]
        for *_, regions in calls:
            for ja, jb, ia, ib in regions:
                self.points += max(0, jb - ja) * max(0, ib - ia)
        return [None for _ in calls]


@pytest.mark.parametrize("ranks", range(1, 17))
@pytest.mark.parametrize("shape, depth", [("[65, 80]", 3), ("[5, 7]", 1)])
@pytest.mark.parametrize("method", ["jacobi", "sor"])
def test_exchanges_and_points_of_a_step(ranks, shape, depth, method):
    text = f"workload: laplace\nparameters: {{shape: {shape}, method: {method}}}"
    problem = parse_problem(text, "t.yaml", ())
    grid, layout = problem.workload.grid, problem.layout(ranks)
    depth = min(depth, layout.thinnest)
    lines = boundary_lines(grid, problem.config.parameters.boundary)
    redblack = method == "sor"
    for rank in range(ranks):
        comm, device = Comm(rank), Device()
        context = Context(comm, device, layout, State())
        omega = 1.5 if redblack else None
        sweeper = Sweeper(context, grid, lines, 0, omega, depth, np.dtype(np.float64))
        sweeper.advance(8)
        sweeper.measure()
        comm.exchanges = device.points = 0
        sweeper.advance(8)
        sweeper.measure()
        found = sweeps_traffic(grid, layout, rank, depth, redblack, 8)
        assert device.points == found.points
        messages, size = halo_sent(layout, rank, depth)
        sides = sum(n is not None for pair in layout.neighbours(rank) for n in pair)
        exchanges = comm.exchanges if sides else 0
        assert found.exchanges == exchanges
        assert (found.messages, found.bytes) == (messages * exchanges, size * exchanges)


class Counted(float):
    """A number that counts what is done with it."""

    flops = 0

    def _count(self, value):
        Counted.flops += 1
        return Counted(value)

    def __add__(self, other):
        return self._count(float(self) + float(other))

    def __sub__(self, other):
        return self._count(float(self) - float(other))

    def __mul__(self, other):
        return self._count(float(self) * float(other))

    __radd__, __rmul__ = __add__, __mul__


def numbers(*shape):
    found = np.empty(shape, object)
    found[...] = [[Counted(1) for _ in range(shape[1])] for _ in range(shape[0])]
    return found


def test_flops_are_those_of_the_kernels_formulas():
    u, none = numbers(3, 12), np.zeros((0, 0))
    stencil = numbers(1, 4)[0]
    Counted.flops = 0
    kernels._average_row.py_func(numbers(3, 12), u, none, 1, 1, 11, stencil)
    assert Counted.flops == 10 * FLOPS_JACOBI
    Counted.flops = 0
    row = (stencil, Counted(1.5), 0, 1, 1, 11)
    kernels._over_relax_row.py_func(u, numbers(1, 12), none, *row)
    assert Counted.flops == 10 * FLOPS_REDBLACK


def test_plan_tells_the_sweeps_of_a_step(capsys):
    text = "workload: laplace\nparameters: {shape: [1025, 1025], method: jacobi}"
    problem = parse_problem(text, "t.yaml", ())
    ((name, row),) = problem.workload.plan_rows(problem.layout(16))
    assert name == "32 sweeps"
    # four groups of 8 levels, two neighbours; in the middle four
    assert row.startswith("rank 0 sends 8 messages, ")
    assert "in 4 exchanges, and computes 2.1" in row
    assert "; rank 10 sends 16 messages, " in row
