# SPDX-License-Identifier: MIT
"""What runs inside of the engines, on all of them at once.

An engine outlives what it computes: errors travel to the notebook as values, nothing
exits and nothing aborts MPI. A signal SIGUSR1 asks what runs to stop; between two calls
it is ignored.
"""

import os
import secrets
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp import __version__
from hpcapp.clock import Clock
from hpcapp.device import prepare_cache
from hpcapp.errors import Exit, HpcappError
from hpcapp.failure import Failure, leave, one_line
from hpcapp.gpu.choice import claim_gpu
from hpcapp.interactive.orders import Called, Ended, Engine, EngineError, Order
from hpcapp.log import Log, Progress
from hpcapp.mpi import world
from hpcapp.stops import Stops
from hpcapp.workload import Step

if TYPE_CHECKING:
    from hpcapp.guards import Guards
    from hpcapp.mpi.comm import Comm
    from hpcapp.prepare import Request

__all__ = ["SIGNAL", "Feed", "call", "examine", "run"]

SIGNAL = signal.SIGUSR1

# seconds that an engine with an error waits for the others to end too
GRACE = 2.0


def examine() -> Engine:
    """Return what this engine is; starts nothing.

    Returns
    -------
    Engine
        Host, process and place in MPI's world.
    """
    signal.signal(SIGNAL, signal.SIG_IGN)
    found = world.started()
    return Engine(
        host=world.host(),
        pid=os.getpid(),
        world=found,
        launched=world.find_launch(os.environ).size,
        folder=os.getcwd(),
        version=__version__,
        library=world.library() if found else "",
    )


def run(order: Order) -> Ended:
    """Run what is ordered; collective over all engines.

    Parameters
    ----------
    order : Order
        The same on all of them.

    Returns
    -------
    Ended
        Errors included.
    """
    stops = Stops(begun=time.monotonic())
    comm = world.start(Clock()).duplicate()
    with _hearing(lambda *_: stops.request("interrupt")):
        return _Job(comm, order, stops).run()


def call(function: bytes, block: bytes, folder: str) -> Called:
    """Call a user's function with a communicator; collective over all engines.

    Parameters
    ----------
    function : bytes
        Pickled by value; called with the communicator and this engine's block.
    block : bytes
        Pickled.
    folder : str
        Working directory.

    Returns
    -------
    Called
        Errors included.
    """
    import cloudpickle

    comm = world.start(Clock()).duplicate()
    apart = comm.duplicate()
    # who is done leaves its core to those who are not
    apart.crowded = True
    try:
        with _hearing(signal.default_int_handler):
            os.chdir(folder)
            value = cloudpickle.loads(function)(comm.raw, cloudpickle.loads(block))
            ended = Called(comm.rank, cloudpickle.dumps(value))
    except BaseException as error:
        shown = "".join(traceback.format_exception(error))
        ended = Called(comm.rank, error=_told(comm, error, ""), traceback=shown)
    agreement = apart.agree(np.array([ended.error is not None], np.int64))
    # others may wait for this one inside of the function, which it has left
    if ended.error is None or agreement.arrives(GRACE):
        if not agreement.result().any():
            comm.free()
        apart.free()
    return ended


@contextmanager
def _hearing(handler: Callable[..., object]) -> Iterator[None]:
    signal.signal(SIGNAL, handler)
    try:
        yield
    finally:
        signal.signal(SIGNAL, signal.SIG_IGN)


def _told(comm: "Comm", error: BaseException, phase: str) -> HpcappError:
    """Return an error as the notebook shows it."""
    place = f"rank {comm.rank} of {comm.size} on {world.host()}{phase}"
    return EngineError(f"{place}: {one_line(error)}")


