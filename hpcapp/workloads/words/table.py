# SPDX-License-Identifier: MIT
"""Tables of distinct words, kept in arrays: no object a word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "PADDING", "Entries", "Table"]

# of a new table; it doubles
SMALLEST = 1 << 10

BLOCK = 512
"""Words that are looked up together: a table has room for as many."""

PADDING = 24
"""Zeros behind a text, which is read in whole 64-bit words from any byte on."""


@dataclass(frozen=True)
class Entries:
    """Words with counts, in arrays.

    Parameters
    ----------
    arena : uint64[n]
        Texts: bytes from the lowest on, filled up with zeros.
    begin : int64[k]
        Where in `arena` each begins.
    length : int32[k]
        Bytes of each.
    count, first : int64[k]
        How often it occurs; the byte of the text at which it does so first.
    """

    arena: NDArray[np.uint64]
    begin: NDArray[np.int64]
    length: NDArray[np.int32]
    count: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many there are."""
        return int(self.begin.size)

    @classmethod
    def pack(
        cls, texts: Sequence[bytes], count: Sequence[int], first: Sequence[int]
    ) -> "Entries":
        """Return entries of words given one by one.

        Parameters
        ----------
        texts : sequence of bytes
            The words, none of them empty or with a byte that is 0.
        count, first : sequence of int
            Of each.

        Returns
        -------
        Entries
            In the same order.
        """
        length = np.array([len(text) for text in texts], np.int32)
        filled = [text + b"\0" * (-len(text) % 8) for text in texts]
        arena = np.frombuffer(b"".join(filled), "<u8").astype(np.uint64)
        counts, firsts = np.array(count, np.int64), np.array(first, np.int64)
        return cls.of(arena, length, counts, firsts)

    @classmethod
    def of(
        cls,
        arena: NDArray[np.uint64],
        length: NDArray[np.int32],
        count: NDArray[np.int64],
        first: NDArray[np.int64],
    ) -> "Entries":
        """Return entries whose texts stand in `arena` one behind the other."""
        return cls(arena, _starts(length), length, count, first)

    @classmethod
    def join(cls, parts: "Sequence[Entries]") -> "Entries":
        """Return the entries of all parts; a word may then stand there twice."""
        if len(parts) == 1:
            return parts[0]
        moved, before = [], 0
        for part in parts:
            moved.append(part.begin + before)
            before += part.arena.size
        return cls(
            np.concatenate([p.arena for p in parts]),
            np.concatenate(moved),
            np.concatenate([p.length for p in parts]),
            np.concatenate([p.count for p in parts]),
            np.concatenate([p.first for p in parts]),
        )

    def pick(self, chosen: NDArray[np.int64]) -> "Entries":
        """Return chosen entries, their texts one behind the other."""
        from hpcapp.workloads.words.entry_kernels import pick_words_cpu

        length = self.length[chosen]
        begin = _starts(length)
        arena = np.empty(int(cells(length).sum()), np.uint64)
        pick_words_cpu(arena, begin, self.arena, self.begin, self.length, chosen)
        return Entries(arena, begin, length, self.count[chosen], self.first[chosen])

    def text(self, number: int) -> bytes:
        """Return one word."""
        start, size = int(self.begin[number]), int(self.length[number])
        data = self.arena[start : start + (size + 7) // 8].astype("<u8").tobytes()
        return data[:size]

    def high(self) -> NDArray[np.bool_]:
        """Return which words are not ASCII."""
        from hpcapp.workloads.words.entry_kernels import has_high_bytes_cpu

        found = np.empty(self.size, np.bool_)
        has_high_bytes_cpu(found, self.arena, self.begin, self.length)
        return found


def cells(length: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the 64-bit words that texts of these lengths take."""
    return (length.astype(np.int64) + 7) >> 3


def _starts(length: NDArray[np.int32]) -> NDArray[np.int64]:
    ends = np.cumsum(cells(length))
    return ends - cells(length)


class Table:
    """Distinct words, found by open addressing; see `table_kernels`."""

    def __init__(self) -> None:
        self._used = np.zeros(2, np.int64)
        self._slots = np.zeros(2 * SMALLEST, np.uint32)
        self._heads = np.zeros((SMALLEST + 1, 2), np.uint64)
        self._arena = np.zeros(2 * SMALLEST, np.uint64)
        self._begin = np.zeros(SMALLEST, np.int64)
        self._length = np.zeros(SMALLEST, np.int32)
        self._count = np.zeros(SMALLEST, np.int64)
        self._first = np.zeros(SMALLEST, np.int64)

    @property
    def size(self) -> int:
        """Words in the table."""
        return int(self._used[0])

    @property
    def entries(self) -> Entries:
        """What the table holds, in the order in which it came; views."""
        return self.entries_from(0)

    def entries_from(self, number: int) -> Entries:
        """Return what the table holds from an entry on; views."""
        n, used = self._used.tolist()
        return Entries(
            self._arena[:used],
            self._begin[number:n],
            self._length[number:n],
            self._count[number:n],
            self._first[number:n],
        )

    def count(
        self,
        words: NDArray[np.uint64],
        bounds: NDArray[np.int64],
        number: int,
        base: int,
    ) -> NDArray[np.int32]:
        """Count the words of a text.

        Parameters
        ----------
        words : uint64[n]
            The text, with padding.
        bounds : int64[>= 2 number]
            Begin and end of each word, in bytes.
        number : int
            Words.
        base : int
            What is added to bytes of the text for `Entries.first`.

        Returns
        -------
        int32[number]
            The entry of each word.
        """
        from hpcapp.workloads.words.table_kernels import count_ids_cpu

        seen = self.size
        ids = self._number(words, bounds, number)
        count_ids_cpu(self._count, self._first, ids, seen, bounds, base)
        return ids

    def add(self, entries: Entries) -> None:
        """Add words with their counts; the lowest first place of each is kept.

        Their texts stand one behind the other.
        """
        from hpcapp.workloads.words.table_kernels import add_counts_cpu

        seen = self.size
        ids = self._number(*_as_text(entries), entries.size)
        add_counts_cpu(
            self._count, self._first, ids, seen, entries.count, entries.first
        )

    def find(self, entries: Entries) -> NDArray[np.int64]:
        """Return where words stand in the table, -1 for one that does not."""
        from hpcapp.workloads.words.table_kernels import find_cpu

        found = np.empty(entries.size, np.int64)
        text = _as_text(entries)
        find_cpu(found, *text, self._slots, self._heads, self._arena, self._begin)
        return found

    def _number(
        self, words: NDArray[np.uint64], bounds: NDArray[np.int64], number: int
    ) -> NDArray[np.int32]:
        """Return the entry of each word; append those that are new."""
        from hpcapp.workloads.words.table_kernels import number_cpu

        ids, done = np.empty(number, np.int32), 0
        while done < number:
            done = number_cpu(
                ids,
                done,
                words,
                bounds,
                self._used,
                self._slots,
                self._heads,
                self._arena,
                self._begin,
                self._length,
            )
            if done < number:
                end = 2 * min(number, done + BLOCK)
                self._grow(int(bounds[end - 1] - bounds[2 * done]))
        return ids

    def _grow(self, size: int) -> None:
        """Make room for a block of words, and for as many bytes of text."""
        from hpcapp.workloads.words.table_kernels import refill_cpu

        n, used = self._used.tolist()
        if n + BLOCK > self._begin.size:
            self._heads = _enlarge(self._heads, 2 * self._begin.size + 1)
            self._begin, self._length = _double(self._begin), _double(self._length)
            self._count, self._first = _double(self._count), _double(self._first)
        if 2 * (n + BLOCK) > self._slots.size:
            self._slots = np.zeros(2 * self._slots.size, np.uint32)
            refill_cpu(self._slots, self._heads, n)
        need = used + BLOCK + (size >> 3)
        if need > self._arena.size:
            self._arena = _enlarge(self._arena, max(need, 2 * self._arena.size))


def _as_text(entries: Entries) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return texts and their bounds as the kernels read them."""
    words = _enlarge(entries.arena, entries.arena.size + PADDING // 8)
    bounds = np.empty((entries.size, 2), np.int64)
    bounds[:, 0] = 8 * entries.begin
    bounds[:, 1] = bounds[:, 0] + entries.length
    return words, bounds.ravel()


def _double(array: NDArray[Any]) -> NDArray[Any]:
    return _enlarge(array, 2 * len(array))


def _enlarge(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return a copy with rows of zeros added."""
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
