# SPDX-License-Identifier: MIT
"""Exponents of Zipf's law, count = A place^s, by three methods, with errors.

Written out, since the import of scipy.optimize takes as long as counting 60 MB.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "fit_zipf"]

METHODS = ("top10", "loglog", "mle")

# iterations at most; few are needed
STEPS = 100

# places worked on at a time: they stay in the cache
BLOCK = 1 << 15

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def fit_zipf(counts: Integers, words: Integers) -> tuple[Floats, Floats]:
    """Return the exponents and their standard errors.

    Parameters
    ----------
    counts : int64[n]
        The counts that there are, descending.
    words : int64[n]
        Words that have each of them.

    Returns
    -------
    exponent, error : float64[3]
        By `METHODS`: least squares of count = A place^s on the ten highest; the
        straight line through the logarithms of all places and counts; maximum
        likelihood of places drawn with probability proportional to place^s. s is
        negative. NaN where there are too few words: below three, or two for the last.

    References
    ----------
    Standard errors: of least squares from the residuals, of the likelihood from
    Fisher's information, the variance of log place times the number of words.
    """
    found = (_top10(counts, words), _loglog(counts, words), _mle(counts, words))
    exponents, errors = zip(*found, strict=True)
    return np.array(exponents), np.array(errors)


def _top10(counts: Integers, words: Integers) -> tuple[float, float]:
    y = np.repeat(counts, np.minimum(words, 10))[:10].astype(float)
    if y.size < 3:
        return math.nan, math.nan
    x = np.arange(1.0, y.size + 1)
    start, shift = np.polyfit(np.log(x), np.log(y), 1)
    best = np.array([math.exp(shift), start])
    for _ in range(STEPS):
        # Gauss-Newton; a step that leads uphill is halved until it does not
        left = y - best[0] * x ** best[1]
        slopes = _slopes(x, best)
        step = np.linalg.lstsq(slopes, left, rcond=None)[0]
        while _squares(x, y, best + step) > _squares(x, y, best) and _moves(step, best):
            step /= 2
        if not _moves(step, best):
            break
        best += step
    slopes = _slopes(x, best)
    inverse = np.linalg.inv(slopes.T @ slopes)
    variance = _squares(x, y, best) / (y.size - 2)
    return float(best[1]), math.sqrt(variance * inverse[1, 1])


def _slopes(x: Floats, best: Floats) -> Floats:
    """Return the derivatives of A x^s by A and by s."""
    power = x ** best[1]
    return np.stack((power, best[0] * power * np.log(x)), axis=1)


def _squares(x: Floats, y: Floats, best: Floats) -> float:
    return float(((y - best[0] * x ** best[1]) ** 2).sum())


def _moves(step: Floats, best: Floats) -> bool:
    return bool((np.abs(step) > 1e-14 * np.maximum(np.abs(best), 1e-6)).any())


def _loglog(counts: Integers, words: Integers) -> tuple[float, float]:
    n = int(words.sum())
    if n < 3:
        return math.nan, math.nan
    y, logs = np.log(counts), _log_sums(words)
    mean_x, mean_y = logs.sum() / n, (words * y).sum() / n
    squares = (((np.log(x) - mean_x) ** 2).sum() for x in _blocks(n))
    variance = math.fsum(map(float, squares))
    slope = float(((logs - words * mean_x) * (y - mean_y)).sum() / variance)
    # residuals of places with one count lie on a line: sums of x and x^2 tell all
    left = ((y - mean_y) ** 2 * words).sum() - slope**2 * variance
    error = math.sqrt(max(0.0, float(left)) / (n - 2) / variance)
    return slope, error


def _mle(counts: Integers, words: Integers) -> tuple[float, float]:
    n, total = int(words.sum()), int((counts * words).sum())
    if n < 2:
        return math.nan, math.nan
    mean = float((counts * _log_sums(words)).sum() / total)

    def moments(s: float) -> tuple[float, float]:
        """Return mean and variance of log place at an exponent."""
        sums = [_weigh(s, mean, block) for block in _blocks(n)]
        weight, first, second = (math.fsum(parts) for parts in zip(*sums, strict=True))
        shift = first / weight
        return mean + shift, second / weight - shift**2

    # the mean grows with s, and its slope is the variance: Newton's method, kept
    # between ends at which it is below and above
    low, high, s = -60.0, 1.0, -1.0
    for _ in range(STEPS):
        found, variance = moments(s)
        low, high = (s, high) if found < mean else (low, s)
        trial = s + (mean - found) / variance
        trial = trial if low < trial < high else (low + high) / 2
        if abs(trial - s) <= 1e-14 * max(1.0, abs(s)):
            break
        s = trial
    return s, 1 / math.sqrt(total * moments(s)[1])


def _weigh(s: float, mean: float, places: Floats) -> tuple[float, float, float]:
    """Return sums of place^s: alone, by the deviation of log place, by its square."""
    logs = np.log(places)
    weights = np.exp(s * logs)
    logs -= mean
    parts = [weights.sum()]
    for _ in range(2):
        weights *= logs
        parts.append(weights.sum())
    return float(parts[0]), float(parts[1]), float(parts[2])


def _blocks(n: int) -> Iterator[Floats]:
    """Yield the places 1 to n, some at a time."""
    for at in range(1, n + 1, BLOCK):
        yield np.arange(at, min(at + BLOCK, n + 1), dtype=float)


def _log_sums(words: Integers) -> Floats:
    """Return the sums of log place over the words of each count."""
    ends = np.cumsum(words).tolist()
    logs = np.array([0.0, *(math.lgamma(end + 1.0) for end in ends)])
    return np.diff(logs)
