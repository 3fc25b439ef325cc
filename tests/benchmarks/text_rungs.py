# SPDX-License-Identifier: MIT
"""Words as a course counts and correlates them, and as other libraries do."""

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec

import numba
import numpy as np

__all__ = ["DELIMITERS", "correlate_loop", "counters"]

DELIMITERS = list(".,;:?$@^<>#%`!*-=()[]{}/\"'")

BLANKS = str.maketrans(dict.fromkeys(DELIMITERS, " "))

Counting = Callable[[str], dict[str, int]]


def counters() -> dict[str, Counting]:
    """Return the ways to count that are installed, by name."""
    found: dict[str, Counting] = {
        "course's Python": count_lines,
        "collections.Counter": count_translated,
    }
    if find_spec("polars"):
        found["polars"] = count_polars
    if find_spec("dask"):
        found["dask.bag"] = count_dask
    return found


def count_lines(path: str) -> dict[str, int]:
    """Count line by line, one delimiter after another."""
    counts: dict[str, int] = {}
    with open(path, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    for line in lines:
        for delimiter in DELIMITERS:
            line = line.replace(delimiter, " ")
        for word in line.split():
            word = word.lower().strip()
            counts[word] = counts.get(word, 0) + 1
    return counts


def count_translated(path: str) -> dict[str, int]:
    """Count after one translation of the whole text."""
    with open(path, encoding="utf-8") as stream:
        return dict(Counter(stream.read().translate(BLANKS).lower().split()))


def count_polars(path: str) -> dict[str, int]:
    """Count with polars, in as many threads as POLARS_MAX_THREADS says."""
    import polars as pl

    with open(path, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    words = (
        pl.Series("word", lines)
        .str.replace_all(r"""[.,;:?$@^<>#%`!*\-=()\[\]{}/"']""", " ")
        .str.to_lowercase()
        .str.extract_all(r"\S+")
        .explode(empty_as_null=False)
        .drop_nulls()
    )
    table = words.value_counts()
    return dict(zip(table["word"].to_list(), table["count"].to_list(), strict=True))


def count_dask(path: str) -> dict[str, int]:
    """Count with dask.bag, in blocks of 16 MB, in threads of one process."""
    import dask.bag

    bag = dask.bag.read_text(path, blocksize=1 << 24, encoding="utf-8")
    words = bag.map(lambda line: line.translate(BLANKS).lower().split()).flatten()
    return dict(words.frequencies().compute(scheduler="threads"))


@numba.njit(cache=True)
def correlate_loop(mask: np.ndarray, lags: int) -> np.ndarray:
    """Correlate a mask as the course does once it uses Numba; from word 0 on."""
    acf = np.zeros(lags)
    chosen = mask.sum()
    for t in range(lags):
        for i in range(mask.size - t):
            acf[t] += mask[i] * mask[i + t]
        acf[t] /= chosen
    return acf
