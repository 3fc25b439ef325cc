# SPDX-License-Identifier: MIT
"""CPU kernels of the words: one pass over bytes, tables of words, positions.

Words are held as whole 64-bit words of bytes, the first byte lowest, filled up with
zeros: eight bytes are then compared, hashed and searched for their end at once. A text
is translated first (`translate_cpu`), so that what separates words is 0 and nothing
else is.

A table is open addressing over `slots`, uint64[m, 2], m a power of two: the key, 0 in
an empty slot, and twice the number of the entry, plus 1 if it is longer than eight
bytes. The key of a short word is the word itself; that of a long one is a hash, and the
text decides. Entry k has its text in ``arena[begin[k] :]``, `length` bytes of it, its
`count` and the byte `first` at which it first occurs. `used` is int64[2]: entries, and
words of the arena.
"""

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "find_words_cpu",
    "insert_words_cpu",
    "refill_slots_cpu",
    "scan_words_cpu",
    "translate_cpu",
]

ZERO, ONE, THREE = np.uint64(0), np.uint64(1), np.uint64(3)
SEVEN, EIGHT = np.uint64(7), np.uint64(8)
LAST_BYTE, LAST_BIT = np.uint64(56), np.uint64(63)

# every byte 1, and every byte 128
ONES, HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)

# golden ratio of 64 bits, and a factor of splitmix64
GOLDEN, FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
HALF = np.uint64(32)


@njit(cache=True, nogil=True, error_model="numpy")
def translate_cpu(
    out: np.ndarray, data: np.ndarray, size: int, table: np.ndarray
) -> None:
    """Translate bytes one by one and put zeros behind them.

    Parameters
    ----------
    out : uint8[>= size + 16]
        Written.
    data : uint8[>= size]
        The bytes.
    size : int
        How many.
    table : uint8[256]
        What becomes of each.
    """
    for i in range(size):
        out[i] = table[data[i]]
    for i in range(size, size + 16):
        out[i] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _load(words: np.ndarray, i: np.uint64) -> Any:
    # eight bytes from byte i on, which need not be aligned
    at, shift = i >> THREE, (i & SEVEN) << THREE
    return (words[at] >> shift) | ((words[at + ONE] << ONE) << (LAST_BIT - shift))


@njit(cache=True, nogil=True, error_model="numpy")
def _until_zero(value: np.uint64) -> Any:
    # mask of the bytes before the first zero byte; all bits where there is none
    zeros = (value - ONES) & ~value & HIGHS
    return ((zeros & (~zeros + ONE)) >> SEVEN) - ONE


@njit(cache=True, nogil=True, error_model="numpy")
def _bytes_of(mask: np.uint64) -> Any:
    return ((mask & ONES) * ONES) >> LAST_BYTE


@njit(cache=True, nogil=True, error_model="numpy")
def _fold(hashed: np.uint64, value: np.uint64) -> Any:
    mixed = (hashed ^ value) * FACTOR
    return mixed ^ (mixed >> HALF)


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(key: np.uint64, shift: np.uint64) -> Any:
    return ((key ^ (key >> HALF)) * GOLDEN) >> shift


@njit(cache=True, nogil=True, error_model="numpy")
def _shift(slots: np.ndarray) -> Any:
    # 64 minus the bits of a slot's number
    shift, m = 64, slots.shape[0]
    while m > 1:
        m >>= 1
        shift -= 1
    return np.uint64(shift)


@njit(cache=True, nogil=True, error_model="numpy")
def _hash_long(words: np.ndarray, i: np.uint64) -> Any:
    """Return the key of a word of eight bytes and more at byte i, and its length."""
    key, at = ZERO, i
    while True:
        value = _load(words, at)
        mask = _until_zero(value)
        if mask == ~ZERO:
            key = _fold(key, value)
            at += EIGHT
            continue
        value &= mask
        if value != ZERO:
            key = _fold(key, value)
        # 0 would be an empty slot
        return key | ONE, at - i + _bytes_of(mask)


@njit(cache=True, nogil=True, error_model="numpy")
def _same_text(
    words: np.ndarray, i: np.uint64, size: np.uint64, arena: np.ndarray, start: int
) -> Any:
    for k in range((size + SEVEN) >> THREE):
        value = _load(words, i + (np.uint64(k) << THREE))
        left = size - (np.uint64(k) << THREE)
        if left < EIGHT:
            value &= (ONE << (left << THREE)) - ONE
        if value != arena[start + k]:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _find(
    words: np.ndarray,
    i: np.uint64,
    key: np.uint64,
    size: np.uint64,
    slots: np.ndarray,
    shift: np.uint64,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
) -> Any:
    """Return the entry of a word, or -1, and the slot where it is or belongs."""
    last = np.uint64(slots.shape[0] - 1)
    slot = _slot(key, shift)
    while True:
        known = slots[slot, 0]
        if known == ZERO:
            return -1, slot
        if known == key:
            code = slots[slot, 1]
            number = np.int64(code >> ONE)
            if size <= EIGHT:
                if code & ONE == ZERO:
                    return number, slot
            elif (
                code & ONE == ONE
                and np.uint64(length[number]) == size
                and _same_text(words, i, size, arena, begin[number])
            ):
                return number, slot
        slot = (slot + ONE) & last


@njit(cache=True, nogil=True, error_model="numpy")
def _key_at(words: np.ndarray, i: np.uint64) -> Any:
    """Return key and length of the word at byte i."""
    value = _load(words, i)
    mask = _until_zero(value)
    if mask != ~ZERO:
        return value & mask, _bytes_of(mask)
    key, size = _hash_long(words, i)
    if size == EIGHT:
        return value, size
    return key, size


