# SPDX-License-Identifier: MIT
"""CPU kernels of tables of words.

Words are held as whole 64-bit words of bytes, the first byte lowest, filled up with
zeros: eight bytes are then compared and hashed at once.

Entry k of a table has its text in ``arena[begin[k] :]``, `length` bytes of it. Its
head, ``heads[k + 1]``, uint64[2], is the text itself if it has up to 16 bytes; else a
hash whose lowest byte is 0, which is no letter, and the length: then the text decides.
Open addressing over `slots`, uint32[m], m a power of two: the row in `heads`, 0 in an
empty slot; row 0 is no entry's. `used` is int64[2]: entries, and 64-bit words of the
arena.

Most words of a text are known and stand in the first slot that is looked at. A block of
words is therefore taken for such; what is wrong is found without a branch and done
again. The loops over a block are short, so that many loads are under way at once: the
table of a large vocabulary is not in the cache.
"""

from typing import Any

import numpy as np
from numba import njit

from hpcapp.workloads.words.table import BLOCK

__all__ = ["add_counts_cpu", "count_ids_cpu", "find_cpu", "number_cpu", "refill_cpu"]

ZERO, ONE, TWO, THREE = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
SEVEN, EIGHT, SHORT = np.uint64(7), np.uint64(8), np.uint64(16)
HALF, LAST_BIT = np.uint64(32), np.uint64(63)

# golden ratio of 64 bits, and a factor of splitmix64
GOLDEN, FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)

# bytes of a word of each length that stand in the two halves of its head
LOW = np.array([(1 << 8 * min(size, 8)) - 1 for size in range(17)], np.uint64)
HIGH = np.array([(1 << 8 * max(size - 8, 0)) - 1 for size in range(17)], np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def _load(words: np.ndarray, i: np.uint64) -> Any:
    # eight bytes from byte i on, which need not be aligned
    at, shift = i >> THREE, (i & SEVEN) << THREE
    return (words[at] >> shift) | ((words[at + ONE] << ONE) << (LAST_BIT - shift))


@njit(cache=True, nogil=True, error_model="numpy")
def _cell(words: np.ndarray, i: np.uint64, left: np.uint64) -> Any:
    # as many of eight bytes as are left
    return _load(words, i) & LOW[min(left, EIGHT)]


@njit(cache=True, nogil=True, error_model="numpy")
def _head(words: np.ndarray, i: np.uint64, size: np.uint64) -> Any:
    if size <= SHORT:
        return _load(words, i) & LOW[size], _load(words, i + EIGHT) & HIGH[size]
    key = ZERO
    for done in range(ZERO, size, EIGHT):
        mixed = (key ^ _cell(words, i + done, size - done)) * FACTOR
        key = mixed ^ (mixed >> HALF)
    return key << EIGHT, size


@njit(cache=True, nogil=True, error_model="numpy")
def _shift(slots: np.ndarray) -> Any:
    # 64 minus the bits of a slot's number
    shift, m = 64, slots.shape[0]
    while m > 1:
        m >>= 1
        shift -= 1
    return np.uint64(shift)


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(low: np.uint64, high: np.uint64, shift: np.uint64) -> Any:
    mixed = low ^ (high * FACTOR)
    return ((mixed ^ (mixed >> HALF)) * GOLDEN) >> shift


@njit(cache=True, nogil=True, error_model="numpy")
def _same_text(
    words: np.ndarray, i: np.uint64, size: np.uint64, arena: np.ndarray, start: np.int64
) -> Any:
    at = np.uint64(start)
    for done in range(ZERO, size, EIGHT):
        if _cell(words, i + done, size - done) != arena[at + (done >> THREE)]:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _probe(
    words: np.ndarray,
    i: np.uint64,
    size: np.uint64,
    head: Any,
    slots: np.ndarray,
    heads: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
) -> Any:
    """Return the row of a word, or 0, and the slot where it is or belongs."""
    last = np.uint64(slots.shape[0] - 1)
    slot = _slot(head[0], head[1], _shift(slots))
    while True:
        row = np.uint64(slots[slot])
        if row == ZERO:
            return row, slot
        if (
            heads[row, 0] == head[0]
            and heads[row, 1] == head[1]
            and (size <= SHORT or _same_text(words, i, size, arena, begin[row - ONE]))
        ):
            return row, slot
        slot = (slot + ONE) & last


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(
    own: np.ndarray,
    at: np.ndarray,
    words: np.ndarray,
    bounds: np.ndarray,
    slots: np.ndarray,
) -> None:
    """Write heads and slots of words, as if none were long."""
    shift = _shift(slots)
    for k in range(bounds.size >> 1):
        i = np.uint64(bounds[2 * k])
        size = min(np.uint64(bounds[2 * k + 1]) - i, SHORT)
        cell, down = i >> THREE, (i & SEVEN) << THREE
        up, middle = LAST_BIT - down, words[cell + ONE]
        low = (words[cell] >> down | (middle << ONE) << up) & LOW[size]
        high = (middle >> down | (words[cell + TWO] << ONE) << up) & HIGH[size]
        own[k, 0], own[k, 1] = low, high
        at[k] = _slot(low, high, shift)


@njit(cache=True, nogil=True, error_model="numpy")
def _check(
    ids: np.ndarray,
    wrong: np.ndarray,
    rows: np.ndarray,
    own: np.ndarray,
    heads: np.ndarray,
    bounds: np.ndarray,
) -> Any:
    """Take words for the rows that were found; tell which are not."""
    n = ZERO
    for k in range(ids.size):
        row = np.uint64(rows[k])
        same = (heads[row, 0] == own[k, 0]) & (heads[row, 1] == own[k, 1])
        short = bounds[2 * k + 1] - bounds[2 * k] <= 16
        ids[k] = np.int64(row) - 1
        wrong[n] = k
        n += np.uint64(not (same & short))
    return np.int64(n)


@njit(cache=True, nogil=True, error_model="numpy")
def _append(
    words: np.ndarray,
    i: np.uint64,
    size: np.uint64,
    head: Any,
    used: np.ndarray,
    heads: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
) -> None:
    number, start = used[0], used[1]
    for done in range(ZERO, size, EIGHT):
        cell = np.uint64(start) + (done >> THREE)
        arena[cell] = _cell(words, i + done, size - done)
    begin[number], length[number] = start, np.int32(size)
    heads[number + 1, 0], heads[number + 1, 1] = head
    used[0], used[1] = number + 1, start + np.int64((size + SEVEN) >> THREE)


@njit(cache=True, nogil=True, error_model="numpy")
def number_cpu(
    ids: np.ndarray,
    done: int,
    words: np.ndarray,
    bounds: np.ndarray,
    used: np.ndarray,
    slots: np.ndarray,
    heads: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
) -> int:
    """Look words up in a table, and append those that are new.

    Parameters
    ----------
    ids : int32[n]
        Written: the entry of each word.
    done : int
        Word to go on with.
    words : uint64[m]
        Text, with padding.
    bounds : int64[>= 2 n]
        Begin and end of each word in it, in bytes, ascending.
    used, slots, heads, arena, begin, length
        The table, see above; written.

    Returns
    -------
    int
        Word to go on with when the table has more room; n if all are done.
    """
    own, at = np.empty((BLOCK, 2), np.uint64), np.empty(BLOCK, np.uint32)
    rows, wrong = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.int64)
    for start in range(done, ids.size, BLOCK):
        n = min(BLOCK, ids.size - start)
        part, out = bounds[2 * start : 2 * (start + n)], ids[start : start + n]
        # what the block needs if each of its words is new
        entries, cells = used[0] + n, used[1] + n + ((part[-1] - part[0]) >> 3)
        if 2 * entries > slots.size or entries > begin.size or cells > arena.size:
            return start
        _pack(own, at, words, part, slots)
        for k in range(n):
            rows[k] = slots[at[k]]
        for j in range(_check(out, wrong, rows, own, heads, part)):
            k = wrong[j]
            i, end = np.uint64(part[2 * k]), np.uint64(part[2 * k + 1])
            head = _head(words, i, end - i)
            row, slot = _probe(words, i, end - i, head, slots, heads, arena, begin)
            if row == ZERO:
                _append(words, i, end - i, head, used, heads, arena, begin, length)
                row = slots[slot] = np.uint32(used[0])
            out[k] = np.int64(row) - 1
    return ids.size


