# SPDX-License-Identifier: MIT
"""What a run owns: one directory, its files, and what may happen to old ones."""

import os
import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpcapp.errors import ConfigError, HpcappError, ResultError, RunDirectoryError
from hpcapp.failure import mark_finished, read_status
from hpcapp.status import Lock
from hpcapp.store.checkpoints import RESULTS, find_checkpoints, find_result, prune
from hpcapp.store.reader import load_attributes
from hpcapp.store.snapshots import SNAPSHOTS
from hpcapp.trace import TRACE, earlier_traces

__all__ = [
    "OWN_FILES",
    "PICTURE",
    "PROFILES",
    "REPORT",
    "Keeper",
    "RunDirectory",
    "clear_after",
    "inspect",
    "is_complete",
    "settle",
    "take",
]

CONFIG, STATUS, LOG = "run.yaml", "status.json", "log.txt"
# what `hpcapp plot` makes of the result
PICTURE = "plot.png"
# what `run --profile` leaves, one file a rank
PROFILES = "profiles"
# what `hpcapp report` makes of the run
REPORT = "report.html"
OWN_FILES = (*RESULTS.values(), CONFIG, STATUS, LOG, SNAPSHOTS, TRACE)
# what a job leaves that fails or is killed: half-written files, marks of a stall
LEFTOVERS = ("crash-*.json*", ".*.part", f"{CONFIG}*.part", f"{STATUS}*.part")


@dataclass(frozen=True)
class RunDirectory:
    """A directory that this run holds.

    Parameters
    ----------
    path : str
        The directory.
    lock : Lock
        Held by rank 0.
    moved : str
        Where an older finished run went, "" if none.
    """

    path: str
    lock: Lock
    moved: str = ""

    @property
    def config(self) -> str:
        """Path of the whole configuration."""
        return os.path.join(self.path, CONFIG)

    @property
    def log(self) -> str:
        """Path of the log."""
        return os.path.join(self.path, LOG)


class Keeper:
    """Keeps others out while it is looked at what a directory has to go on from.

    Parameters
    ----------
    path : str
        The run directory.

    Attributes
    ----------
    held : RunDirectory or None
        Once it is taken.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.held: RunDirectory | None = None
        self._lock: Lock | None = None
        self._fault: OSError | None = None

    @property
    def began(self) -> bool:
        """Whether nobody else was there when it was begun to look."""
        return self._lock is not None or self._fault is not None

    def lock(self) -> None:
        """Lock a directory with something in it.

        Where that is refused by the system it can be looked at all the same, for
        what has finished: `take` says why it was refused.

        Raises
        ------
        RunDirectoryError
            If another run holds it.
        """
        try:
            self._lock = Lock(self.path)
        except OSError as error:
            self._fault = error

    def take(self, force: bool, keep: bool) -> RunDirectory:
        """Return the directory, locked and cleared: see `take`."""
        if self._fault is not None:
            raise _refusal(self.path, self._fault)
        self.held = take(self.path, force, keep, self._lock)
        self._lock = self.held.lock
        return self.held

    def release(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.release()


def clear_after(result: str) -> str:
    """Remove what a new result makes superfluous: other formats, checkpoints.

    Parameters
    ----------
    result : str
        It holds all that the others held.

    Returns
    -------
    str
        "" or what could not be removed, and why.
    """
    folder, kept = os.path.split(result)
    try:
        for name in set(RESULTS.values()) - {kept}:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
        prune(folder, 0)
    except OSError as error:
        return f"{error.filename}: cannot be removed: {error.strerror}"
    except HpcappError as error:
        return str(error)
    return ""


def is_complete(path: str) -> bool:
    """Tell whether the result is all that the run that stands there was to give.

    A kill may have come before the run could say so and remove its checkpoints.

    Parameters
    ----------
    path : str
        The run directory.
    """
    result = find_result(path)
    if not result:
        return False
    try:
        text = Path(path, CONFIG).read_text(encoding="utf-8")
        found = load_attributes(result)
    except (OSError, UnicodeError, ResultError):
        return False
    # a run that extends its result is not: its configuration is another one
    is_result = found.get("hpcapp_state") == "finished"
    return is_result and found.get("hpcapp_config") == text


def settle(path: str) -> None:
    """Do for a run that is complete what a kill has left undone; under the lock.

    Parameters
    ----------
    path : str
        The run directory.

    Raises
    ------
    OSError
        If something cannot be removed, or status.json not be written.
    """
    _clear_leftovers(path)
    clear_after(find_result(path))
    mark_finished(path)


def inspect(path: str, force: bool, resume: bool) -> str | None:
    """Tell what to go on from, without touching anything.

    Parameters
    ----------
    path : str
        The run directory, which may not exist.
    force : bool
        Replace whatever stands there.
    resume : bool
        Go on from a checkpoint if there is one.

    Returns
    -------
    str or None
        The checkpoint to go on from.

    Raises
    ------
    RunDirectoryError
        If an unfinished run stands there and neither is wanted, or if files
        stand there that are not a run's.
    ConfigError
        If the path is no directory.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"must be a directory, got {path}", key="output.directory")
    checkpoints = find_checkpoints(path)
    if checkpoints and resume:
        return checkpoints[0][1]
    if checkpoints and not force and not is_complete(path):
        raise RunDirectoryError(
            f"{path}: holds an unfinished run with a checkpoint; go on with: "
            f"hpcapp resume {shlex.quote(path)} (or start anew with --force, "
            "or choose another directory with --output)"
        )
    foreign = not os.path.exists(os.path.join(path, CONFIG))
    result = os.path.basename(find_result(path))
    if result and foreign and not force:
        raise RunDirectoryError(
            f"{path}: holds a {result} but no {CONFIG}: not a run of hpcapp; choose "
            "another directory with --output, or replace it with --force"
        )
    if not force and not _is_run(path):
        for name in OWN_FILES:
            if os.path.exists(os.path.join(path, name)):
                raise RunDirectoryError(
                    f"{path}: holds a {name} that is not a run's and would be "
                    "overwritten; choose another directory with --output"
                )
    return None