@njit(cache=True, nogil=True, error_model="numpy")
def _room(
    used: np.ndarray,
    size: np.uint64,
    slots: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
) -> Any:
    entries, cells = used[0], (np.int64(size) + 7) >> 3
    return (
        2 * (entries + 1) <= slots.shape[0]
        and entries < begin.shape[0]
        and used[1] + cells <= arena.shape[0]
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _append(
    words: np.ndarray,
    i: np.uint64,
    key: np.uint64,
    size: np.uint64,
    slot: np.uint64,
    used: np.ndarray,
    slots: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
) -> Any:
    number, start = used[0], used[1]
    cells = (size + SEVEN) >> THREE
    for k in range(cells):
        value = _load(words, i + (np.uint64(k) << THREE))
        left = size - (np.uint64(k) << THREE)
        if left < EIGHT:
            value &= (ONE << (left << THREE)) - ONE
        arena[start + k] = value
    begin[number], length[number] = start, np.int32(size)
    slots[slot, 0] = key
    slots[slot, 1] = (np.uint64(number) << ONE) | (ONE if size > EIGHT else ZERO)
    used[0], used[1] = number + 1, start + np.int64(cells)
    return number


@njit(cache=True, nogil=True, error_model="numpy")
def scan_words_cpu(
    ids: np.ndarray,
    head: np.ndarray,
    text: np.ndarray,
    words: np.ndarray,
    base: int,
    used: np.ndarray,
    slots: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    count: np.ndarray,
    first: np.ndarray,
) -> None:
    """Count the words of a text, up to its end or until the table has no room.

    One pass; a word of up to seven bytes is found, hashed and compared by one load.

    Parameters
    ----------
    ids : int32[>= words of the text]
        Written: the entry of each word.
    head : int64[3]
        Byte to go on at, words so far, bytes in all; the first two are written.
    text : uint8[n]
        Translated; at least 16 zeros at its end.
    words : uint64[n / 8]
        The same memory.
    base : int
        What is added to bytes of this text for `first`.
    used, slots, arena, begin, length, count, first
        The table, see above; written.
    """
    shift, stop = _shift(slots), np.uint64(head[2])
    i, done = np.uint64(head[0]), np.uint64(head[1])
    while i < stop:
        if text[i] == 0:
            i += ONE
            continue
        key, size = _key_at(words, i)
        number, slot = _find(words, i, key, size, slots, shift, arena, begin, length)
        if number < 0:
            if not _room(used, size, slots, arena, begin):
                break
            number = _append(
                words, i, key, size, slot, used, slots, arena, begin, length
            )
            count[number], first[number] = 0, base + np.int64(i)
        count[np.uint64(number)] += 1
        ids[done] = np.int32(number)
        done += ONE
        # what follows a word is what separates it from the next
        i += size + ONE
    head[0], head[1] = np.int64(i), np.int64(done)


@njit(cache=True, nogil=True, error_model="numpy")
def insert_words_cpu(
    head: np.ndarray,
    words: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    firsts: np.ndarray,
    used: np.ndarray,
    slots: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    count: np.ndarray,
    first: np.ndarray,
) -> None:
    """Add words with counts to a table, until all are in or it has no room.

    Parameters
    ----------
    head : int64[1]
        Word to go on with; written.
    words : uint64[n]
        Their text, each from a 64-bit word of its own on; two zeros at the end, and a
        zero byte behind each word.
    starts, counts, firsts : int64[k]
        Where each begins in `words`; what to add; where it occurs first.
    used, slots, arena, begin, length, count, first
        The table, see above; written.
    """
    shift = _shift(slots)
    for k in range(head[0], starts.size):
        i = np.uint64(starts[k]) << THREE
        key, size = _key_at(words, i)
        number, slot = _find(words, i, key, size, slots, shift, arena, begin, length)
        if number < 0:
            if not _room(used, size, slots, arena, begin):
                head[0] = k
                return
            number = _append(
                words, i, key, size, slot, used, slots, arena, begin, length
            )
            count[number], first[number] = 0, firsts[k]
        count[number] += counts[k]
        first[number] = min(first[number], firsts[k])
    head[0] = starts.size


@njit(cache=True, nogil=True, error_model="numpy")
def find_words_cpu(
    found: np.ndarray,
    words: np.ndarray,
    starts: np.ndarray,
    slots: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
) -> None:
    """Look words up in a table.

    Parameters
    ----------
    found : int64[k]
        Written: the entry of each, or -1.
    words, starts
        As for `insert_words_cpu`.
    slots, arena, begin, length
        The table.
    """
    shift = _shift(slots)
    for k in range(starts.size):
        i = np.uint64(starts[k]) << THREE
        key, size = _key_at(words, i)
        number, _ = _find(words, i, key, size, slots, shift, arena, begin, length)
        found[k] = number


@njit(cache=True, nogil=True, error_model="numpy")
def refill_slots_cpu(slots: np.ndarray, old: np.ndarray) -> None:
    """Put what stands in the slots of a table into more slots, all empty.

    Parameters
    ----------
    slots : uint64[m, 2]
        Written.
    old : uint64[k, 2]
        Slots that held it, k < m.
    """
    shift, last = _shift(slots), np.uint64(slots.shape[0] - 1)
    for k in range(old.shape[0]):
        if old[k, 0] == ZERO:
            continue
        slot = _slot(old[k, 0], shift)
        while slots[slot, 0] != ZERO:
            slot = (slot + ONE) & last
        slots[slot, 0], slots[slot, 1] = old[k, 0], old[k, 1]
