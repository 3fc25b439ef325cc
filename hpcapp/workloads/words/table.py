# SPDX-License-Identifier: MIT
"""Tables of distinct words, kept in arrays: no object a word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entries", "Table"]

# of a new table; it doubles
SMALLEST = 1 << 10


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
        self._slots = np.zeros((2 * SMALLEST, 2), np.uint64)
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
        n, used = self._used.tolist()
        return Entries(
            self._arena[:used],
            self._begin[:n],
            self._length[:n],
            self._count[:n],
            self._first[:n],
        )

    def scan(self, text: NDArray[np.uint8], size: int, base: int) -> NDArray[np.int32]:
        """Count the words of a translated text.

        Parameters
        ----------
        text : uint8[n]
            0 between words; at least 16 zeros behind it; n a multiple of 8.
        size : int
            Bytes of the text.
        base : int
            What is added to bytes of the text for `Entries.first`.

        Returns
        -------
        int32[words]
            The entry of each word.
        """
        from hpcapp.workloads.words.table_kernels import scan_words_cpu

        ids = np.empty(size // 2 + 1, np.int32)
        head = np.array([0, 0, size], np.int64)
        words = text.view(np.uint64)
        while head[0] < size:
            scan_words_cpu(ids, head, text, words, base, *self._arrays)
            if head[0] < size:
                self._grow()
        # not a view: most of it was never written, but would count as used
        return ids[: head[1]].copy()

    def add(self, entries: Entries) -> None:
        """Add words with their counts; the lowest first place of each is kept."""
        from hpcapp.workloads.words.table_kernels import insert_words_cpu

        words, starts = _terminated(entries)
        head = np.zeros(1, np.int64)
        while head[0] < entries.size:
            insert_words_cpu(
                head, words, starts, entries.count, entries.first, *self._arrays
            )
            if head[0] < entries.size:
                self._grow()

    def find(self, entries: Entries) -> NDArray[np.int64]:
        """Return where words stand in the table, -1 for one that does not."""
        from hpcapp.workloads.words.table_kernels import find_words_cpu

        found = np.empty(entries.size, np.int64)
        find_words_cpu(
            found,
            *_terminated(entries),
            self._slots,
            self._arena,
            self._begin,
            self._length,
        )
        return found

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return (
            self._used,
            self._slots,
            self._arena,
            self._begin,
            self._length,
            self._count,
            self._first,
        )

    def _grow(self) -> None:
        """Make room for twice as many words and for a longer one."""
        from hpcapp.workloads.words.table_kernels import refill_slots_cpu

        n = int(self._used[0])
        if 2 * (n + 1) > len(self._slots):
            old = self._slots
            self._slots = np.zeros((2 * len(old), 2), np.uint64)
            refill_slots_cpu(self._slots, old)
        if n == self._begin.size:
            self._begin, self._length = _double(self._begin), _double(self._length)
            self._count, self._first = _double(self._count), _double(self._first)
        else:
            self._arena = _double(self._arena)


def _terminated(entries: Entries) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return texts with a zero byte behind each, as the kernels read them."""
    from hpcapp.workloads.words.entry_kernels import pick_words_cpu

    # a word that fills its cells needs one more
    sizes = (entries.length.astype(np.int64) >> 3) + 1
    starts = np.cumsum(sizes) - sizes
    words = np.zeros(int(sizes.sum()) + 2, np.uint64)
    every = np.arange(entries.size)
    pick_words_cpu(words, starts, entries.arena, entries.begin, entries.length, every)
    return words, starts


def _double(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate((array, np.zeros_like(array)))
