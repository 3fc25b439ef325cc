# SPDX-License-Identifier: MIT
"""Exponents of Zipf's law, count = A place^s, by three methods, with errors."""

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "fit_zipf"]

METHODS = ("top10", "loglog", "mle")

# places worked on at a time
BLOCK = 1 << 20

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
    from scipy.optimize import OptimizeWarning, curve_fit

    highest = np.repeat(counts, np.minimum(words, 10))[:10].astype(float)
    if highest.size < 3:
        return math.nan, math.nan
    places = np.arange(1.0, highest.size + 1)
    with warnings.catch_warnings():
        # equal counts leave the variance open: the error is then infinite
        warnings.simplefilter("ignore", OptimizeWarning)
        best, covariance = curve_fit(
            lambda x, a, s: a * x**s, places, highest, p0=(highest[0], -0.5)
        )
    return float(best[1]), float(math.sqrt(covariance[1, 1]))


def _loglog(counts: Integers, words: Integers) -> tuple[float, float]:
    n = int(words.sum())
    if n < 3:
        return math.nan, math.nan
    y, logs = np.log(counts), _log_sums(words)
    mean_x, mean_y = logs.sum() / n, (words * y).sum() / n
    variance = _over_places(lambda x: (np.log(x) - mean_x) ** 2, n)
    slope = float(((logs - words * mean_x) * (y - mean_y)).sum() / variance)
    # residuals of places with one count lie on a line: sums of x and x^2 tell all
    squares = ((y - mean_y) ** 2 * words).sum() - slope**2 * variance
    error = math.sqrt(max(0.0, float(squares)) / (n - 2) / variance)
    return slope, error


def _mle(counts: Integers, words: Integers) -> tuple[float, float]:
    from scipy.optimize import brentq

    n, total = int(words.sum()), int((counts * words).sum())
    if n < 2:
        return math.nan, math.nan
    mean = float((counts * _log_sums(words)).sum() / total)

    def moments(s: float) -> tuple[float, float]:
        """Return mean and variance of log place at an exponent."""
        weight = _over_places(lambda x: x**s, n)
        first = _over_places(lambda x: x**s * np.log(x), n) / weight
        second = _over_places(lambda x: x**s * (np.log(x) - first) ** 2, n) / weight
        return first, second

    # the mean grows with s, from 0 to that of all places at the same weight at s = 0
    s = brentq(lambda s: moments(s)[0] - mean, -60.0, 1.0, xtol=1e-13)
    return float(s), 1 / math.sqrt(total * moments(s)[1])


def _over_places(function: Callable[[Floats], Floats], n: int) -> float:
    """Return the sum of a function over places 1 to n."""
    return math.fsum(
        float(function(np.arange(at, min(at + BLOCK, n + 1), dtype=float)).sum())
        for at in range(1, n + 1, BLOCK)
    )


def _log_sums(words: Integers) -> Floats:
    """Return the sums of log place over the words of each count."""
    from scipy.special import gammaln

    ends = np.cumsum(words)
    return np.asarray(gammaln(ends + 1.0) - gammaln(ends - words + 1.0))
