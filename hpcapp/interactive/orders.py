# SPDX-License-Identifier: MIT
"""What the notebook tells its engines, and what they answer: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpcapp.errors import HpcappError

__all__ = [
    "Called",
    "Ended",
    "Engine",
    "EngineError",
    "Interrupted",
    "Order",
    "Stopped",
]


class EngineError(HpcappError):
    """An engine failed, died or does not go on."""


class Stopped(HpcappError):  # noqa: N818
    """A run was stopped before its end; the message says how to go on."""


class Interrupted(KeyboardInterrupt):
    """The user interrupted a run; the message says what was left and how to go on."""


@dataclass(frozen=True)
class Engine:
    """What an engine says of itself.

    Parameters
    ----------
    host : str
        Its node.
    pid : int
        Its process.
    world : (int, int) or None
        Rank and size of MPI's world; None where MPI was not started.
    launched : int
        Processes that its launcher has started together.
    folder : str
        Its working directory.
    version : str
        Of hpcapp.
    library : str
        The MPI library, "" without MPI.
    """

    host: str
    pid: int
    world: tuple[int, int] | None
    launched: int
    folder: str
    version: str
    library: str


@dataclass(frozen=True)
class Order:
    """A run that all engines are asked for.

    Parameters
    ----------
    text : str or None
        The configuration; None to go on with the run in `directory`.
    name : str
        Of the configuration, for messages.
    directory : str
        The run directory.
    settings : tuple of str
        ``KEY=VALUE``.
    folder : str
        Working directory, from which paths in the configuration count.
    command : str
        For the record.
    """

    text: str | None
    name: str
    directory: str
    settings: tuple[str, ...]
    folder: str
    command: str


@dataclass(frozen=True)
class Ended:
    """How a run ended on one engine.

    Parameters
    ----------
    rank : int
        Of the engine.
    path : str
        The result or the checkpoint; "" after an error.
    stopped : str
        Why it was stopped, "" for a finished run.
    lines : tuple of str
        What a run says at its end.
    summary : mapping
        The same in numbers, as ``--json`` prints it.
    points : tuple of (int, float)
        Number and value of steps, of what the workload lets one watch.
    error : HpcappError or None
        Why it failed.
    traceback : str
        Of an error that is a defect.
    """

    rank: int
    path: str = ""
    stopped: str = ""
    lines: tuple[str, ...] = ()
    summary: Mapping[str, Any] | None = None
    points: tuple[tuple[int, float], ...] = ()
    error: HpcappError | None = None
    traceback: str = ""


@dataclass(frozen=True)
class Called:
    """How a user's function ended on one engine.

    Parameters
    ----------
    rank : int
        Of the engine.
    value : bytes
        What it returned, pickled.
    error : HpcappError or None
        Why it failed.
    traceback : str
        Where.
    """

    rank: int
    value: bytes = b""
    error: HpcappError | None = None
    traceback: str = ""
