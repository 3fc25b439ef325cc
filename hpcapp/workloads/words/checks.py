# SPDX-License-Identifier: MIT
"""Laws of right counts: order, the correlation of a word with itself, a recount."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpcapp.validity import Check, Read
from hpcapp.workloads.words.parameters import Parameters

__all__ = ["check_counts"]

# bytes of a book that is counted again in plain Python
AGAIN = 4_000_000

# docs/words.md
DELIMITERS = str.maketrans(dict.fromkeys(".,;:?$@^<>#%`!*-=()[]{}/\"'", " "))


def check_counts(parameters: Parameters, read: Read) -> Iterator[Check]:
    """Compare counts with what they must be.

    Parameters
    ----------
    parameters : Parameters
        Of the run.
    read : callable
        Returns a variable of the result.

    Yields
    ------
    Check
        Each law that applies.
    """
    counts, acf = read("occurrences")[:], read("acf")[:]
    there = counts > 0
    first = acf[there][:, 0] if acf.shape[2] else np.ones(1)
    text = f"of {int(there.sum())} words in {len(counts)} books"
    yield Check("acf(0) = 1", bool((first == 1).all()), text)
    some = acf[there]
    good = bool(((some >= 0) & (some <= 1)).all())
    yield Check("acf from 0 to 1", good, f"{some.size} values")
    falling = bool((np.diff(counts, axis=1) <= 0).all())
    yield Check("order", falling, "counts fall from place to place")
    total, distinct = read("total")[:], read("distinct")[:]
    good = bool((counts.sum(axis=1) <= total).all() and (distinct <= total).all())
    yield Check("totals", good, f"{int(total.sum())} words, no less than their parts")
    yield from _recount(parameters, read, counts, total)


def _recount(p: Parameters, read: Read, counts: Any, total: Any) -> Iterator[Check]:
    """Count the first book again, if it is one small file that is still there."""
    files, sizes = read("file")[:], read("file_bytes")[:]
    if p.merge or not len(files) or sizes[0] > AGAIN:
        return
    path = Path(files[0].decode() if isinstance(files[0], bytes) else files[0])
    if not path.is_file() or path.stat().st_size != sizes[0]:
        return
    text = path.read_bytes().decode(p.encoding, p.errors)
    found = Counter(text.translate(DELIMITERS).lower().split())
    expected = [count for _, count in found.most_common(counts.shape[1])]
    now = counts[0][counts[0] > 0].tolist()
    good = expected == now and found.total() == int(total[0])
    yield Check("recount", good, f"{path.name} by str.split and Counter")
