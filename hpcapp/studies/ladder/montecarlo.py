# SPDX-License-Identifier: MIT
"""Rungs of pi from random samples, those of hpcapp bit by bit. All counts are exact."""

from typing import Any

import numpy as np

from hpcapp.studies.ladder.rungs import Read, Rung, Task, cut, shared_out

__all__ = ["Samples", "count_arrays", "count_piece", "count_plain", "make"]

LOW = 0xFFFFFFFF

# samples of NumPy's arrays at a time: in cache, where it is fastest
PIECE = 1 << 15


def count_plain(first: int, last: int, key0: int, key1: int) -> int:
    """Count with loops of plain Python: Philox4x32-10 (Salmon et al., SC11)."""
    inside = 0
    for k in range(first, last):
        a, b, c, d = (k // 2) & LOW, (k // 2) >> 32, 0, 0
        u, v = key0, key1
        for _ in range(10):
            p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
            a, b, c, d = (q >> 32) ^ b ^ u, q & LOW, (p >> 32) ^ d ^ v, p & LOW
            u, v = (u + 0x9E3779B9) & LOW, (v + 0xBB67AE85) & LOW
        x, y = (a, b) if k % 2 == 0 else (c, d)
        inside += x * x + y * y < 2**64
    return inside


def count_arrays(first: int, last: int, key0: int, key1: int) -> int:
    """Count with arrays of NumPy; both are even."""
    counter = np.arange(first // 2, last // 2, dtype=np.uint64)
    low, half = np.uint64(LOW), np.uint64(32)
    a, b = counter & low, counter >> half
    c, d = np.zeros_like(a), np.zeros_like(a)
    u, v = key0, key1
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b = (q >> half) ^ b ^ np.uint64(u), q & low
        c, d = (p >> half) ^ d ^ np.uint64(v), p & low
        u, v = (u + 0x9E3779B9) & LOW, (v + 0xBB67AE85) & LOW
    inside = 0
    for x, y in ((a, b), (c, d)):
        square = x * x
        # a sum that has wrapped is less than what was added to
        inside += int(np.count_nonzero(square + y * y >= square))
    return inside


def count_piece(first: int, last: int, key0: int, key1: int) -> int:
    """Count with Numba, wherever this is called: in a thread or another process."""
    from hpcapp.studies.ladder.montecarlo_kernels import count_inside_cpu

    return int(count_inside_cpu(first, last, key0, key1))


class Samples(Task):
    """The first samples of a run.

    Parameters
    ----------
    samples : int
        Of the whole run.
    seed : int
        Of the run.
    """

    unit = "samples"

    def __init__(self, samples: int, seed: int) -> None:
        self.units = samples
        self.key = (seed & LOW, seed >> 32)

    def settings(self, part: int) -> tuple[str, ...]:
        """Let hpcapp take as many samples."""
        return () if part == self.units else (f"parameters.samples={part}",)

    def expected(self, read: Read, part: int) -> Any:  # noqa: ARG002
        """Return the samples inside."""
        return int(read("inside"))

    def rungs(self, cores: int) -> list[Rung]:
        """Return plain Python, NumPy, Numba, and ways to share its samples out."""
        return [
            Rung("plain Python", lambda part: count_plain(0, part, *self.key)),
            Rung("NumPy", self._numpy),
            Rung("Numba", lambda part: count_piece(0, part, *self.key)),
            Rung("Numba, prange", self._threads, cores),
            *shared_out(count_piece, self._pieces, sum, cores),
        ]

    def _numpy(self, part: int) -> int:
        even = part - part % 2
        starts = range(0, even, PIECE)
        found = sum(count_arrays(a, min(a + PIECE, even), *self.key) for a in starts)
        return found + count_plain(even, part, *self.key)

    def _threads(self, part: int) -> int:
        from hpcapp.studies.ladder.montecarlo_kernels import count_inside_threads_cpu

        return int(count_inside_threads_cpu(0, part, *self.key))

    def _pieces(self, part: int) -> list[tuple[int, ...]]:
        return [(*ends, *self.key) for ends in cut(part, 32)]


def make(parameters: Any, seed: int, read: Read) -> Task | str:  # noqa: ARG001
    """Return the task of a configuration, or why there is none."""
    if parameters.estimator != "pi" or parameters.sampling != "random":
        return "there are rungs for estimator: pi with sampling: random only"
    return Samples(parameters.samples, seed)
