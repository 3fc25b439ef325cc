# SPDX-License-Identifier: MIT
"""A run, or a call, that goes on on the engines: its progress, its end, a way out."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpcapp.errors import HpcappError
from hpcapp.failure import read_status
from hpcapp.interactive.cluster import Engines
from hpcapp.interactive.orders import Ended, EngineError, Interrupted, Order, Stopped

if TYPE_CHECKING:
    import xarray

__all__ = ["Pending", "Progress", "Run", "refuse_lost"]

# seconds between two looks at results, and at processes and files
LOOK = 0.02
LOOK_AROUND = 0.5

# seconds that the other engines have to end after one has failed
GRACE = 4.0

# seconds that a stopped process is given before it counts as lost
PATIENCE = 6.0

AGAIN = "the other engines may wait for it for ever; s.restart() starts them again"


@dataclass(frozen=True)
class Progress:
    """How a run stands.

    Parameters
    ----------
    state : {"running", "finished", "stopped", "failed"}
        Whether it goes on.
    fraction : float
        Share that is done, 0 to 1.
    note : str
        A few words.
    rate : float
        Work in a second.
    unit : str
        Of the work.
    eta : float or None
        Seconds that remain, None while unknown.
    points : tuple of (int, float)
        Number and value of steps, of what the workload lets one watch.
    watched : str
        What that is, such as ``residual``.
    """

    state: str
    fraction: float = 0.0
    note: str = ""
    rate: float = 0.0
    unit: str = ""
    eta: float | None = None
    points: tuple[tuple[int, float], ...] = ()
    watched: str = ""


class Pending:
    """What is asked of all engines, until each has answered.

    Parameters
    ----------
    engines : Engines
        Who is asked.
    results : sequence of AsyncResult
        One for each, by rank.
    directory : str
        Of a run, whose status tells of stalls; "" for anything else.

    Attributes
    ----------
    failed : bool
        Whether `wait` has given it up.
    """

    def __init__(
        self, engines: Engines, results: Sequence[Any], directory: str = ""
    ) -> None:
        self.engines, self.results, self.directory = engines, results, directory
        self.failed = False
        self._looked_at = 0.0
        self._stopped_since: dict[int, float] = {}

    @property
    def done(self) -> bool:
        """Whether every engine has answered."""
        return all(result.ready() for result in self.results)

    def busy(self) -> list[int]:
        """Return the engines that have not answered."""
        return [rank for rank, one in enumerate(self.results) if not one.ready()]

    def wait(self, until: float | None, look: Callable[[], object]) -> bool:
        """Wait for the answers of all engines.

        Parameters
        ----------
        until : float or None
            `time.monotonic` at which to give up.
        look : callable
            Called again and again meanwhile.

        Returns
        -------
        bool
            False if the time was over first.

        Raises
        ------
        EngineError
            If an engine was lost, has failed while others go on, or all wait.
        """
        try:
            return self._wait(until, look)
        except EngineError:
            self.failed = True
            raise

    def _wait(self, until: float | None, look: Callable[[], object]) -> bool:
        failed_at = 0.0
        while not self.done:
            now = time.monotonic()
            if until is not None and now > until:
                return False
            if now - self._looked_at > LOOK_AROUND:
                self._looked_at = now
                self._look_around(now)
                if self._failure() is not None:
                    failed_at = failed_at or now
            if failed_at and now - failed_at > GRACE:
                self._raise_failure()
            look()
            time.sleep(LOOK)
        return True

    def answers(self) -> list[Any]:
        """Return the answers by rank, once all are there.

        Returns
        -------
        list
            What each engine has returned.

        Raises
        ------
        EngineError
            If an engine could not answer.
        """
        import ipyparallel as ipp

        found = []
        for rank, result in enumerate(self.results):
            try:
                found.append(result.get(0))
            except ipp.error.RemoteError as error:
                raise EngineError(
                    f"rank {rank}: {error.ename}: {error.evalue}"
                ) from None
        return found

    def _failure(self) -> Any:
        """Return the answer of an engine that has failed, None while there is none."""
        import ipyparallel as ipp

        for rank, result in enumerate(self.results):
            if result.ready():
                try:
                    answer = result.get(0)
                except ipp.error.RemoteError as error:
                    return Ended(rank, error=EngineError(f"{error.evalue}"))
                if getattr(answer, "error", None) is not None:
                    return answer
        return None

    def _raise_failure(self) -> None:
        answer = self._failure()
        waiting = ", ".join(str(rank) for rank in self.busy())
        shown = f"\n{answer.traceback.rstrip()}" if answer.traceback else ""
        raise EngineError(
            f"{answer.error}{shown}\nengines {waiting} go on, or wait for it for ever; "
            "s.restart() starts all of them again"
        )

    def _look_around(self, now: float) -> None:
        """Raise if an engine is lost, or the run's watchdog has found a stall."""
        lost = self.engines.lost()
        for key, text in lost.items():
            since = self._stopped_since.setdefault(key, now)
            if "ended" in text or now - since > PATIENCE:
                raise EngineError(f"{text}; {AGAIN}")
        for key in set(self._stopped_since) - set(lost):
            del self._stopped_since[key]
        if self.directory:
            known = read_status(self.directory) or {}
            if known.get("state") == "failed" and self._failure() is None:
                told = known.get("error", "")
                raise EngineError(f"{told}; {AGAIN}")


