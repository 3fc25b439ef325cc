# SPDX-License-Identifier: MIT
"""What a run that fails leaves: crash-rankN.json, a true status.json, advice.

Any rank may write it, and a process that is no rank: it needs neither MPI nor NumPy.
"""

import json
import os
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpcapp.errors import HpcappError
from hpcapp.store.checkpoints import completed_checkpoint, find_result, last_checkpoint

__all__ = [
    "Failure",
    "advise",
    "leave",
    "mark_failed",
    "mark_finished",
    "one_line",
    "read_status",
    "state_file",
]

STATUS = "status.json"


@dataclass(frozen=True)
class Failure:
    """How one rank failed.

    Parameters
    ----------
    rank, size : int
        Of the job.
    host : str
        Its node.
    pid : int
        Its process.
    phase : str
        What it was at.
    error : str
        In one line.
    traceback : str
        Where in the program, as far as that is known.
    """

    rank: int
    size: int
    host: str
    pid: int
    phase: str
    error: str
    traceback: str = ""


def leave(directory: str, failure: Failure) -> None:
    """Write crash-rankN.json and let status.json say that the run failed.

    What cannot be written is left out: the failure itself is what counts.

    Parameters
    ----------
    directory : str
        The run directory.
    failure : Failure
        Of one rank.
    """
    document = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **asdict(failure),
        "checkpoint": last_checkpoint(directory),
        "resume": _command(directory, failure.size),
    }
    path = os.path.join(directory, f"crash-rank{failure.rank}.json")
    with suppress(OSError):
        _replace(path, document)
    where = f"rank {failure.rank} on {failure.host}"
    mark_failed(directory, f"{where}: {failure.error}", failure.phase)


def mark_failed(directory: str, error: str, phase: str = "") -> bool:
    """Let status.json say that the run failed, unless it says how it ended.

    Parameters
    ----------
    directory : str
        The run directory.
    error : str
        In one line.
    phase : str
        What the rank was at.

    Returns
    -------
    bool
        False where another rank has said it already, or the run has ended.
    """
    known = read_status(directory)
    if known is None or known.get("state") != "running":
        return False
    now = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"state": "failed", "error": error, "phase": phase, "updated": now}
    checkpoint = last_checkpoint(directory)
    with suppress(OSError):
        _replace(state_file(directory), {**known, **facts, "checkpoint": checkpoint})
    return True


def mark_finished(directory: str) -> None:
    """Let status.json say that the run has finished, where a kill prevented that.

    Parameters
    ----------
    directory : str
        The run directory, with a result.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    known = read_status(directory)
    if known is None or known.get("state") == "finished":
        return
    gone = ("error", "phase", "checkpoint")
    kept = {name: known[name] for name in known if name not in gone}
    facts = {"state": "finished", "fraction": 1.0, "eta_seconds": 0.0}
    _replace(state_file(directory), {**kept, **facts})


def advise(directory: str, size: int) -> str:
    """Return in one line what is left and how to go on.

    Parameters
    ----------
    directory : str
        The run directory.
    size : int
        Ranks that there were.

    Returns
    -------
    str
        With the name of the last checkpoint, its age and a command; with that of the
        result, from which an extension goes on, where there is no checkpoint; with the
        reason where checkpoints cannot be looked at.
    """
    command = _command(directory, size)
    try:
        path = completed_checkpoint(directory)
    except HpcappError as error:
        return f"{error}; once it can be, go on with: {command}"
    result = find_result(directory)
    if path is None and result:
        return f"{result} is whole; go on from it with: {command}"
    if path is None:
        return f"{directory}: there is no checkpoint; start the run again"
    age = ""
    with suppress(OSError):
        age = f" ({time.time() - os.stat(path).st_mtime:.0f} s old)"
    return f"the last checkpoint is {path}{age}; go on with: {command}"


def one_line(error: BaseException) -> str:
    """Return an error as status.json tells it: with its class if it is a defect."""
    known = isinstance(error, HpcappError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def state_file(directory: str) -> str:
    """Return the path of status.json."""
    return os.path.join(directory, STATUS)


def read_status(directory: str) -> dict[str, Any] | None:
    """Return what status.json says, None where there is none to be read."""
    try:
        found = json.loads(Path(state_file(directory)).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _command(directory: str, size: int) -> str:
    place = shlex.quote(directory)
    return f"mpirun -np {size} python -m hpcapp resume {place}"


def _replace(path: str, document: Mapping[str, Any]) -> None:
    # several ranks may write at once: each under a name of its own
    temporary = f"{path}.{os.getpid()}.part"
    try:
        text = json.dumps(document, indent=1)
        Path(temporary).write_text(f"{text}\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)
