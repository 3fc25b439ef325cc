# SPDX-License-Identifier: MIT
"""How a run stands, told from outside: from status.json, and whether it still lives."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hpcapp.errors import RunDirectoryError
from hpcapp.failure import advise, read_status
from hpcapp.log import duration, scaled
from hpcapp.run_directory import is_complete
from hpcapp.status import SILENCE
from hpcapp.store.checkpoints import find_result, last_checkpoint

__all__ = ["Standing", "find_standing"]

# earlier starts of a run that are told
SHOWN = 10


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Parameters
    ----------
    state : {"running", "finished", "stopped", "failed", "dead"}
        As status.json says; "dead" where it says running and nobody is; "finished" too
        where a run was killed between its result and the end of its clearing up.
    directory : str
        The run directory.
    facts : dict
        What status.json holds.
    checkpoint : str or None
        The newest that was completed.
    """

    state: str
    directory: str
    facts: dict[str, Any]
    checkpoint: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for ``--json``."""
        told = {"checkpoint": self.checkpoint, "idle_starts": self.idle_starts}
        return {**self.facts, "state": self.state, **told}

    @property
    def idle_starts(self) -> int:
        """How many of this job's last starts have brought the run no further."""
        idle, best = 0, 0.0
        for start in [*(self.facts.get("chain") or []), self.facts]:
            # another job may have had another goal
            if start.get("job") == self.facts.get("job"):
                reached = float(start.get("fraction", 0.0))
                idle = 0 if reached > best else idle + 1
                best = max(best, reached)
        return idle

    def text(self) -> str:
        """Return it in a form to read."""
        facts, size = self.facts, int(self.facts.get("ranks", 1))
        head = f"{facts.get('workload', '?')} on {size} rank{'s' * (size != 1)}"
        lines = [f"{head}: {self._state()}", self._progress()]
        if self.state == "finished":
            lines.append(find_result(self.directory) or "its result is gone")
            if self.checkpoint is not None:
                lines.append(
                    "it was killed before it could remove its checkpoints: the next "
                    "run or resume there does"
                )
        elif self.state != "running" or self.checkpoint is not None:
            lines.append(advise(self.directory, size))
        return "\n".join(line for line in [*lines, *self._chain()] if line)

    def _chain(self) -> list[str]:
        """Return a line for each of the last starts before this one."""
        chain = self.facts.get("chain") or []
        if not chain:
            return []
        first = max(0, len(chain) - SHOWN)
        lines = [f"start {len(chain) + 1} of a chain; before it:"]
        lines += [f"  ... {first} more"] if first else []
        for number, start in enumerate(chain[first:], start=first + 1):
            lines.append(f"  {number}: {_tell_start(start)}")
        return lines

    def _state(self) -> str:
        facts = self.facts
        if self.state == "dead":
            where = f"process {facts.get('pid')} on {facts.get('host')}"
            return f"died at some time after {facts.get('updated')}: {where} is gone"
        if self.state == "failed":
            return f"failed: {facts.get('error', 'nobody knows why')}"
        if self.state == "stopped":
            return f"stopped ({facts.get('reason', 'on request')}), not finished"
        return self.state

    def _progress(self) -> str:
        facts = self.facts
        words = [f"{100 * facts.get('fraction', 0.0):.0f} %"]
        with suppress(KeyError, ValueError, TypeError):
            begun = datetime.fromisoformat(facts["started"])
            now = datetime.fromisoformat(facts["updated"])
            words[0] += f" after {duration((now - begun).total_seconds())}"
        if facts.get("rate"):
            words.append(f"{scaled(facts['rate'])}{facts.get('unit', '')}")
        if self.state == "running" and facts.get("eta_seconds") is not None:
            words.append(f"{duration(facts['eta_seconds'])} left")
        return "; ".join([", ".join(words), *filter(None, [facts.get("note")])])


def _tell_start(start: dict[str, Any]) -> str:
    job = f", job {start['job']}" if start.get("job") else ""
    if start.get("restart", "0") != "0":
        job += f", restart {start['restart']}"
    why = start.get("reason") or start.get("error") or ""
    state = f"{start.get('state', '?')}{f' ({why})' if why else ''}"
    return (
        f"{start.get('started', '?')} on {start.get('host', '?')}, "
        f"{start.get('ranks', '?')} ranks{job}: to "
        f"{100 * start.get('fraction', 0.0):.0f} %, {state}"
    )


def find_standing(directory: str) -> Standing:
    """Find out how a run stands, at any time, from any process.

    Parameters
    ----------
    directory : str
        The run directory.

    Returns
    -------
    Standing
        At this moment.

    Raises
    ------
    RunDirectoryError
        If no run of hpcapp has begun there.
    """
    facts = read_status(directory)
    if facts is None:
        if not os.path.isdir(directory):
            raise RunDirectoryError(f"{directory}: no such run directory")
        raise RunDirectoryError(
            f"{directory}: has no status.json: no run of hpcapp has begun there, or it "
            "has only just begun"
        )
    state = str(facts.get("state", "?"))
    if state == "running" and not _lives(directory, facts):
        # it may have ended between the two looks
        facts = read_status(directory) or facts
        state = str(facts.get("state", "?"))
        state = "dead" if state == "running" else state
    if state in ("dead", "failed") and is_complete(directory):
        state, facts = "finished", {**facts, "fraction": 1.0}
    return Standing(state, directory, facts, last_checkpoint(directory))


def _lives(directory: str, facts: dict[str, Any]) -> bool:
    """Tell whether rank 0 of a run can still be at work."""
    pid = facts.get("pid", 0)
    if facts.get("host") == socket.gethostname().partition(".")[0]:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return not _is_zombie(int(pid))
    # elsewhere the lock tells, which its owner renews every minute
    with suppress(OSError):
        age = time.time() - os.stat(os.path.join(directory, ".lock")).st_mtime
        return age < SILENCE
    return False


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and nobody has asked for its exit code."""
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(") ")[2].startswith("Z")
    return False