class _Job:
    """One run on one engine."""

    def __init__(self, comm: "Comm", order: Order, stops: Stops) -> None:
        self.comm, self.order, self.stops = comm, order, stops
        self.apart = comm.duplicate()
        self.name = comm.broadcast(secrets.token_hex(8))
        self.directory = ""
        self.guards: Guards | None = None

    def run(self) -> Ended:
        """Run; never raise."""
        try:
            ended = self._run()
        except BaseException as error:
            return self._failed(error)
        self.apart.free()
        self.comm.free()
        return ended

    def _run(self) -> Ended:
        from hpcapp.closing import close_finished, close_session
        from hpcapp.driver import drive
        from hpcapp.guards import Guards
        from hpcapp.prepare import prepare
        from hpcapp.session import Finished
        from hpcapp.trace import leave_trace

        comm = self.comm
        os.chdir(self.order.folder)
        prepare_cache(os.environ)
        claim_gpu(os.environ)
        log = Log(comm.root, 0)
        session = prepare(comm, self._request(), log, self.stops)
        if isinstance(session, Finished):
            return self._ended(comm.on_root(lambda: close_finished(session)), ())
        feed = Feed(session.problem.workload.unit)
        try:
            self.directory = session.directory
            if comm.root:
                session.on_step = feed.tell
            self.guards = Guards(session, self.name, _stay)
            outcome = drive(session)
            leave_trace(comm, session.directory, log)
            self.guards.close()
            closing = close_session(session, outcome) if comm.root else None
            if closing is not None:
                for line in closing.lines():
                    log.record(line)
            return self._ended(closing, tuple(feed.points))
        finally:
            if session.held is not None:
                session.held.lock.release()
            log.close()

    def _ended(self, closing: Any, points: tuple[tuple[int, float], ...]) -> Ended:
        if not self.comm.root:
            return Ended(self.comm.rank)
        outcome = closing.outcome
        return Ended(
            rank=0,
            path=os.path.abspath(outcome.path),
            stopped=outcome.reason if outcome.code == Exit.STOPPED else "",
            lines=tuple(closing.lines()),
            summary=closing.summary(),
            points=points,
        )

    def _request(self) -> "Request":
        from hpcapp.prepare import Request

        order = self.order
        return Request(
            config="" if order.text is None else order.name,
            directory=order.directory,
            settings=order.settings,
            command=order.command,
            text=order.text,
        )

    def _failed(self, error: BaseException) -> Ended:
        """Write down how this rank failed, and look whether the others have too."""
        comm = self.comm
        known = isinstance(error, HpcappError)
        shown = "" if known else "".join(traceback.format_exception(error))
        phase = comm.clock.phase_of(error)
        together = self.apart.meet(GRACE)
        if self.directory and (comm.root or not together):
            place = (comm.rank, comm.size, world.host(), os.getpid(), phase)
            leave(self.directory, Failure(*place, one_line(error), shown))
        if together and self.guards is not None:
            self.guards.close()
        told = _told(comm, error, f", {phase}")
        if isinstance(error, HpcappError) and together:
            told = error
        return Ended(comm.rank, error=told, traceback=shown)


def _stay() -> None:
    """Do nothing after a stall: the notebook hears of it, and ends the engines."""


class Feed:
    """Tells the notebook of steps, on the engine that speaks.

    Parameters
    ----------
    unit : str
        Of the work.
    """

    # seconds between two messages, and points of a curve at most
    PERIOD = 0.15
    MOST = 400

    def __init__(self, unit: str) -> None:
        self.points: list[tuple[int, float]] = []
        self._progress = Progress(Log(False), {}, unit)
        self._unit = unit
        self._steps, self._stride = 0, 1
        self._told_at = 0.0

    def tell(self, step: Step) -> None:
        """Take a step in, and send what is known so far unless that was just done.

        Parameters
        ----------
        step : Step
            As the workload says it.
        """
        self._steps += 1
        self._progress.update(step.fraction, step.note, step.work)
        if step.value is not None and self._steps % self._stride == 0:
            self.points.append((self._steps, step.value))
            if len(self.points) > self.MOST:
                self._stride *= 2
                self.points = self.points[1::2]
        now = time.monotonic()
        if now - self._told_at < self.PERIOD:
            return
        self._told_at = now
        self._send(
            {
                "fraction": step.fraction,
                "note": step.note,
                "rate": self._progress.rate(now),
                "unit": self._unit,
                "eta": self._progress.eta(step.fraction, now),
                "points": tuple(self.points),
            }
        )

    def _send(self, facts: dict[str, Any]) -> None:
        from ipyparallel.engine.datapub import publish_data

        publish_data(facts)
