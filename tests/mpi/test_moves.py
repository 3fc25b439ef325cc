# SPDX-License-Identifier: MIT
"""Pieces of arrays that go from ranks to others."""

import numpy as np
import pytest

pytestmark = pytest.mark.mpi


def test_pieces_go_to_their_ranks_each_time(waiter):
    comm = waiter
    # every rank sends a column of its number to every rank, itself included
    mine = np.zeros((3, comm.size))
    got = np.full((comm.size, 2, 3), -1.0)
    moves = comm.moves(
        [(rank, mine[:, rank]) for rank in range(comm.size)],
        [(rank, got[rank, 1]) for rank in range(comm.size)],
    )
    assert moves.messages == comm.size - 1
    assert moves.bytes == 24 * (comm.size - 1)
    for turn in (1.0, 2.0):
        mine[:] = turn * (100 * comm.rank + np.arange(comm.size))
        moves.run()
        expected = turn * (100 * np.arange(comm.size) + comm.rank)
        assert (got[:, 1] == expected[:, None]).all()
        assert (got[:, 0] == -1).all()
    moves.close()
    comm.barrier()
    assert comm.clock.seconds["halo"] > 0


def test_nothing_to_send_is_nothing_to_wait_for(comm):
    moves = comm.moves([], [])
    moves.run()
    assert (moves.messages, moves.bytes) == (0, 0)
    moves.close()
