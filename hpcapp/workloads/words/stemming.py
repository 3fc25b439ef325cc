# SPDX-License-Identifier: MIT
"""Distinct stems of a book: words between blanks, letters only, Porter's stemmer."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from hpcapp.errors import ConfigError
from hpcapp.workloads.words.spelling import letters
from hpcapp.workloads.words.table import Entries, Table
from hpcapp.workloads.words.vocabulary import share_out

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["add_letters", "check_stemmer", "count_stems"]


def check_stemmer() -> None:
    """Refuse to go on without NLTK.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    if find_spec("nltk") is None:
        raise ConfigError(
            "porter needs NLTK, which is not installed: pip install 'hpcapp[words]'",
            key="parameters.stem",
        )


def add_letters(comm: "Comm", table: Table, entries: Entries) -> None:
    """Give distinct words, letters only, to their owners; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    table : Table
        What this rank owns; added to.
    entries : Entries
        Words between blanks that this rank has met.
    """
    share_out(comm, table, _distinct(map(letters, _texts(entries))))


def count_stems(comm: "Comm", table: Table) -> int:
    """Return the number of distinct stems; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    table : Table
        From `add_letters`: its owner stems each word once.

    Returns
    -------
    int
        The same on all ranks.
    """
    from nltk.stem.porter import PorterStemmer

    stem, stems = PorterStemmer().stem, Table()
    share_out(comm, stems, _distinct(map(stem, _texts(table.entries))))
    return int(comm.sum(np.array([stems.size], np.int64))[0])


def _texts(entries: Entries) -> Iterable[str]:
    return (entries.text(number).decode() for number in range(entries.size))


def _distinct(words: Iterable[str]) -> Entries:
    texts = [word.encode() for word in {word for word in words if word}]
    return Entries.pack(texts, [1] * len(texts), [0] * len(texts))
