# SPDX-License-Identifier: MIT
"""Where the time of a run went, by rank and phase, in one small file beside its result.

A run that goes on leaves another one; those of its earlier starts are kept beside it.
Collective to write, by plain NumPy to read. Its size is bounded: of each rank a few
totals, of at most `TRACED` ranks a timeline of at most `PIECES` pieces.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.clock import PHASES, PIECES, Clock
from hpcapp.errors import ResultError

if TYPE_CHECKING:
    from hpcapp.log import Log
    from hpcapp.mpi.comm import Comm

__all__ = [
    "EARLIER",
    "KEPT",
    "TRACE",
    "TRACED",
    "Trace",
    "earlier_traces",
    "leave_trace",
    "read_trace",
    "traced_ranks",
]

TRACE = "trace.npz"
"""The file, in the run directory."""

EARLIER = "trace.*.npz"
"""Those of earlier starts, numbered from 1, where the run was resumed."""

KEPT = 8
"""Earlier starts whose files are kept at most: the newest."""

TRACED = 256
"""Ranks whose timelines are kept at most."""


@dataclass(frozen=True)
class Trace:
    """What a run has left of its time.

    Parameters
    ----------
    seconds, waited : float64[ranks, phases]
        Of each rank in each of `PHASES`; part of it waiting until all ranks had come.
    messages, sent : int64[ranks]
        Messages of halo exchanges, and their bytes.
    traced : int64[n]
        The ranks that have a timeline.
    begin, width : float64[n]
        When it begins, s after the first of all; length of its pieces, s.
    pieces : float32[n, PIECES, phases]
        Seconds of each phase in each piece; zero after its end.
    """

    seconds: NDArray[np.float64]
    waited: NDArray[np.float64]
    messages: NDArray[np.int64]
    sent: NDArray[np.int64]
    traced: NDArray[np.int64]
    begin: NDArray[np.float64]
    width: NDArray[np.float64]
    pieces: NDArray[np.float32]

    @property
    def ranks(self) -> int:
        """How many there were."""
        return len(self.seconds)


def traced_ranks(size: int) -> NDArray[np.int64]:
    """Return the ranks whose timelines are kept: all, or evenly many.

    Parameters
    ----------
    size : int
        How many ranks there are.

    Returns
    -------
    int64[min(size, TRACED)]
        Ascending, the first and the last among them.
    """
    return np.unique(np.linspace(0, size - 1, min(size, TRACED)).astype(np.int64))


def leave_trace(comm: "Comm", directory: str, log: "Log") -> None:
    """Write the trace of a run into its directory; collective.

    A file that cannot be written is a warning: the run has ended as it has.

    Parameters
    ----------
    comm : Comm
        The ranks, with their clocks.
    directory : str
        The run directory.
    log : Log
        Is told what went wrong.
    """
    clock = comm.clock
    seconds = clock.read()
    totals = [*seconds.values(), *clock.waited.values(), clock.messages, clock.sent]
    totals += [clock.started, clock.timeline.width]
    numbers = comm.stack(np.array(totals, np.float64))
    chosen = traced_ranks(comm.size)
    mine = _pieces(clock) if comm.rank in chosen else np.empty(0, np.float32)
    tables = comm.gather(mine.ravel())
    if numbers is None or tables is None:
        return
    try:
        _write(directory, _collect(numbers, chosen, tables))
    except OSError as error:
        log.warn(f"{TRACE} cannot be written: {error}; the run has ended all the same")


def _pieces(clock: Clock) -> NDArray[np.float32]:
    table = np.zeros((PIECES, len(PHASES)), np.float32)
    filled = clock.timeline.table(clock.seconds)
    table[: len(filled)] = filled
    return table


def _collect(
    numbers: NDArray[np.float64],
    chosen: NDArray[np.int64],
    tables: list[NDArray[np.float32]],
) -> Trace:
    n = len(PHASES)
    begin = numbers[:, 2 * n + 2]
    return Trace(
        seconds=numbers[:, :n],
        waited=numbers[:, n : 2 * n],
        messages=numbers[:, 2 * n].astype(np.int64),
        sent=numbers[:, 2 * n + 1].astype(np.int64),
        traced=chosen,
        begin=(begin - begin.min())[chosen],
        width=numbers[chosen, 2 * n + 3],
        pieces=np.stack([tables[rank].reshape(PIECES, n) for rank in chosen]),
    )


def _write(directory: str, trace: Trace) -> None:
    path = os.path.join(directory, TRACE)
    temporary = os.path.join(directory, f".{TRACE}.part")
    with open(temporary, "wb") as stream:
        np.savez_compressed(stream, phases=np.array(PHASES), **vars(trace))
    # a directory is cleared before a new run: what stands there is an earlier start's
    if os.path.exists(path):
        earlier = earlier_traces(directory)
        number = max(earlier, default=0) + 1
        os.replace(path, os.path.join(directory, EARLIER.replace("*", str(number))))
        for old in sorted(earlier)[: max(0, len(earlier) + 1 - KEPT)]:
            os.unlink(os.path.join(directory, earlier[old]))
    os.replace(temporary, path)


def earlier_traces(directory: str) -> dict[int, str]:
    """Return the files of earlier starts of a run, by number.

    Parameters
    ----------
    directory : str
        The run directory.

    Returns
    -------
    dict of int to str
        Names of files, the first start first.
    """
    names = [path.name for path in Path(directory).glob(EARLIER)]
    numbers = (name.split(".")[1] for name in names)
    found = {
        int(n): name for n, name in zip(numbers, names, strict=True) if n.isdigit()
    }
    return dict(sorted(found.items()))


def read_trace(directory: str, name: str = TRACE) -> Trace | None:
    """Return what a run has left of its time.

    Parameters
    ----------
    directory : str
        The run directory.
    name : str
        Of the file; by default that of the last start.

    Returns
    -------
    Trace or None
        None where there is no such file.

    Raises
    ------
    ResultError
        If the file is damaged, or has other phases.
    """
    path = os.path.join(directory, name)
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            found: dict[str, Any] = {name: file[name] for name in file.files}
        phases = tuple(found.pop("phases").tolist())
        trace = Trace(**found)
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile):
        raise ResultError(
            f"{path}: is damaged or no trace of hpcapp; without it, in another "
            "directory, the report does without timelines"
        ) from None
    if phases != PHASES:
        raise ResultError(
            f"{path}: has the phases {', '.join(phases)}, this hpcapp has "
            f"{', '.join(PHASES)}: make the report with the version of the run"
        )
    return trace
