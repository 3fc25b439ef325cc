# SPDX-License-Identifier: MIT
"""Ranks that are threads of this process, with the verbs of `hpcapp.mpi.comm`.

For laws that are tried on many inputs and numbers of ranks: no start of MPI each time.
"""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hpcapp.errors import HpcappError


class Team:
    """What some ranks share."""

    def __init__(self, size):
        self.size = size
        self.board = [None] * size
        self.barrier = threading.Barrier(size)
        self.mail = [[queue.Queue() for _ in range(size)] for _ in range(size)]


class Member:
    """One rank of a team."""

    def __init__(self, team, rank):
        self.team, self.rank, self.size = team, rank, team.size
        self.root = rank == 0

    def all(self, value):
        """Return the values of all ranks."""
        self.team.barrier.wait()
        self.team.board[self.rank] = value
        self.team.barrier.wait()
        found = list(self.team.board)
        self.team.barrier.wait()
        return found

    def broadcast(self, value):
        """Return rank 0's value."""
        return self.all(value)[0]

    def on_root(self, function):
        """Call on rank 0; return or raise on all."""
        outcome = None
        if self.root:
            try:
                outcome = (function(), None)
            except HpcappError as error:
                outcome = (None, error)
        value, error = self.broadcast(outcome)
        if error is not None:
            raise error
        return value

    def sum(self, values):
        """Return the sum of integers."""
        assert values.dtype.kind in "iu"
        return np.sum(self.all(values), axis=0, dtype=values.dtype)

    def exclusive_sum(self, value):
        """Return the sum over the ranks before."""
        return sum(self.all(value)[: self.rank])

    def gather(self, values):
        """Collect arrays on rank 0."""
        found = self.all(values)
        return found if self.root else None

    def stack(self, values):
        """Collect arrays of one shape on rank 0."""
        found = self.all(values)
        return np.stack(found) if self.root else None

    def deal(self, parts):
        """Send each rank its array."""
        assert len(parts) == self.size
        assert len({part.dtype for part in parts}) == 1
        return [np.array(sent[self.rank]) for sent in self.all(list(parts))]

    def send(self, part, target):
        """Send an array."""
        self.team.mail[self.rank][target].put(np.array(part))

    def receive(self, part, source):
        """Receive an array."""
        part[...] = self.team.mail[source][self.rank].get(timeout=60)


def spread(size, function):
    """Call a function with each rank of a new team; return what the calls returned.

    An error on one rank ends the wait of the others; it is raised here.
    """
    team = Team(size)

    def guarded(rank):
        try:
            return function(Member(team, rank))
        except BaseException:
            team.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        calls = [pool.submit(guarded, rank) for rank in range(size)]
    errors = [call.exception() for call in calls if call.exception() is not None]
    real = [e for e in errors if not isinstance(e, threading.BrokenBarrierError)]
    if errors:
        raise (real or errors)[0]
    return [call.result() for call in calls]
