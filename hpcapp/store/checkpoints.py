# SPDX-License-Identifier: MIT
"""Names and number of the checkpoints in a run directory."""

import os
import re
from contextlib import suppress

from hpcapp.errors import HpcappError

__all__ = ["checkpoint_path", "find_checkpoints", "new_checkpoint", "prune"]

FOLDER = "checkpoints"


def checkpoint_path(directory: str, number: int) -> str:
    """Return the name of a checkpoint."""
    return os.path.join(directory, FOLDER, f"checkpoint-{number:06d}.nc")


def find_checkpoints(directory: str) -> list[tuple[int, str]]:
    """Return number and path of each finished checkpoint, the newest first."""
    folder = os.path.join(directory, FOLDER)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for name in names:
        match = re.fullmatch(r"checkpoint-(\d{6,})\.nc", name)
        if match:
            found.append((int(match[1]), os.path.join(folder, name)))
    return sorted(found, reverse=True)


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
        os.makedirs(folder, exist_ok=True)
        existing = find_checkpoints(directory)
    except OSError as error:
        raise HpcappError(
            f"{folder}: no checkpoint can be written there: {error.strerror}"
        ) from None
    return checkpoint_path(directory, existing[0][0] + 1 if existing else 1)


def prune(directory: str, keep: int) -> None:
    """Remove all but the newest checkpoints, and what a kill left half-written.

    Parameters
    ----------
    directory : str
        The run directory.
    keep : int
        How many stay; 0 removes the folder too.
    """
    for _, path in find_checkpoints(directory)[keep:]:
        with suppress(FileNotFoundError):
            os.unlink(path)
    if keep == 0:
        folder = os.path.join(directory, FOLDER)
        with suppress(FileNotFoundError):
            for name in os.listdir(folder):
                if name.endswith(".part"):
                    os.unlink(os.path.join(folder, name))
        with suppress(OSError):
            os.rmdir(folder)