@njit(cache=True, nogil=True, error_model="numpy")
def find_cpu(
    found: np.ndarray,
    words: np.ndarray,
    bounds: np.ndarray,
    slots: np.ndarray,
    heads: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
) -> None:
    """Look words up in a table.

    Parameters
    ----------
    found : int64[n]
        Written: the entry of each, or -1.
    words, bounds
        As for `number_cpu`.
    slots, heads, arena, begin
        The table.
    """
    for k in range(found.size):
        i, end = np.uint64(bounds[2 * k]), np.uint64(bounds[2 * k + 1])
        head = _head(words, i, end - i)
        row, _ = _probe(words, i, end - i, head, slots, heads, arena, begin)
        found[k] = np.int64(row) - 1


@njit(cache=True, nogil=True, error_model="numpy")
def count_ids_cpu(
    count: np.ndarray,
    first: np.ndarray,
    ids: np.ndarray,
    seen: int,
    bounds: np.ndarray,
    base: int,
) -> None:
    """Count the words of a text.

    Parameters
    ----------
    count, first : int64[entries]
        Occurrences, and the byte of the first one; written.
    ids : int32[n]
        Entries, from `number_cpu`.
    seen : int
        Entries that the table had before.
    bounds : int64[>= 2 n]
        Begin and end of each word, in bytes.
    base : int
        What is added to them.
    """
    new = np.uint64(seen)
    for k in range(ids.size):
        number = np.uint64(ids[k])
        count[number] += 1
        # new ones are numbered in the order of the text
        if number >= new:
            first[number] = base + bounds[2 * k]
            new += ONE


@njit(cache=True, nogil=True, error_model="numpy")
def add_counts_cpu(
    count: np.ndarray,
    first: np.ndarray,
    ids: np.ndarray,
    seen: int,
    counts: np.ndarray,
    firsts: np.ndarray,
) -> None:
    """Add words with counts.

    Parameters
    ----------
    count, first, ids, seen
        As for `count_ids_cpu`.
    counts, firsts : int64[n]
        Of each word: how often, and where first.
    """
    new = np.int64(seen)
    for k in range(ids.size):
        number = np.int64(ids[k])
        count[number] += counts[k]
        if number >= new:
            first[number] = firsts[k]
            new = number + 1
        first[number] = min(first[number], firsts[k])


@njit(cache=True, nogil=True, error_model="numpy")
def refill_cpu(slots: np.ndarray, heads: np.ndarray, entries: int) -> None:
    """Put the entries of a table into slots that are all empty.

    Parameters
    ----------
    slots : uint32[m]
        Written; m > entries.
    heads : uint64[> entries, 2]
        Of the table.
    entries : int
        How many it has.
    """
    shift, last = _shift(slots), np.uint64(slots.shape[0] - 1)
    for row in range(1, entries + 1):
        slot = _slot(heads[row, 0], heads[row, 1], shift)
        while slots[slot] != 0:
            slot = (slot + ONE) & last
        slots[slot] = np.uint32(row)
