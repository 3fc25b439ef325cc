# SPDX-License-Identifier: MIT
"""Halo exchange: every point of the margin must be the owner's."""

import numpy as np
import pytest

from hpcapp.decomposition import Domain, Layout, halo_sent

pytestmark = pytest.mark.mpi


def number(layout, index):
    """Return a value that tells a global index."""
    total = np.zeros(np.broadcast_shapes(*(i.shape for i in index)))
    for extent, i in zip(layout.domain.shape, index, strict=True):
        total = total * extent + i
    return total


def make(layout, rank, margin):
    """Return a block with its own points numbered, the margin -1."""
    block = layout.block(rank)
    array = np.full([n + 2 * margin for n in block.shape], -1.0)
    axes = [np.arange(a, b) for a, b in zip(block.start, block.stop, strict=True)]
    inner = tuple(slice(margin, margin + n) for n in block.shape)
    array[inner] = number(layout, np.meshgrid(*axes, indexing="ij"))
    return block, array


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("shape", [(40,), (41, 37), (12, 50), (23, 24, 25)])
def test_margin_holds_the_neighbours_points(waiter, shape, depth):
    comm = waiter
    margin = 3
    names = ("z", "y", "x")[-len(shape) :]
    layout = Layout.choose(Domain(names, shape, depth), comm.size)
    depth = layout.halo
    block, array = make(layout, comm.rank, margin)
    halo = comm.halo(array, layout, margin, depth)
    for _ in range(3):
        halo.exchange()
    grid = np.meshgrid(
        *(
            np.arange(a - margin, b + margin)
            for a, b in zip(block.start, block.stop, strict=True)
        ),
        indexing="ij",
    )
    outside = sum(
        ((i < a).astype(int) + (i >= b)) > 0
        for i, a, b in zip(grid, block.start, block.stop, strict=True)
    )
    reach = np.all(
        [
            (i >= max(a - depth, 0)) & (i < min(b + depth, n))
            for i, a, b, n in zip(grid, block.start, block.stop, shape, strict=True)
        ],
        axis=0,
    )
    # a margin of one point does without the corners
    expected = reach & (outside <= (1 if depth == 1 else len(shape)))
    known = np.where(expected, number(layout, grid), -1.0)
    assert np.array_equal(np.where(expected, array, -1.0), known)
    assert np.all(array[~reach] == -1.0)
    halo.close()


def test_plan_counts_what_is_sent(comm):
    for depth in (1, 2):
        layout = Layout.choose(Domain(("y", "x"), (64, 48), depth), comm.size)
        _, array = make(layout, comm.rank, depth)
        halo = comm.halo(array, layout, depth, depth)
        assert (halo.messages, halo.bytes) == halo_sent(layout, comm.rank, depth)
        halo.close()


def test_a_rank_that_owns_nothing_exchanges_nothing(comm):
    layout = Layout.choose(Domain(("y", "x"), (1, 1), 1), comm.size)
    _, array = make(layout, comm.rank, 1)
    halo = comm.halo(array, layout, 1, 1)
    halo.exchange()
    assert halo.messages == 0


def test_waiting_is_charged_to_halo(comm):
    layout = Layout.choose(Domain(("y", "x"), (64, 64), 1), comm.size)
    _, array = make(layout, comm.rank, 1)
    halo = comm.halo(array, layout, 1, 1)
    halo.exchange()
    halo.close()
    assert (comm.clock.read()["halo"] > 0) == (halo.messages > 0 or comm.size > 1)


def test_requests_are_freed_where_steps_end_early(comm):
    mpi = pytest.importorskip("mpi4py.MPI")
    layout = Layout.choose(Domain(("y", "x"), (40, 30), 1), comm.size)
    _, array = make(layout, comm.rank, 1)
    kept = []

    def steps():
        halo = comm.halo(array, layout, 1, 1)
        kept.extend(request for _, some in halo._stages for request in some)
        halo.exchange()
        yield
        halo.close()

    running = steps()
    next(running)
    expected = 2 * sum(
        n is not None for pair in layout.neighbours(comm.rank) for n in pair
    )
    assert len(kept) == expected
    assert all(request != mpi.REQUEST_NULL for request in kept)
    # as the driver does where a run is stopped
    running.close()
    assert all(request == mpi.REQUEST_NULL for request in kept)
