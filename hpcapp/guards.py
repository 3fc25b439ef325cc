# SPDX-License-Identifier: MIT
"""What watches over the ranks of a run while they compute."""

import faulthandler
import os
import signal
from collections.abc import Callable
from typing import Any

from hpcapp.mpi.world import host
from hpcapp.session import Session
from hpcapp.watchdog import SIGNAL, Post, Watchdog, open_board
from hpcapp.witness import Witness

__all__ = ["Guards"]


class Guards:
    """A witness and a watchdog on each node; collective to make and close.

    Parameters
    ----------
    session : Session
        The run.
    job : str
        Tells this job from those before it in the same directory.
    end : callable
        Called without arguments, from a thread, once a stall was told of.
    """

    def __init__(self, session: Session, job: str, end: Callable[[], Any]) -> None:
        self._comm = comm = session.comm
        node = comm.node()
        members = node.all((comm.rank, os.getpid()))
        directory, name = session.directory, host()
        leader = node.root
        self._witness = Witness(directory, name, comm.size, members) if leader else None
        self._watchdog: Watchdog | None = None
        limit = session.problem.config.run.stall
        if limit is not None:
            self._board = open_board(node)
            comm.clock.show(self._board.pulse)
            faulthandler.register(SIGNAL, file=self._board.stacks, all_threads=True)
            nodes = len(set(session.machine.nodes))
            ranks = tuple(rank for rank, _ in members)
            post = Post(directory, name, ranks, nodes, comm.size, job)
            self._watchdog = Watchdog(self._board, post, limit, end)
            self._watchdog.start()
        node.free()

    def close(self) -> None:
        """End it, before any rank leaves."""
        if self._witness is not None:
            self._witness.dismiss()
        if self._watchdog is not None:
            self._watchdog.close()
        self._comm.barrier()
        if self._watchdog is not None:
            # a process may see many runs: nothing of this one stays open
            faulthandler.unregister(SIGNAL)
            signal.signal(SIGNAL, signal.SIG_IGN)
            self._comm.clock.show(memoryview(bytearray(24)).cast("Q"))
            self._board.close()
