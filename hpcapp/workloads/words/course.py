# SPDX-License-Identifier: MIT
"""The files of the course's word count, which its plotting scripts read."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["course_files"]


def course_files(read: Callable[[str], Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield names and lines of the files of a result.

    For each book ``BOOK.dat`` (word, count, percentage of all words) and
    ``acf_BOOK.dat`` (the mean autocorrelation; as in the course row 1 is lag 0), for
    all ``results.csv`` (the counts of the most frequent words).

    Parameters
    ----------
    read : callable
        Returns a variable by its name.

    Yields
    ------
    (str, list of str)
        Name of a file and its lines.

    References
    ----------
    github.com/ENCCS/word-count-hpda: wordcount.py, autocorrelation.py; results.csv of
    github.com/ENCCS/hpda-python.
    """
    words, counts, totals = read("word"), read("occurrences"), read("total")
    acf, top = read("mean_acf"), len(read("place"))
    names = _distinct([str(name) for name in read("book")])
    table = [",".join(["Book", *(f"word{place}" for place in range(1, top + 1))])]
    for number, name in enumerate(names):
        there = counts[number] > 0
        rows = zip(words[number][there], counts[number][there].tolist(), strict=True)
        total = int(totals[number])
        yield f"{name}.dat", [f"{w} {n} {n / total * 100.0}" for w, n in rows]
        yield (
            f"acf_{name}.dat",
            [f"{row + 1:.18e},{value:.18e}" for row, value in enumerate(acf[number])],
        )
        table.append(",".join([name, *map(str, counts[number].tolist())]))
    yield "results.csv", table


def _distinct(names: list[str]) -> list[str]:
    """Return names of files: books of one name, from two folders, get a number."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found
