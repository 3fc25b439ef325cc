# SPDX-License-Identifier: MIT
"""What a rung is, and the rungs that only share pieces out: Dask, multiprocess, Ray."""

import logging
import multiprocessing
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["NotThereError", "Rung", "Task", "absent", "cut", "shared_out"]

# seconds that Ray may take to start: 10 on a quiet machine
START = 60.0

Read = Callable[[str], Any]


class NotThereError(Exception):
    """A library that is installed but does not work here."""


@dataclass(frozen=True)
class Rung:
    """One way to do the work.

    Parameters
    ----------
    name : str
        For tables.
    climb : callable
        Does so many units of the task, from the first on, and returns the answer.
    cores : int
        That it uses.
    missing : str
        Why it cannot be done here, or "".
    close : callable
        Ends what it has started.
    """

    name: str
    climb: Callable[[int], Any]
    cores: int = 1
    missing: str = ""
    close: Callable[[], None] = lambda: None


class Task(ABC):
    """The work of a configuration as all rungs do it.

    Attributes
    ----------
    unit : str
        Of the work, in the plural.
    units : int
        Of the whole work.
    tolerance : float
        Largest difference from hpcapp's answer; 0 where it must be the same.
    """

    unit: str
    units: int
    tolerance: float = 0.0

    @abstractmethod
    def rungs(self, cores: int) -> list[Rung]:
        """Return the rungs below hpcapp, from the slowest on."""

    @abstractmethod
    def expected(self, read: Read, part: int) -> Any:
        """Return hpcapp's answer.

        Parameters
        ----------
        read : callable
            Returns a variable of the result of a run with `settings`.
        part : int
            Units.
        """

    def settings(self, part: int) -> tuple[str, ...]:  # noqa: ARG002
        """Return what makes hpcapp do a part; () where the whole result has it."""
        return ()

    def share(self, part: int) -> float:
        """Return the share of the work that so many units are."""
        return part / self.units

    def difference(self, answer: Any, expected: Any) -> float:
        """Return by how much an answer is off: 0 where all numbers are the same."""
        a, b = np.asarray(answer), np.asarray(expected)
        if a.shape != b.shape:
            return float("inf")
        if np.array_equal(a, b):
            return 0.0
        scale = max(1.0, float(np.abs(b).max()))
        return float(np.abs(a - b).max()) / scale


def cut(units: int, pieces: int) -> list[tuple[int, int]]:
    """Cut a range into as many nearly equal ones, none of them empty.

    Examples
    --------
    >>> cut(10, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    bounds = [units * number // pieces for number in range(pieces + 1)]
    return [(a, b) for a, b in pairwise(bounds) if a < b]


def absent(library: str) -> str:
    """Return why a library cannot be used here, or ""."""
    if find_spec(library) is not None:
        return ""
    return f"{library} is not installed: pip install 'hpcapp[ladder]'"


def shared_out(
    work: Callable[..., Any],
    pieces: Callable[[int], Sequence[tuple[Any, ...]]],
    join: Callable[[list[Any]], Any],
    cores: int,
) -> list[Rung]:
    """Return the rungs that do pieces of a task by libraries, as many as are there.

    Parameters
    ----------
    work : callable
        Does a piece; a function of a module, since other processes import it.
    pieces : callable
        Returns the arguments of all pieces of a part.
    join : callable
        Makes the answer of those of the pieces, in their order.
    cores : int
        That may be used.

    Returns
    -------
    list of Rung
        For multiprocess, Dask and Ray; those that are not installed say so.
    """
    ways = (
        ("multiprocess", "multiprocess", _Processes(cores)),
        ("Dask", "dask", _Threads()),
        ("Ray", "ray", _Ray(cores)),
    )
    return [
        Rung(
            f"Numba shared out by {name}",
            lambda part, way=way: join(way.share(work, pieces(part))),  # type: ignore[misc]
            cores,
            absent(library),
            way.close,
        )
        for name, library, way in ways
    ]


class _Threads:
    """Dask's threads: the kernels let go of the GIL."""

    def share(
        self, work: Callable[..., Any], pieces: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        from dask.base import compute
        from dask.delayed import delayed

        tasks = [delayed(work)(*piece) for piece in pieces]
        return list(compute(*tasks, scheduler="threads"))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        pass


class _Processes:
    """A pool of processes, started once."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.pool: Any = None

    def share(
        self, work: Callable[..., Any], pieces: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        if self.pool is None:
            import multiprocess

            # no fork: threads of Numba would be lost in the child
            self.pool = multiprocess.get_context("spawn").Pool(self.cores)
        return list(self.pool.starmap(work, pieces))

    def close(self) -> None:
        if self.pool is not None:
            self.pool.close()
            self.pool.join()
            self.pool = None


class _Ray:
    """Workers of Ray, in a process of their own that can be given up.

    Where the servers of Ray do not come up, its start waits for them for ever.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.process: Any = None
        self.line: Any = None

    def share(
        self, work: Callable[..., Any], pieces: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        if self.process is None:
            self._start()
        try:
            self.line.send((work, pieces))
            return list(self.line.recv())
        except (EOFError, OSError):
            self.close()
            raise NotThereError("its workers have ended; see /tmp/ray") from None

    def _start(self) -> None:
        # nothing is told to anybody outside
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        context = multiprocessing.get_context("spawn")
        self.line, other = context.Pipe()
        self.process = context.Process(
            target=_serve_ray, args=(other, self.cores), daemon=True
        )
        self.process.start()
        other.close()
        try:
            if self.line.poll(START) and self.line.recv():
                return
        except (EOFError, OSError):
            pass
        self.close()
        raise NotThereError(f"Ray has not started within {START:.0f} s; see /tmp/ray")

    def close(self) -> None:
        if self.process is not None:
            # its servers end with the process that started them
            self.process.kill()
            self.process.join()
            self.process.close()
            self.line.close()
            self.process = None


def _serve_ray(line: Any, cores: int) -> None:
    """Do pieces with Ray as they come, until the other end is closed."""
    import ray

    # the workers find hpcapp, and its kernels, where this process does
    names = ("PYTHONPATH", "NUMBA_CACHE_DIR")
    known = {name: os.environ[name] for name in names if name in os.environ}
    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": known},
    )
    line.send(True)
    while True:
        work, pieces = line.recv()
        remote = ray.remote(work)
        line.send(ray.get([remote.remote(*piece) for piece in pieces]))
