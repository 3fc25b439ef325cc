# SPDX-License-Identifier: MIT
"""Tables of words and the cutting of texts, against plain Python."""

from collections import Counter

import numpy as np
import pytest

from hpcapp.workloads.words import table_kernels
from hpcapp.workloads.words.segment import Text, blank_table, word_table
from hpcapp.workloads.words.table import Entries, Table


def count(text, table=None):
    """Count the words between blanks; return the table and the words of the ids."""
    table, buffers = table or Table(), Text()
    number = buffers.split(np.frombuffer(text, np.uint8), blank_table())
    ids = table.count(buffers.cells, buffers.bounds, number, 0)
    return table, [table.entries.text(k) for k in ids.tolist()]


def held(table):
    """Return what a table says: counts and first places by text."""
    entries = table.entries
    texts = [entries.text(k) for k in range(entries.size)]
    rows = zip(entries.count.tolist(), entries.first.tolist(), strict=True)
    return dict(zip(texts, rows, strict=True))


def pack(words, counts=None, firsts=None):
    return Entries.pack(words, counts or [1] * len(words), firsts or [0] * len(words))


@pytest.mark.parametrize("seed", range(4))
def test_text_is_cut_where_python_cuts_it(seed):
    # words and gaps of all lengths up to 40, so that every place in eight bytes occurs
    rng = np.random.default_rng(seed)
    parts = [b""]
    for _ in range(500):
        parts += [b"w" * rng.integers(1, 41), b" " * rng.integers(1, 41)]
    text = b"".join(parts[seed % 2 :])[: -1 - seed]
    buffers = Text()
    number = buffers.split(np.frombuffer(text, np.uint8), blank_table())
    bounds = buffers.bounds[: 2 * number].reshape(-1, 2).tolist()
    assert [text[a:b] for a, b in bounds] == text.split()


def test_buffers_of_a_longer_text_leave_nothing_behind():
    buffers = Text()
    for text in (b"one two three four five six", b"a", b"", b"   ", b"ab cd"):
        number = buffers.split(np.frombuffer(text, np.uint8), word_table())
        assert number == len(text.split())


def test_words_of_every_length_are_counted_as_by_counter():
    rng = np.random.default_rng(5)
    letters = np.frombuffer(b"abcdefghij", np.uint8)
    drawn = [rng.choice(letters, rng.integers(1, 40)).tobytes() for _ in range(300)]
    # beginnings of one another: told apart by their lengths alone
    drawn += [b"a" * size for size in range(1, 60)]
    words = [drawn[k] for k in rng.integers(0, len(drawn), 20_000)]
    text = b" ".join(words)
    table, found = count(text)
    assert found == words
    at = {}
    begin = 0
    for word in words:
        at.setdefault(word, begin)
        begin += len(word) + 1
    assert held(table) == {w: (n, at[w]) for w, n in Counter(words).items()}


def test_table_grows_and_knows_all_its_words():
    words = [b"%d" % (k * k % 1_000_003) for k in range(40_000)]
    table, found = count(b" ".join(words))
    assert found == words
    entries = pack([*dict.fromkeys(words), b"none"])
    assert table.find(entries).tolist() == [*range(entries.size - 1), -1]


def test_added_words_have_the_sums_of_counts_and_the_first_of_places():
    words = [b"one", b"of several letters", b"one", b"two", b"one"]
    table = Table()
    table.add(pack(words, [5, 1, 7, 2, 1], [30, 4, 10, 3, 20]))
    table.add(pack(words[1:4], [1, 1, 1], [9, 40, 1]))
    expected = {b"one": (14, 10), b"of several letters": (2, 4), b"two": (3, 1)}
    assert held(table) == expected


def colliding(word):
    """Return another word of 24 bytes whose hash is that of the given one."""

    def fold(key, cell):
        mixed = (key ^ cell) * int(table_kernels.FACTOR) % 2**64
        return mixed ^ mixed >> 32

    a, b, c = (int.from_bytes(word[k : k + 8], "little") for k in (0, 8, 16))
    first = fold(0, a)
    for other in range(b + 1, b + 100_000):
        # the last cell makes up for what the second has changed
        last = c ^ fold(first, b) ^ fold(first, other)
        made = word[:8] + other.to_bytes(8, "little") + last.to_bytes(8, "little")
        if not set(made) & set(b"\0\t\n\v\f\r\x1c\x1d\x1e\x1f "):
            return made
    raise AssertionError("no other word")


def test_long_words_of_one_hash_are_told_apart_by_their_text():
    word = b"Rechtsschutzversicherung"
    words = [word, colliding(word)] * 3
    table, found = count(b" ".join(words))
    assert found == words
    # or this test would show nothing
    assert table._heads[1].tolist() == table._heads[2].tolist()
    assert table.find(pack(words[:2])).tolist() == [0, 1]
