# SPDX-License-Identifier: MIT
"""``run --profile``: one file a rank for other programs, and a summary of all ranks.

`cprofile` times functions, `line` times the lines of the workload (line_profiler), and
`memory` tells which lines hold most memory (tracemalloc, which knows what Python and
NumPy allocate; it needs no other package and works wherever Python does).
"""

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hpcapp.errors import ConfigError
from hpcapp.run_directory import PROFILES
from hpcapp.workload import Workload

if TYPE_CHECKING:
    from hpcapp.log import Log
    from hpcapp.mpi.comm import Comm
    from hpcapp.session import Session

__all__ = ["KINDS", "Profiler", "Row", "open_profiler", "summarise", "watch"]

T = TypeVar("T")

# what a rank tells of, and what the summary shows
TOLD, SHOWN = 60, 25

# callers that are kept of each block of memory
NUMPY, FRAMES = f"{os.sep}numpy{os.sep}", 4

Row = tuple[str, int, float]
"""A place in the code, calls (or blocks of memory), seconds (or bytes)."""


class Profiler(ABC):
    """Watches one rank while it computes.

    Attributes
    ----------
    unit : str
        Of the last figure of a row.
    suffix : str
        Of the file of each rank.
    """

    unit = "s"
    suffix = ".prof"

    @abstractmethod
    def start(self, workload: Workload) -> None:
        """Begin to watch."""

    @abstractmethod
    def stop(self) -> None:
        """End it."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return what was seen, the largest first."""

    @abstractmethod
    def write(self, path: str) -> None:
        """Write the file of this rank for other programs."""

    def run(self, workload: Workload, action: Callable[[], T]) -> T:
        """Watch an action and return its value."""
        self.start(workload)
        try:
            return action()
        finally:
            self.stop()

    def leave(self, comm: "Comm", directory: str, log: "Log") -> None:
        """Write the files of all ranks and the summary; collective.

        Files that cannot be written are a warning: the run has ended as it has.
        """
        folder = os.path.join(directory, PROFILES)
        fault = comm.broadcast(_made(folder) if comm.root else "")
        if not fault:
            try:
                name = f"rank-{comm.rank:04d}{self.suffix}"
                self.write(os.path.join(folder, name))
            except OSError as error:
                fault = str(error)
        fault = next((text for text in comm.all(fault) if text), "")
        if fault:
            log.warn(f"profiles cannot be written: {fault}")
        told = json.dumps(self.rows()[:TOLD]).encode()
        parts = comm.gather(np.frombuffer(told, np.uint8))
        if parts is None:
            return
        ranks = [[tuple(row) for row in json.loads(part.tobytes())] for part in parts]
        lines = summarise(ranks, self.unit)
        for line in lines[: 1 + SHOWN // 2]:
            log.info(line)
        if not fault:
            path = os.path.join(folder, f"summary{self.suffix}.txt")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write("\n".join(lines) + "\n")
            log.info(f"profiles of {len(ranks)} ranks: {folder}; all of this: {path}")


def _made(folder: str) -> str:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        return str(error)
    return ""


def watch(
    profiler: Profiler | None, session: "Session", drive: Callable[["Session"], T]
) -> T:
    """Drive a session, watched if that is wished for; collective.

    Parameters
    ----------
    profiler : Profiler or None
        From `open_profiler`.
    session : Session
        What to drive.
    drive : callable
        Does it.

    Returns
    -------
    object
        What `drive` returned.
    """
    if profiler is None:
        return drive(session)
    outcome = profiler.run(session.problem.workload, lambda: drive(session))
    profiler.leave(session.comm, session.directory, session.log)
    return outcome


def summarise(ranks: list[list[Row]], unit: str) -> list[str]:
    """Return a table of the places that took most on all ranks together.

    Parameters
    ----------
    ranks : list of list of Row
        What each rank told.
    unit : str
        Of the figures, ``s`` or ``MB``.

    Returns
    -------
    list of str
        A heading, then a line for each place; the rank with most is named.
    """
    places: dict[str, list[tuple[int, int, float]]] = {}
    for rank, rows in enumerate(ranks):
        for name, count, amount in rows:
            places.setdefault(name, []).append((rank, count, amount))
    total = {name: sum(a for *_, a in found) for name, found in places.items()}
    lines = [f"{f'mean {unit}':>10} {f'max {unit}':>10} {'on':>5} {'count':>9}  where"]
    for name in sorted(places, key=lambda name: (-total[name], name))[:SHOWN]:
        rank, _, most = max(places[name], key=lambda one: one[2])
        count = sum(n for _, n, _ in places[name])
        mean = total[name] / len(ranks)
        lines.append(f"{mean:10.4g} {most:10.4g} {rank:>5} {count:>9}  {name}")
    return lines


class Functions(Profiler):
    """Python's cProfile; snakeviz and pstats read its files."""

    def start(self, workload: Workload) -> None:  # noqa: ARG002
        """Begin to watch."""
        import cProfile

        self._profile = cProfile.Profile()
        self._profile.enable()

    def stop(self) -> None:
        """End it."""
        self._profile.disable()

    def rows(self) -> list[Row]:
        """Return calls and own seconds of functions."""
        import pstats

        stats: Any = pstats.Stats(self._profile)
        rows = [
            (f"{_short(file)}:{line} {function}", int(calls), float(own))
            for (file, line, function), (_, calls, own, *_) in stats.stats.items()
        ]
        return sorted(rows, key=lambda row: -row[2])

    def write(self, path: str) -> None:
        """Write what pstats reads."""
        self._profile.dump_stats(path)


class Lines(Profiler):
    """line_profiler on the modules of the workload; kernels are not Python's."""

    suffix = ".lprof"

    def start(self, workload: Workload) -> None:
        """Begin to watch the functions of the workload's modules."""
        from line_profiler import LineProfiler

        self._profile: Any = LineProfiler()
        package = type(workload).__module__
        for name, module in list(sys.modules.items()):
            own = name == package or name.startswith(package + ".")
            if own and not name.endswith("kernels"):
                self._profile.add_module(module)
        self._profile.enable_by_count()

    def stop(self) -> None:
        """End it."""
        self._profile.disable_by_count()

    def rows(self) -> list[Row]:
        """Return hits and seconds of lines."""
        stats = self._profile.get_stats()
        rows = [
            (f"{_short(file)}:{line} in {function}", int(hits), time * stats.unit)
            for (file, _, function), lines in stats.timings.items()
            for line, hits, time in lines
        ]
        return sorted(rows, key=lambda row: -row[2])

    def write(self, path: str) -> None:
        """Write what ``python -m line_profiler`` reads, and the same as text."""
        self._profile.dump_stats(path)
        with open(f"{path}.txt", "w", encoding="utf-8") as stream:
            self._profile.print_stats(stream, stripzeros=True)


class Memory(Profiler):
    """Python's tracemalloc, looked at between steps when there is clearly more."""

    unit, suffix = "MB", ".tracemalloc"

    # a snapshot takes time: only where memory has grown by this factor
    GROWN = 1.1

    def start(self, workload: Workload) -> None:
        """Begin to watch; the workload's steps are looked at as they go by."""
        import tracemalloc

        self._largest, self._peak = 0.0, 0
        self._snapshot: Any = None
        steps = workload.steps

        def watched(ctx: Any) -> Iterator[Any]:
            """Look at the memory at each yield."""
            for step in steps(ctx):
                self._look()
                yield step

        setattr(workload, "steps", watched)  # noqa: B010
        tracemalloc.start(FRAMES)

    def _look(self) -> None:
        import tracemalloc

        now = tracemalloc.get_traced_memory()[0]
        if now > self.GROWN * self._largest:
            self._snapshot, self._largest = tracemalloc.take_snapshot(), now

    def stop(self) -> None:
        """End it."""
        import tracemalloc

        self._look()
        self._peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    def rows(self) -> list[Row]:
        """Return blocks and MB held by lines when there was most, and the peak."""
        places: dict[str, tuple[int, float]] = {}
        for found in self._snapshot.statistics("traceback"):
            # the newest frame comes last; what NumPy does, somebody has asked for
            own = [frame for frame in found.traceback if NUMPY not in frame.filename]
            frame = (own or [*found.traceback])[-1]
            name = f"{_short(frame.filename)}:{frame.lineno}"
            count, size = places.get(name, (0, 0.0))
            places[name] = (count + found.count, size + found.size / 1e6)
        rows = [(name, count, size) for name, (count, size) in places.items()]
        rows.sort(key=lambda row: -row[2])
        return [("peak of all, between snapshots too", 1, self._peak / 1e6), *rows]

    def write(self, path: str) -> None:
        """Write what ``tracemalloc.Snapshot.load`` reads."""
        self._snapshot.dump(path)


KINDS: dict[str, type[Profiler]] = {
    "cprofile": Functions,
    "line": Lines,
    "memory": Memory,
}
"""By the names of the option."""


def open_profiler(kind: str | None) -> Profiler | None:
    """Return the profiler of a kind.

    Parameters
    ----------
    kind : str or None
        One of `KINDS`; None for none.

    Returns
    -------
    Profiler or None
        Not yet watching.

    Raises
    ------
    ConfigError
        If its package is not installed.
    """
    if kind is None:
        return None
    if kind == "line":
        try:
            import line_profiler  # noqa: F401
        except ImportError:
            raise ConfigError(
                "--profile line: needs line_profiler, which is not installed; get it "
                "with: pip install 'hpcapp[profile]'"
            ) from None
    return KINDS[kind]()


def _short(path: str) -> str:
    """Return a file's path from its package on."""
    parts = path.replace("\\", "/").split("/")
    for top in ("site-packages", "hpcapp"):
        if top in parts[:-1]:
            # the last one: a checkout may be called so too
            at = len(parts) - 1 - parts[::-1].index(top)
            return "/".join(parts[at + (top == "site-packages") :])
    return "/".join(parts[-2:])
