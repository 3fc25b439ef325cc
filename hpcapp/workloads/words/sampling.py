# SPDX-License-Identifier: MIT
"""How many words a book may have, from a few megabytes of it: for `plan` alone."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from hpcapp.workloads.words.counting import WINDOW, count_windows
from hpcapp.workloads.words.inputs import Book
from hpcapp.workloads.words.segment import word_table

__all__ = ["Sample", "needed_bytes", "take_sample"]

# bytes of a block, and blocks
BLOCK, BLOCKS = 1 << 16, 64

GOLDEN = (math.sqrt(5) - 1) / 2


# bytes of an entry of a table besides its text: its arrays, and two to four slots; of a
# copy, such as the state has and what is on its way to the owner
ENTRY, COPY = 60, 28


@dataclass(frozen=True)
class Sample:
    """What was seen of a book.

    Parameters
    ----------
    density : float
        Words a byte.
    words : int
        Words seen.
    distinct : tuple of int
        How many are distinct among a quarter of them, a half, and all.
    cells : float
        64-bit words of text that a distinct one takes.
    chosen : float
        Share of the words that the most frequent ones have.
    """

    density: float
    words: int
    distinct: tuple[int, int, int]
    cells: float
    chosen: float

    def expect(self, words: float) -> float:
        """Return how many distinct words to expect among more of them.

        Each doubling multiplies them by less than the one before, as the sample shows
        it. That is too many rather than too few: a vocabulary may come to its end, and
        the sample cannot know where.

        Parameters
        ----------
        words : float
            How many, repetitions included.

        Returns
        -------
        float
            At most `words`.
        """
        if not self.words or not words:
            return 0.0
        quarter, half, found = (math.log2(n) for n in self.distinct)
        slope, left = found - half, math.log2(words / self.words)
        if left < 0:
            return min(words, math.exp2(found + slope * left))
        # by how much less than the doubling before; laws of texts bend less and less
        bend = max(0.0, (half - quarter) - slope)
        while left > 0:
            slope = max(0.0, slope - bend)
            found += slope * min(1.0, left)
            left -= 1
        return min(words, math.exp2(found))


def needed_bytes(book: Book, sample: Sample, ranks: int, threads: int) -> int:
    """Return the bytes that a rank needs for a book.

    Parameters
    ----------
    book : Book
        The text.
    sample : Sample
        Of it.
    ranks, threads : int
        Among which each window is divided.

    Returns
    -------
    int
        The numbers of all words of its share, positions of a window, and tables: those
        of its threads, one a window, and what it owns, in the state once more.
    """
    windows, parts = count_windows(book), ranks * threads
    words = sample.density * book.size
    text = 8 * sample.cells
    met = threads * sample.expect(words / windows / parts)
    owned = sample.expect(words) / ranks
    numbers = 4 * words / ranks
    # found, and of each word once more with those before
    positions = 16 * sample.chosen * sample.density * min(book.size, WINDOW) / ranks
    tables = windows * met * (ENTRY + text) + owned * (ENTRY + COPY + 2 * text)
    moving = met * (COPY + text)
    return int(tables + numbers + max(moving, positions))


def take_sample(book: Book, top: int) -> Sample:
    """Read some of a book.

    Parameters
    ----------
    book : Book
        Its files are there.
    top : int
        How many words are chosen for the autocorrelation.

    Returns
    -------
    Sample
        Of 4 MiB, or of all.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    table = word_table()
    table[table == 0] = ord(" ")
    quarters: list[list[bytes]] = [[], [], [], []]
    seen = 0
    for at in _places(book.size):
        data = _read(book, at).translate(table.tobytes())
        # words that the block cuts are none
        data = data[data.find(b" ") if at else 0 :]
        data = data[: data.rfind(b" ") + 1 if len(data) > BLOCK // 2 else None]
        seen += len(data)
        words = data.split()
        # of each block alike: some blocks are not like others
        for number, quarter in enumerate(quarters):
            quarter += words[number::4]
    first, _, third, _ = (set(quarter) for quarter in quarters)
    counts = Counter(word for quarter in quarters for word in quarter)
    distinct = [max(1, len(n)) for n in (first, first | third, counts)]
    total = sum(counts.values())
    return Sample(
        density=total / max(seen, 1),
        words=total,
        distinct=(distinct[0], distinct[1], distinct[2]),
        cells=sum(len(word) + 7 >> 3 for word in counts) / distinct[2],
        chosen=sum(n for _, n in counts.most_common(top)) / max(total, 1),
    )


def _places(size: int) -> Iterable[int]:
    """Return where blocks begin: all of a small book, else some, spread evenly."""
    if size <= BLOCK * BLOCKS:
        return range(0, size, BLOCK)
    # multiples of the golden ratio: a text that repeats itself has no such period
    return (int(k * GOLDEN % 1 * (size - BLOCK)) for k in range(BLOCKS))


def _read(book: Book, at: int) -> bytes:
    path, offset = book.place(at)
    with open(path, "rb") as stream:
        stream.seek(offset)
        return stream.read(BLOCK)
