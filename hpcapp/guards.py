# SPDX-License-Identifier: MIT
"""What watches over the ranks: from the start of MPI, and over a run."""

import faulthandler
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpcapp.mpi.world import host
from hpcapp.session import Session
from hpcapp.watchdog import SIGNAL, Board, Post, Watchdog, open_board
from hpcapp.witness import Witness

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Guards", "Lookout"]

# seconds without a sign of life, as in `run.stall`, while that is not known yet
SET_UP = 120.0


class Lookout:
    """A watchdog on each node; collective to make and close.

    Parameters
    ----------
    comm : Comm
        All ranks.
    job : str
        Tells this job from those before it in the same directory.
    end : callable
        Called without arguments, from a thread, once a stall was told of.

    Attributes
    ----------
    members : list of (int, int)
        Rank and process of the ranks of this node that can be seen from here.
    leads : bool
        Whether this rank acts for its node.
    fault : str
        Why nobody looks after the ranks of this node, or "".
    """

    def __init__(self, comm: "Comm", job: str, end: Callable[[], Any]) -> None:
        self._comm = comm
        node = comm.node()
        self.leads = node.root
        everyone = node.all((comm.rank, os.getpid(), _sight()))
        ranks = tuple(rank for rank, *_ in everyone)
        # in containers of their own ranks have numbers that mean nothing to others
        seen = len({sight for *_, sight in everyone}) == 1
        self.members = [(r, pid) for r, pid, _ in everyone if seen or r == comm.rank]
        board = open_board(node, os.getpid() if seen else 0)
        node.free()
        # other nodes can be asked once there is a run directory
        nodes = 1 if len(ranks) == comm.size else 0
        self._post = Post("", host(), ranks, nodes, comm.size, job)
        self._watchdog: Watchdog | None = None
        self.fault = board if isinstance(board, str) else ""
        if isinstance(board, Board):
            self._board = board
            comm.clock.show(board.pulse)
            faulthandler.register(SIGNAL, file=board.stacks, all_threads=True)
            self._watchdog = Watchdog(board, self._post, SET_UP, end)
            self._watchdog.start()

    def move(self, directory: str, nodes: int, limit: float) -> None:
        """Go on with what is known now of the job.

        Parameters
        ----------
        directory : str
            The run directory.
        nodes : int
            How many the job has.
        limit : float
            Seconds for which all ranks may wait for one another.
        """
        if self._watchdog is not None:
            post = replace(self._post, directory=directory, nodes=nodes)
            self._watchdog.move(post, limit)

    def rest(self) -> None:
        """Look no more."""
        if self._watchdog is not None:
            self._watchdog.close()

    def close(self) -> None:
        """End it, before any rank leaves."""
        self.rest()
        self._comm.barrier()
        if self._watchdog is not None:
            # a process may see many runs: nothing of this one stays open
            faulthandler.unregister(SIGNAL)
            signal.signal(SIGNAL, signal.SIG_IGN)
            self._comm.clock.show(memoryview(bytearray(24)).cast("Q"))
            self._board.close()
            self._watchdog = None


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
    lookout : Lookout, optional
        That has watched so far; closed with this.
    """

    def __init__(
        self,
        session: Session,
        job: str,
        end: Callable[[], Any],
        lookout: Lookout | None = None,
    ) -> None:
        comm, directory = session.comm, session.directory
        self._lookout = lookout = lookout or Lookout(comm, job, end)
        first = comm.broadcast(os.getpid())
        self._witness: Witness | None = None
        if lookout.leads:
            size, members = comm.size, lookout.members
            self._witness = Witness(directory, host(), size, members, first)
        limit = session.problem.config.run.stall
        faults = {fault for fault in comm.all(lookout.fault) if fault}
        if limit is None or faults:
            lookout.rest()
        else:
            lookout.move(directory, len(set(session.machine.nodes)), limit)
        for fault in sorted(faults):
            session.log.warn(
                f"{fault}; the ranks of a node show there that they live: a stall of "
                "this job will not be seen; set TMPDIR to a directory that they share"
            )

    def close(self) -> None:
        """End it, before any rank leaves."""
        if self._witness is not None:
            self._witness.dismiss()
        self._lookout.close()


def _sight() -> str:
    """Return what is the same for processes that know one another by their numbers."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""
