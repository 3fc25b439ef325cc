# SPDX-License-Identifier: MIT
"""The words of a book on all ranks: each word has one owner, which has its counts."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hpcapp.decomposition import Block, part_of
from hpcapp.fields import Field, Part, State
from hpcapp.workloads.words.table import Entries, Table, cells

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Top",
    "counts_of_counts",
    "highest",
    "keep",
    "restore",
    "share_out",
    "table_fields",
]


@dataclass(frozen=True)
class Top:
    """The most frequent words of a book.

    Parameters
    ----------
    words : list of bytes
        In UTF-8, by descending count, then by first appearance.
    counts : list of int
        Of each.
    """

    words: list[bytes]
    counts: list[int]


def share_out(comm: "Comm", table: Table, entries: Entries) -> None:
    """Give each word to its owner, with the counts of all ranks; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    table : Table
        The words that this rank owns; added to. Their text alone chooses the owner.
    entries : Entries
        Words that this rank has met; one may stand there twice.
    """
    from hpcapp.workloads.words.entry_kernels import owners_cpu

    owner = np.empty(entries.size, np.int64)
    owners_cpu(owner, entries.arena, entries.begin, entries.length, comm.size)
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(comm.size + 1))
    # copies are let go as soon as the next one is there
    entries = entries.pick(order)
    at = np.append(entries.begin, entries.arena.size)
    arenas = comm.deal([entries.arena[at[a] : at[b]] for a, b in pairwise(bounds)])
    lengths, counts, firsts = (
        comm.deal([array[a:b] for a, b in pairwise(bounds)])
        for array in (entries.length, entries.count, entries.first)
    )
    del entries
    for received in zip(arenas, lengths, counts, firsts, strict=True):
        table.add(Entries.of(*received))


def highest(comm: "Comm", table: Table, top: int) -> Top:
    """Return the most frequent words of all ranks; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    table : Table
        The words that this rank owns.
    top : int
        How many; fewer if there are not so many.

    Returns
    -------
    Top
        The same on all ranks.
    """
    entries = table.entries
    candidates = np.arange(entries.size)
    if entries.size > top:
        least = np.partition(entries.count, -top)[-top]
        candidates = np.flatnonzero(entries.count >= least)
    order = np.lexsort((entries.first[candidates], -entries.count[candidates]))
    mine = [
        (-int(entries.count[k]), int(entries.first[k]), entries.text(k))
        for k in candidates[order][:top]
    ]
    # each rank's are few; what comes first in the text tells equal counts apart
    best = sorted(word for words in comm.all(mine) for word in words)[:top]
    return Top([text for _, _, text in best], [-count for count, _, _ in best])


def counts_of_counts(
    comm: "Comm", table: Table
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return which counts there are and how many words have them; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    table : Table
        The words that this rank owns.

    Returns
    -------
    (int64[n], int64[n]) or None
        Counts, descending, and words, on rank 0; None elsewhere. N words in all have
        less than sqrt(2 N) different counts.
    """
    counts, words = np.unique(table.entries.count, return_counts=True)
    all_counts = comm.gather(np.ascontiguousarray(counts))
    all_words = comm.gather(words.astype(np.int64))
    if all_counts is None or all_words is None:
        return None
    joined, where = np.unique(np.concatenate(all_counts), return_inverse=True)
    sums = np.zeros(joined.size, np.int64)
    np.add.at(sums, where, np.concatenate(all_words))
    return joined[::-1], sums[::-1]


ARRAYS = (
    ("arena", "uint64"),
    ("length", "int32"),
    ("count", "int64"),
    ("first", "int64"),
)


def table_fields(name: str, meaning: str) -> tuple[Field, ...]:
    """Return the fields in which a table of all ranks is saved."""
    return tuple(
        Field(
            f"{name}_{array}",
            (f"{name}_{array}",),
            "1",
            f"{meaning}: {array}",
            dtype,
            "state",
            distributed=True,
            listed=True,
        )
        for array, dtype in ARRAYS
    )


def keep(state: State, name: str, table: Table) -> None:
    """Let the state hold what this rank owns."""
    entries = table.entries
    # in the order of the entries, without what the table has room for
    compact = entries.pick(np.arange(entries.size))
    for array, _ in ARRAYS:
        values = getattr(compact, array)
        state[f"{name}_{array}"] = [Part(Block((0,), (values.size,)), values)]


def restore(comm: "Comm", state: State, name: str) -> Table:
    """Return the table that a saved state holds, given to its owners; collective."""
    number = state.length(f"{name}_length")
    begin, end = part_of(number, comm.size, comm.rank)
    read = {}
    for array, dtype in ARRAYS[1:]:
        read[array] = np.empty(end - begin, dtype)
        state.read(f"{name}_{array}", Block((begin,), (end,)), read[array])
    sizes = int(cells(read["length"]).sum())
    start = comm.exclusive_sum(sizes)
    arena = np.empty(sizes, np.uint64)
    state.read(f"{name}_arena", Block((start,), (start + sizes,)), arena)
    table = Table()
    entries = Entries.of(arena, read["length"], read["count"], read["first"])
    share_out(comm, table, entries)
    return table
