# SPDX-License-Identifier: MIT
"""Angles to any precision, in integers."""

from fractions import Fraction
from functools import lru_cache

__all__ = ["cosines_and_sines", "turn_of"]

# Bits after the binary point. A multiple k < 2**63 of an angle below 2**21 keeps more
# than 128 of them right.
BITS = 256
_GUARD = 32


@lru_cache(maxsize=1)
def _two_pi() -> int:
    """Return 2 pi 2**(BITS + guard), off by few units: Machin's formula."""
    one = 1 << (BITS + 2 * _GUARD)

    def arctangent(of: int) -> int:
        """Return arctan(1 / of), scaled, by its power series."""
        power, total, n = one // of, 0, 1
        while power:
            total += power // n if n % 4 == 1 else -(power // n)
            power //= of * of
            n += 2
        return total

    return (32 * arctangent(5) - 8 * arctangent(239)) >> _GUARD


def turn_of(theta: float) -> int:
    """Return the fraction of a turn that an angle is.

    Parameters
    ----------
    theta : float
        The angle, below 2**21 either way.

    Returns
    -------
    int
        theta / (2 pi) modulo 1 in units of 2**-BITS. That of k theta is k times that,
        modulo 2**BITS.
    """
    p, q = theta.as_integer_ratio()
    return (p << (2 * BITS + _GUARD)) // (q * _two_pi()) % (1 << BITS)


def cosines_and_sines(theta: float, count: int) -> tuple[list[float], list[float]]:
    """Return cos(m theta) and sin(m theta) for m from 0 on.

    Parameters
    ----------
    theta : float
        The angle.
    count : int
        How many.

    Returns
    -------
    (list of float, list of float)
        The nearest doubles.
    """
    one = 1 << BITS
    angle = Fraction(turn_of(theta) * _two_pi(), 1 << (BITS + _GUARD))
    c, s = _cosine_sine(int(angle))
    cosines, sines = [], []
    x, y = one, 0
    for _ in range(count):
        # the quotient of two integers is correctly rounded
        cosines.append(x / one)
        sines.append(y / one)
        x, y = (x * c - y * s) >> BITS, (x * s + y * c) >> BITS
    return cosines, sines


def _cosine_sine(angle: int) -> tuple[int, int]:
    """Return cosine and sine of an angle below 7, all scaled, by their power series."""
    term, n = 1 << BITS, 0
    sums = [0, 0]
    while term:
        sums[n % 2] += term if n % 4 < 2 else -term
        n += 1
        term = (term * angle >> BITS) // n
    return sums[0], sums[1]
