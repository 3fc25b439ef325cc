# SPDX-License-Identifier: MIT
"""status.json of a run directory, and the lock that keeps a second run out."""

import fcntl
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpcapp.errors import RunDirectoryError
from hpcapp.failure import read_status, state_file
from hpcapp.log import Log

__all__ = ["Lock", "Status", "earlier_starts"]

# an owner on another node that has not been heard of for so long is dead
SILENCE = 600.0
# an owner shows so often that it lives, whatever it computes meanwhile
REFRESH = 60.0
# seconds that a busy controller may take to say whether an owner's job runs
ANSWER = 20.0
# status.json is rewritten no more often than this
INTERVAL = 1.0
# of how many earlier starts of a run status.json tells, and what of each
STARTS = 100
KEPT = (
    *("job", "restart", "ranks", "host", "started", "updated", "fraction", "state"),
    *("reason", "error"),
)


class Lock:
    """Exclusive use of a run directory by one job; held by rank 0.

    The kernel's lock on a file ends with its process, so a dead owner is
    recognised at once on its node. Where the file system does not carry the
    lock to other nodes, the age of the file tells, which a thread renews. A
    batch job that was started again elsewhere knows its own earlier lock by the
    number of the job, and need not wait; nor need one whose Slurm knows nothing more
    of the owner's job.

    Parameters
    ----------
    directory : str
        An existing run directory.
    environ : mapping, optional
        The process environment, for the batch job.

    Raises
    ------
    RunDirectoryError
        If another run owns it.
    OSError
        If that cannot be written there.
    """

    def __init__(
        self, directory: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.path = os.path.join(directory, ".lock")
        self._mine = _describe(os.environ if environ is None else environ)
        self._descriptor = self._take()
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(self._mine).encode(), 0)
        except OSError:
            # this process may live on: it must not keep itself out
            os.close(self._descriptor)
            raise
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)
        self._thread.start()

    def refresh(self) -> None:
        """Show that the owner lives."""
        with suppress(OSError):
            os.utime(self._descriptor)

    def release(self) -> None:
        """Let others in."""
        if self._descriptor >= 0:
            self._released.set()
            self._thread.join()
            # how the run ended counts more than a file that cannot be removed: to
            # close it lets others in too
            with suppress(OSError):
                # removed while held, so that nobody can lock what is about to vanish
                os.unlink(self.path)
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _keep_alive(self) -> None:
        # a step, or a write of the result, may take longer than others wait
        while not self._released.wait(REFRESH):
            self.refresh()

    def _take(self) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            owner = _owner(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                busy = self._lives_elsewhere(descriptor, owner)
            except BlockingIOError:
                busy = True
            except OSError:
                # no locks on this file system: process and age must do
                busy = _lives_here(owner) or self._lives_elsewhere(descriptor, owner)
            if busy:
                owner = _owner(descriptor)
                os.close(descriptor)
                raise self._busy(owner)
            if _same_file(descriptor, self.path):
                return descriptor
            os.close(descriptor)

    def _lives_elsewhere(self, descriptor: int, owner: dict[str, Any]) -> bool:
        if not owner or owner.get("host") == socket.gethostname():
            return False
        if _earlier_start(owner, self._mine):
            return False
        silent = time.time() - os.fstat(descriptor).st_mtime >= SILENCE
        return not silent and not _job_is_gone(owner, self._mine)

    def _busy(self, owner: dict[str, Any]) -> RunDirectoryError:
        folder = os.path.dirname(self.path)
        who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
        return RunDirectoryError(
            f"{folder}: in use by another run ({who}); wait for it, choose another "
            "directory with --output, or, if it is dead for certain, remove "
            f"{self.path}"
        )


class Status:
    """status.json, replaced whole each time so that readers never see half.

    Parameters
    ----------
    directory : str
        The run directory.
    facts : dict
        What does not change: workload, ranks, host.
    log : Log, optional
        Told, once, that the file cannot be written.
    """

    def __init__(
        self,
        directory: str,
        facts: dict[str, Any],
        log: Log | None = None,
    ) -> None:
        self._directory, self._path = directory, state_file(directory)
        self._log: Log | None = log or Log()
        self._facts = {**facts, "pid": os.getpid(), "started": _now()}
        self._written = 0.0

    def update(self, state: str, force: bool = False, **facts: Any) -> None:
        """Rewrite the file, unless that was done a moment ago.

        Where it cannot be written that is said once, and nothing else happens.

        Parameters
        ----------
        state : {"running", "finished", "stopped", "failed"}
            How the run stands.
        force : bool
            Write in any case.
        **facts : object
            Plain values, kept from now on.
        """
        self._facts.update(facts, state=state)
        now = time.monotonic()
        if not force and now - self._written < INTERVAL:
            return
        if not force and self._ended():
            return
        self._written = now
        temporary = f"{self._path}.part"
        text = json.dumps({**self._facts, "updated": _now()}, indent=1)
        try:
            Path(temporary).write_text(text + "\n", encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError as error:
            self._warn(error)

    def _ended(self) -> bool:
        """Tell whether another rank has said meanwhile that the run failed."""
        known = read_status(self._directory)
        return known is not None and known.get("state") == "failed"

    def _warn(self, error: OSError) -> None:
        # a disk that is full for a moment must not end a computation
        if self._log is not None:
            self._log.warn(
                f"{self._path}: cannot be written: {error.strerror}; the run goes on, "
                "what is said there may be old"
            )
            self._log = None


def earlier_starts(directory: str) -> list[dict[str, Any]]:
    """Return how the starts went from whose checkpoint a run goes on.

    Parameters
    ----------
    directory : str
        The run directory, whose status.json is still that of the last start.

    Returns
    -------
    list of dict
        The oldest first; of each the facts that tell it from others.
    """
    known = read_status(directory)
    if known is None:
        return []
    last = {name: known[name] for name in KEPT if name in known}
    if last.get("state") == "running":
        # it holds the lock no longer, and had no time to say so
        last["state"] = "died"
    chain = known.get("chain")
    return [*(chain if isinstance(chain, list) else []), last][-STARTS:]


def _owner(descriptor: int) -> dict[str, Any]:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _lives_here(owner: dict[str, Any]) -> bool:
    pid = owner.get("pid")
    if owner.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _describe(environ: Mapping[str, str]) -> dict[str, Any]:
    owner: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
    if environ.get("SLURM_JOB_ID"):
        owner["job"] = environ["SLURM_JOB_ID"]
        # numbers of jobs mean nothing on another cluster
        owner["cluster"] = environ.get("SLURM_CLUSTER_NAME", "")
        owner["restart"] = environ.get("SLURM_RESTART_COUNT", "0")
        owner["step"] = environ.get("SLURM_STEP_ID", "")
    return owner


def _earlier_start(owner: dict[str, Any], mine: dict[str, Any]) -> bool:
    """Tell whether an owner was this batch job before it was requeued."""
    if "job" not in mine or owner.get("job") != mine["job"]:
        return False
    # two steps of one start may run side by side
    same_start = owner.get("restart") == mine["restart"]
    return not same_start or owner.get("step") == mine["step"]


def _job_is_gone(owner: dict[str, Any], mine: dict[str, Any]) -> bool:
    """Tell whether Slurm knows for certain that the job of an owner has ended."""
    job, cluster = owner.get("job"), mine.get("cluster")
    if not cluster or owner.get("cluster") != cluster or job == mine["job"]:
        return False
    if not isinstance(job, str) or not job.isdecimal():
        return False
    # it lists what waits, runs or is being cleared away, and forgets after minutes
    command = ["squeue", "-h", "-j", job, "-o", "%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER)
    except (OSError, subprocess.SubprocessError):
        return False
    if done.returncode:
        return "Invalid job id" in done.stderr
    return not done.stdout.strip()


def _same_file(descriptor: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
