# SPDX-License-Identifier: MIT
"""Rungs of words: books read, counted and correlated. All numbers are exact."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpcapp.studies.ladder.rungs import Read, Rung, Task, shared_out

__all__ = ["Books", "make"]

BLANKS = str.maketrans(dict.fromkeys(".,;:?$@^<>#%`!*-=()[]{}/\"'", " "))

# occurrences of the most frequent words, all words, distinct ones, pairs by distance
Told = tuple[dict[str, int], int, int, list[list[int]]]
Correlate = Callable[[list[str], list[str], int], list[list[int]]]


def split(paths: Sequence[str], encoding: str, errors: str) -> list[str]:
    """Return the words of a book, which may be several files."""
    texts = [
        Path(path).read_bytes().decode(encoding, errors).translate(BLANKS)
        for path in paths
    ]
    return "\n".join(texts).lower().split()


def tell(
    correlate: Correlate,
    paths: Sequence[str],
    how: tuple[str, str],
    top: int,
    lags: int,
) -> Told:
    """Count and correlate a book with the collections of Python."""
    words = split(paths, *how)
    counts = Counter(words)
    # sorted keeps the order of the first appearance, as the definition wants it
    first = dict(sorted(counts.items(), key=lambda pair: -pair[1])[:top])
    return first, len(words), len(counts), correlate(words, list(first), lags)


def tell_plain(paths: Sequence[str], how: tuple[str, str], top: int, lags: int) -> Told:
    """Count and correlate a book with loops of plain Python."""
    words = split(paths, *how)
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    first = dict(sorted(counts.items(), key=lambda pair: -pair[1])[:top])
    pairs = []
    for word in first:
        found = [0] * lags
        for t in range(lags):
            for i in range(len(words) - t):
                if words[i] == word and words[i + t] == word:
                    found[t] += 1
        pairs.append(found)
    return first, len(words), len(counts), pairs


def correlate_masks(words: list[str], first: list[str], lags: int) -> list[list[int]]:
    """Correlate with NumPy: products of a mask with itself."""
    ids = number(words, first)
    pairs = []
    for place in range(len(first)):
        mask = (ids == place).astype(np.int64)
        n = mask.size
        pairs.append([int(mask[: n - t] @ mask[t:]) for t in range(min(lags, n))])
        pairs[-1] += [0] * (lags - len(pairs[-1]))
    return pairs


def correlate_compiled(
    words: list[str], first: list[str], lags: int
) -> list[list[int]]:
    """Correlate with Numba."""
    from hpcapp.studies.ladder.words_kernels import correlate_cpu

    ids = number(words, first)
    return [correlate_cpu(ids, place, lags).tolist() for place in range(len(first))]


def correlate_threads(words: list[str], first: list[str], lags: int) -> list[list[int]]:
    """Correlate with Numba in threads."""
    from hpcapp.studies.ladder.words_kernels import correlate_threads_cpu

    ids = number(words, first)
    places = range(len(first))
    return [correlate_threads_cpu(ids, place, lags).tolist() for place in places]


def number(words: list[str], first: list[str]) -> np.ndarray:
    """Return the place of each word among the most frequent ones, -1 for others."""
    places = {word: place for place, word in enumerate(first)}
    return np.array([places.get(word, -1) for word in words], np.int32)


def tell_piece(paths: Sequence[str], how: tuple[str, str], top: int, lags: int) -> Told:
    """Count with Counter and correlate with Numba, in a thread or another process."""
    return tell(correlate_compiled, paths, how, top, lags)


class Books(Task):
    """The first books of a run.

    Parameters
    ----------
    parameters : Model
        Of the workload.
    read : callable
        Returns a variable of hpcapp's result.
    """

    unit = "books"

    def __init__(self, parameters: Any, read: Read) -> None:
        files, sizes = [str(name) for name in read("file")], read("file_bytes")
        merged = parameters.merge
        self.books = [files] if merged else [[name] for name in files]
        self.sizes = [int(sum(sizes))] if merged else [int(size) for size in sizes]
        self.units = len(self.books)
        how = (parameters.encoding, parameters.errors)
        self.rest = (how, parameters.top, parameters.lags)

    def share(self, part: int) -> float:
        """Return the share of the bytes."""
        return sum(self.sizes[:part]) / sum(self.sizes)

    def expected(self, read: Read, part: int) -> Any:
        """Return what hpcapp tells of these books."""
        words, counts = read("word")[:part], read("occurrences")[:part]
        totals, distinct, acf = read("total"), read("distinct"), read("acf")
        found = []
        for book in range(part):
            there = [place for place, n in enumerate(counts[book]) if n > 0]
            first = {
                str(words[book][place]): int(counts[book][place]) for place in there
            }
            # a share of the pairs at distance 0, which are the occurrences
            pairs = [np.rint(acf[book][p] * counts[book][p]) for p in there]
            numbers = [[int(n) for n in row] for row in pairs]
            found.append((first, int(totals[book]), int(distinct[book]), numbers))
        return found

    def difference(self, answer: Any, expected: Any) -> float:
        """Return 0 where all is the same, the order of the words included."""
        return 0.0 if _listed(answer) == _listed(expected) else float("inf")

    def rungs(self, cores: int) -> list[Rung]:
        """Return plain Python, NumPy, Numba, and ways to share the books out."""
        return [
            Rung("plain Python", lambda part: self._each(tell_plain, part)),
            Rung("NumPy", lambda part: self._told(correlate_masks, part)),
            Rung("Numba", lambda part: self._told(correlate_compiled, part)),
            Rung(
                "Numba, prange",
                lambda part: self._told(correlate_threads, part),
                cores,
            ),
            *shared_out(tell_piece, self._pieces, list, cores),
        ]

    def _each(self, way: Callable[..., Told], part: int) -> list[Told]:
        return [way(paths, *self.rest) for paths in self.books[:part]]

    def _told(self, correlate: Correlate, part: int) -> list[Told]:
        return [tell(correlate, paths, *self.rest) for paths in self.books[:part]]

    def _pieces(self, part: int) -> list[tuple[Any, ...]]:
        return [(paths, *self.rest) for paths in self.books[:part]]


def _listed(books: Any) -> list[Any]:
    return [(list(first.items()), *rest) for first, *rest in books]


def make(parameters: Any, seed: int, read: Read) -> Task | str:  # noqa: ARG001
    """Return the task of a configuration, or why there is none."""
    if parameters.errors == "replace":
        return (
            "there are rungs for errors: strict only: Python counts bad bytes otherwise"
        )
    return Books(parameters, read)