def take(path: str, force: bool, keep: bool, lock: Lock | None = None) -> RunDirectory:
    """Make the directory, lock it, and clear what an older run left.

    Parameters
    ----------
    path : str
        The run directory.
    force : bool
        Remove an older run instead of moving it.
    keep : bool
        Leave everything, to go on from it.
    lock : Lock, optional
        Where it is locked already; let go if it cannot be cleared.

    Returns
    -------
    RunDirectory
        Locked.

    Raises
    ------
    RunDirectoryError
        If another run holds it.
    ConfigError
        If it cannot be made or written.
    """
    if lock is None:
        try:
            os.makedirs(path, exist_ok=True)
            lock = Lock(path)
        except OSError as error:
            raise _refusal(path, error) from None
    moved = ""
    try:
        # looked at again under the lock: another run may just have ended
        if not force and not keep:
            inspect(path, force, resume=False)
            told = (read_status(path) or {}).get("state") == "finished"
            if not (told and not find_checkpoints(path)) and is_complete(path):
                settle(path)
        if keep:
            _clear_leftovers(path)
        elif force:
            _remove(path)
        elif find_result(path):
            moved = _move(path)
        else:
            _remove(path)
    except OSError as error:
        lock.release()
        raise ConfigError(
            f"the older run there cannot be cleared away: {path}: {error.strerror}",
            key="output.directory",
        ) from None
    except BaseException:
        lock.release()
        raise
    return RunDirectory(path, lock, moved)


def _refusal(path: str, error: OSError) -> ConfigError:
    reason = f"cannot be written: {path}: {error.strerror}"
    return ConfigError(reason, key="output.directory")


def _is_run(path: str) -> bool:
    """Tell whether the files of a directory look like a run's."""
    there = {name for name in OWN_FILES if os.path.exists(os.path.join(path, name))}
    return STATUS in there or (CONFIG in there and len(there) > 1)


def _own(path: str) -> list[str]:
    # without a run's result a picture of that name is somebody else's
    plotted = _is_run(path) and bool(find_result(path))
    own = [*OWN_FILES, *earlier_traces(path).values(), *_leftovers(path)]
    return [*own, *([PICTURE, REPORT] if plotted else [])]


def _clear_leftovers(path: str) -> None:
    for name in _leftovers(path):
        Path(path, name).unlink(missing_ok=True)


def _leftovers(path: str) -> list[str]:
    return [p.name for pattern in LEFTOVERS for p in Path(path).glob(pattern)]


def _remove(path: str) -> None:
    for name in _own(path):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(path, name))
    for profile in _profiles(path):
        profile.unlink(missing_ok=True)
    with suppress(OSError):
        # kept if something else stands in it
        os.rmdir(os.path.join(path, PROFILES))
    prune(path, 0)


def _profiles(path: str) -> list[Path]:
    folder = Path(path, PROFILES)
    return [*folder.glob("rank-*"), *folder.glob("summary.*.txt")]


def _move(path: str) -> str:
    base = os.path.normpath(path)
    if os.path.basename(base) in ("", ".", ".."):
        base = os.path.abspath(path)
    number = 1
    while True:
        target = f"{base}.{number}"
        try:
            os.mkdir(target)
            break
        except FileExistsError:
            number += 1
    for name in _own(path):
        with suppress(FileNotFoundError):
            shutil.move(os.path.join(path, name), os.path.join(target, name))
    if _profiles(path):
        shutil.move(os.path.join(path, PROFILES), os.path.join(target, PROFILES))
    return target