def refuse_lost(engines: Engines, pending: Sequence[Pending]) -> None:
    """Refuse work for engines that are lost, or wait for one that has failed.

    Parameters
    ----------
    engines : Engines
        Who is to work.
    pending : sequence of Pending
        What they were asked for before.

    Raises
    ------
    EngineError
        Naming them.
    """
    for text in engines.lost().values():
        raise EngineError(f"{text}; s.restart() starts all of them again")
    for one in pending:
        if one.failed and not one.done:
            raise EngineError(
                f"engines {', '.join(map(str, one.busy()))} still wait for one that "
                "has failed; s.restart() starts all of them again"
            )


class Run:
    """A run on the engines, as `Session.submit` gives it.

    Parameters
    ----------
    pending : Pending
        The answers to come.
    order : Order
        What was asked for.
    watched : str
        What the workload lets one watch.
    stall : float or None
        Seconds after which the run says itself that it does not go on.
    """

    def __init__(
        self, pending: Pending, order: Order, watched: str, stall: float | None
    ) -> None:
        self._pending, self._order, self._watched = pending, order, watched
        self._stall = stall
        self._error: HpcappError | None = None

    @property
    def directory(self) -> str:
        """The run directory."""
        return self._order.directory

    @property
    def done(self) -> bool:
        """Whether the run has ended, well or not."""
        return self._error is not None or self._pending.done

    @property
    def progress(self) -> Progress:
        """How the run stands."""
        if self._error is not None:
            return Progress("failed", note=str(self._error).splitlines()[0])
        if self._pending.done:
            return self._last()
        facts = self._pending.results[0].data or {}
        return Progress("running", watched=self._watched, **facts)

    @property
    def summary(self) -> Mapping[str, Any]:
        """How it ended, in numbers, as ``hpcapp run --json`` prints it."""
        if not self.done:
            raise EngineError("the run has not ended: there is no summary yet")
        return self._ended().summary or {}

    def _repr_html_(self) -> str:
        """Return how the run stands, as a notebook shows it."""
        from hpcapp.interactive.display import progress_html

        return progress_html(self.progress, os.path.relpath(self.directory))

    def cancel(self) -> None:
        """Ask the run to stop with a checkpoint; `result` then tells where that is."""
        self._pending.engines.ask_to_stop()

    def result(
        self, timeout: float | None = None, look: Callable[[], object] = lambda: None
    ) -> "xarray.Dataset":
        """Wait for the result; an interrupt stops the run with a checkpoint.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; the run goes on after that.
        look : callable, optional
            Called again and again meanwhile.

        Returns
        -------
        xarray.Dataset
            Lazy, from the run's file.

        Raises
        ------
        TimeoutError
            If the time was over first.
        Stopped
            If the run was stopped before its end.
        Interrupted
            If the user has interrupted the wait.
        EngineError
            If an engine has failed, was lost or does not go on.
        HpcappError
            What the run itself has raised on all engines alike.
        """
        until = None if timeout is None else time.monotonic() + timeout
        try:
            if not self._wait(until, look):
                raise TimeoutError(f"the run has not ended within {timeout:g} s")
        except KeyboardInterrupt:
            self._stop(look)
            raise Interrupted(self._how_interrupted()) from None
        ended = self._ended()
        if ended.stopped:
            raise Stopped(_advice(ended, self.directory))
        from hpcapp.studies.opening import open_result

        return open_result(ended.path)

    def _wait(self, until: float | None, look: Callable[[], object]) -> bool:
        if self._error is not None:
            raise self._error
        try:
            return self._pending.wait(until, look)
        except EngineError as error:
            self._error = error
            raise

    def _stop(self, look: Callable[[], object]) -> None:
        """Ask to stop until that is heard."""
        limit = time.monotonic() + (self._stall or 60.0)
        while not self._pending.done:
            self.cancel()
            if self._wait(time.monotonic() + 1.0, look):
                return
            if time.monotonic() > limit:
                self._error = EngineError(
                    "the engines do not stop; s.restart() ends them and starts others"
                )
                raise self._error

    def _how_interrupted(self) -> str:
        ended = self._ended()
        if ended.stopped:
            return _advice(ended, self.directory)
        return f"interrupted, but the run had ended: {ended.path}"

    def _ended(self) -> Ended:
        """Return how it ended on rank 0; raise what all ranks or one have raised."""
        answers = self._pending.answers()
        for answer in answers:
            if answer.error is not None:
                shown = f"\n{answer.traceback.rstrip()}" if answer.traceback else ""
                self._error = answer.error
                raise type(answer.error)(f"{answer.error}{shown}") from None
        found: Ended = answers[0]
        return found

    def _last(self) -> Progress:
        try:
            ended = self._ended()
        except HpcappError as error:
            return Progress("failed", note=str(error).splitlines()[0])
        facts = self._pending.results[0].data or {}
        kept = {**facts, "points": ended.points or facts.get("points", ())}
        note = ended.lines[0] if ended.lines else ""
        if ended.stopped:
            kept |= {"note": note, "eta": None}
            return Progress("stopped", watched=self._watched, **kept)
        kept |= {"fraction": 1.0, "note": note, "eta": 0.0}
        return Progress("finished", watched=self._watched, **kept)


def _advice(ended: Ended, directory: str) -> str:
    place = os.path.relpath(directory)
    return (
        f"stopped ({ended.stopped}), not finished: {os.path.relpath(ended.path)}; go "
        f"on with: s.resume({place!r})"
    )
