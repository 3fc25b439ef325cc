# SPDX-License-Identifier: MIT
"""The files of the words: found and looked at, on one rank, before work starts."""

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from hpcapp.errors import ConfigError

__all__ = ["Book", "File", "find_files", "make_books"]

KEY = "parameters.inputs"

MERGED = "all"
"""Name of the book that all files make."""


@dataclass(frozen=True)
class File:
    """A file of text.

    Parameters
    ----------
    path : str
        Where it is.
    size : int
        Its bytes, > 0.
    """

    path: str
    size: int


@dataclass(frozen=True)
class Book:
    """A text: one file or several, one behind the other.

    Parameters
    ----------
    name : str
        For tables.
    files : tuple of File
        At least one; the end of a file ends a word.
    """

    name: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def place(self, byte: int) -> tuple[str, int]:
        """Return the file in which a byte of the book lies, and where there."""
        for file in self.files[:-1]:
            if byte < file.size:
                return file.path, byte
            byte -= file.size
        return self.files[-1].path, byte


def find_files(inputs: Sequence[str]) -> list[File]:
    """Find the files that paths and patterns mean.

    Parameters
    ----------
    inputs : sequence of str
        Paths, and patterns with ``*``, ``?``, ``[...]`` or ``**``.

    Returns
    -------
    list of File
        In the order of `inputs`; those of one pattern sorted.

    Raises
    ------
    ConfigError
        If a path does not exist or a pattern matches nothing, or a file is empty,
        cannot be read, or is something else than a file.
    """
    files = []
    for text in inputs:
        paths = [text]
        if not os.path.lexists(text):
            paths = sorted(glob.glob(text, recursive=True))
        if not paths:
            raise ConfigError(_nothing(text), key=KEY)
        files += [_look_at(path) for path in paths]
    return files


def make_books(files: Sequence[File], merge: bool) -> list[Book]:
    """Return the books that files are.

    Parameters
    ----------
    files : sequence of File
        In order.
    merge : bool
        Whether all are one.

    Returns
    -------
    list of Book
        A file's book has its name, without what follows the last dot.
    """
    if merge:
        return [Book(MERGED, tuple(files))]
    return [
        Book(os.path.splitext(os.path.basename(file.path))[0], (file,))
        for file in files
    ]


def _nothing(text: str) -> str:
    if glob.has_magic(text):
        where = os.path.abspath(text)
        return (
            f"must match at least one file, got {text}: nothing is called {where}; "
            "paths are relative to the working directory"
        )
    return (
        f"must name files, got {text}: no such file; a pattern such as texts/*.txt "
        "stands in quotes, as in --set 'parameters.inputs=[\"texts/*.txt\"]'"
    )


def _look_at(path: str) -> File:
    try:
        with open(path, "rb") as stream:
            found = os.fstat(stream.fileno())
    except IsADirectoryError:
        message = (
            f"must name files, got {path}: a directory; {path}/*.txt are its texts"
        )
        raise ConfigError(message, key=KEY) from None
    except OSError as error:
        message = f"must name files that can be read, got {path}: {error.strerror}"
        raise ConfigError(message, key=KEY) from None
    if not stat.S_ISREG(found.st_mode):
        message = f"must name plain files, got {path}: it has no length"
        raise ConfigError(message, key=KEY)
    if found.st_size == 0:
        raise ConfigError(f"must name files with text, got {path}: empty", key=KEY)
    return File(path, found.st_size)
