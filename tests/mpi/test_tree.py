# SPDX-License-Identifier: MIT
"""Reductions over a tree of ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcapp.mpi.tree import LARGEST, family

pytestmark = pytest.mark.mpi


@st.composite
def worlds(draw):
    """Return a number of ranks, and some of them."""
    size = draw(st.integers(1, 70))
    workers = draw(st.sets(st.integers(0, size - 1), min_size=1))
    return size, sorted(workers)


@given(worlds())
def test_every_rank_has_one_way_to_the_root(world):
    size, workers = world
    workers = {0, *workers}
    families = [family(rank, size, workers) for rank in range(size)]
    for rank, (parent, _) in enumerate(families):
        steps = 0
        while parent is not None:
            parent, steps = families[parent][0], steps + 1
        # a binomial tree of w ranks has log2(w) levels, and leaves below
        assert steps <= len(workers).bit_length() + (rank not in workers)
    assert [p for p, _ in families].count(None) == 1
    assert families[0][0] is None
    pairs = [(p, rank) for rank, (p, _) in enumerate(families) if p is not None]
    assert sorted(pairs) == sorted(
        (rank, child)
        for rank, (_, children) in enumerate(families)
        for child in children
    )


@given(worlds())
def test_others_are_leaves_in_equal_shares(world):
    size, workers = world
    shares = dict.fromkeys({0, *workers}, 0)
    for rank in set(range(size)) - set(shares):
        parent, children = family(rank, size, workers)
        assert children == ()
        shares[parent] += 1
    assert max(shares.values()) - min(shares.values()) <= 1


@pytest.mark.parametrize("workers", [[0], [1, 2], [0, 2, 3], [0, 1, 2, 3, 4, 5, 6]])
def test_reductions_where_ranks_share_cores(comm, workers):
    chosen = [rank for rank in workers if rank < comm.size] or [0]
    comm.place(chosen)
    ranks = np.arange(1, comm.size + 1)
    for turn in range(3):
        mine = np.array([comm.rank + 1, -(comm.rank + 1), turn], np.int64)
        assert comm.sum(mine).tolist() == [
            ranks.sum(),
            -ranks.sum(),
            turn * comm.size,
        ]
        assert comm.max(mine).tolist() == [comm.size, -1, turn]
        assert comm.max(mine / 2).tolist() == [comm.size / 2, -0.5, turn / 2]
    assert comm.crowded == (len(chosen) < comm.size)


@pytest.mark.parametrize("size", [0, 10, 10**6])
def test_broadcasts_where_ranks_share_cores(comm, size):
    comm.place([0])
    for turn in range(3):
        sent = {"turn": turn, "bytes": bytes(range(10)) * (size // 10)}
        assert comm.broadcast(sent if comm.root else None) == sent


@pytest.mark.parametrize("workers", [[0], [0, 1], [0, 2, 3]])
def test_only_workers_have_a_part(comm, workers):
    chosen = [rank for rank in workers if rank < comm.size]
    comm.place(chosen)
    inner = comm.at_work()
    for turn in range(3):
        mine = np.array([comm.rank + turn, 1], np.int64)
        assert inner.sum(mine).tolist() == [
            sum(chosen) + turn * len(chosen),
            len(chosen),
        ]
        assert inner.max(mine / 2).tolist() == [(chosen[-1] + turn) / 2, 0.5]
        # between the two kinds messages are not mixed up
        assert comm.sum(mine).tolist()[1] == comm.size
        assert comm.broadcast(turn) == turn


def test_sums_are_modulo_two_to_the_64(waiter):
    mine = np.array([2**63 + waiter.rank, 2**64 - 1], np.uint64)
    total = waiter.sum(mine).tolist()
    size = waiter.size
    assert total[0] == (size * 2**63 + size * (size - 1) // 2) % 2**64
    assert total[1] == (size * (2**64 - 1)) % 2**64


def test_long_arrays(waiter):
    mine = np.full(LARGEST // 8 + 1, waiter.rank, np.int64)
    assert (waiter.max(mine) == waiter.size - 1).all()
