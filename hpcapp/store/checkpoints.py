# SPDX-License-Identifier: MIT
"""Names of the result and the checkpoints in a run directory, and their number."""

import os
import re
from contextlib import suppress

from hpcapp.errors import HpcappError

__all__ = [
    "RESULTS",
    "checkpoint_path",
    "completed_checkpoint",
    "discard",
    "find_checkpoints",
    "find_result",
    "last_checkpoint",
    "manifest_path",
    "new_checkpoint",
    "prune",
]

FOLDER = "checkpoints"

# by `output.format`
RESULTS = {"netcdf": "result.nc", "hdf5": "result.h5"}


def find_result(path: str) -> str:
    """Return the result in a run directory, in any format, "" if there is none."""
    names = [os.path.join(path, name) for name in RESULTS.values()]
    return next((name for name in names if os.path.exists(name)), "")


def checkpoint_path(directory: str, number: int) -> str:
    """Return the name of a checkpoint."""
    return os.path.join(directory, FOLDER, f"checkpoint-{number:06d}.nc")


def find_checkpoints(directory: str) -> list[tuple[int, str]]:
    """Return number and path of each checkpoint, the newest first, whole or not.

    Parameters
    ----------
    directory : str
        The run directory.

    Returns
    -------
    list of (int, str)
        None where there is no folder of checkpoints.

    Raises
    ------
    HpcappError
        If there is one that cannot be read.
    """
    folder = os.path.join(directory, FOLDER)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise HpcappError(f"{folder}: cannot be read: {error.strerror}") from None
    # one of the two files may be missing: that is for whoever checks it to say
    matches = (re.fullmatch(r"checkpoint-(\d{6,})\.(nc|json)", name) for name in names)
    numbers = {int(match[1]) for match in matches if match}
    return [(n, checkpoint_path(directory, n)) for n in sorted(numbers, reverse=True)]


def manifest_path(path: str) -> str:
    """Return the name of the manifest of a checkpoint."""
    return f"{os.path.splitext(path)[0]}.json"


def completed_checkpoint(directory: str) -> str | None:
    """Return the newest checkpoint that was completed; damage is not looked for.

    Parameters
    ----------
    directory : str
        The run directory.

    Returns
    -------
    str or None
        Its path.

    Raises
    ------
    HpcappError
        If there are some that cannot be looked at.
    """
    for _, path in find_checkpoints(directory):
        if _stands(path) and _stands(manifest_path(path)):
            return path
    return None


def last_checkpoint(directory: str) -> str | None:
    """Return the newest completed checkpoint, None if there are none to be seen.

    Whoever asks has a failure to tell of, or only looks: `completed_checkpoint` says
    why none is seen.
    """
    with suppress(HpcappError):
        return completed_checkpoint(directory)
    return None


def _stands(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise HpcappError(f"{path}: cannot be read: {error.strerror}") from None
    return True


def new_checkpoint(directory: str) -> str:
    """Return the path of the next checkpoint, after making its folder.

    Parameters
    ----------
    directory : str
        The run directory.

    Returns
    -------
    str
        One number above the newest.

    Raises
    ------
    HpcappError
        If the folder cannot be made or read.
    """
    folder = os.path.join(directory, FOLDER)
    try:
        # not its parents: where they vanished, what was written would not be found
        if not os.path.isdir(folder):
            os.mkdir(folder)
    except OSError as error:
        raise HpcappError(
            f"{folder}: no checkpoint can be written there: {error.strerror}"
        ) from None
    existing = find_checkpoints(directory)
    return checkpoint_path(directory, existing[0][0] + 1 if existing else 1)


def discard(path: str) -> None:
    """Let a damaged checkpoint count no longer; the next `prune` removes it.

    Parameters
    ----------
    path : str
        The checkpoint, which may be gone.

    Raises
    ------
    HpcappError
        If its manifest cannot be removed.
    """
    _remove(manifest_path(path))


def prune(directory: str, keep: int) -> None:
    """Remove all but the newest checkpoints, and what a kill left half-written.

    Parameters
    ----------
    directory : str
        The run directory.
    keep : int
        How many stay of those with a manifest; 0 removes the folder too.

    Raises
    ------
    HpcappError
        If one cannot be removed.
    """
    kept = 0
    for _, path in find_checkpoints(directory):
        kept += os.path.exists(manifest_path(path))
        if kept <= keep and os.path.exists(manifest_path(path)):
            continue
        # the manifest first: what lacks one is no checkpoint
        for name in (manifest_path(path), path):
            _remove(name)
    folder = os.path.join(directory, FOLDER)
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(folder):
            if name.endswith(".part"):
                _remove(os.path.join(folder, name))
    if keep == 0:
        with suppress(OSError):
            os.rmdir(folder)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HpcappError(f"{path}: cannot be removed: {error.strerror}") from None
