# SPDX-License-Identifier: MIT
"""The sum of 1/k over all k whose digits do not contain a string.

References
----------
T. Schmelzer, R. Baillie, "Summing a curious, slowly convergent series", American
Mathematical Monthly 115 (2008) 525-540, sections 3 to 5.
"""

from decimal import Decimal, localcontext
from functools import lru_cache
from math import comb

from hpcapp.workloads.series.match import match_table

__all__ = ["kempner_limit"]

# Digits of the numbers whose powers are added one by one; up to how many digits the
# recursion goes; decimals that are neglected, relative to the sum.
DIRECT, FURTHEST, DECIMALS = 3, 30, 28

Sums = list[list[Decimal]]


@lru_cache(maxsize=16)
def kempner_limit(digits: str) -> float:
    """Return the sum of the reciprocals of all integers without a string of digits.

    Let P(i, s, k) be the sum of x**-k over the x of i digits that do not contain the
    string and leave the automaton in state s. Of x = 10 y + d the power is
    (10 y)**-k times the binomial series in d / (10 y): P(i + 1, ., k) is a sum over
    P(i, ., k + w). For i of 30 and more only w = 0 counts: a matrix B, of which the
    geometric series gives the rest of the sum.

    Parameters
    ----------
    digits : str
        The string, not empty.

    Returns
    -------
    float
        The sum, correctly rounded but for cases that 25 decimals do not decide.
    """
    moves = _moves(digits)
    with localcontext() as context:
        # the linear system of a string of m digits loses m decimals
        context.prec = DECIMALS + 12 + len(digits)
        total, sums = Decimal(0), _start_sums(digits)
        for length in range(1, FURTHEST + 1):
            if length > DIRECT:
                sums[DIRECT] = _next_sums(sums[DIRECT], moves, length - 1)
            level = sums[min(length, DIRECT)]
            total += sum((state[0] for state in level), Decimal(0))
        last = [state[0] for state in sums[DIRECT]]
        return float(total + _rest(last, moves))


def _moves(digits: str) -> list[tuple[int, int, list[int]]]:
    """Return from which state to which, and the digits that do it."""
    table = match_table(digits)
    found: dict[tuple[int, int], list[int]] = {}
    for state, row in enumerate(table):
        for digit, after in enumerate(row):
            if after >= 0:
                found.setdefault((state, after), []).append(digit)
    return [(state, after, group) for (state, after), group in found.items()]


def _powers(length: int) -> int:
    """Return how many powers count for numbers of some digits.

    Each is less than 10**(1 - length) of the one before.
    """
    return 2 + -(-DECIMALS // (length - 1))


def _start_sums(digits: str) -> list[Sums]:
    """Return the power sums of the numbers of 1, 2, ... `DIRECT` digits by state."""
    table = match_table(digits)
    powers = _powers(DIRECT)
    sums = [[[Decimal(0)] * powers for _ in table] for _ in range(DIRECT + 1)]
    for number in range(1, 10**DIRECT):
        state = 0
        for digit in str(number):
            state = table[state][int(digit)] if state >= 0 else -1
        if state < 0:
            continue
        reciprocal = power = 1 / Decimal(number)
        row = sums[len(str(number))][state]
        for k in range(powers):
            row[k] += power
            power *= reciprocal
    return sums


def _next_sums(
    sums: Sums, moves: list[tuple[int, int, list[int]]], length: int
) -> Sums:
    """Return the power sums of numbers with one digit more than `length`."""
    powers = min(_powers(length), len(sums[0]))
    after = [[Decimal(0)] * powers for _ in sums]
    for state, target, group in moves:
        factors = [Decimal(sum(d**w for d in group)) for w in range(powers)]
        for k in range(1, powers + 1):
            # (10 y + d)**-k = sum over w of (-1)**w C(k+w-1, w) d**w (10 y)**-(k+w)
            for w in range(powers + 1 - k):
                weight = (-1) ** w * comb(k + w - 1, w) * factors[w]
                after[target][k - 1] += weight * sums[state][k + w - 1].scaleb(-k - w)
    return after


def _rest(last: list[Decimal], moves: list[tuple[int, int, list[int]]]) -> Decimal:
    """Return the sum over all longer numbers: of (B + B**2 + ...) last."""
    size = len(last)
    # (1 - B) x = B last, B[target, state] a tenth of the number of digits
    rows = [[Decimal(i == j) for j in range(size)] + [Decimal(0)] for i in range(size)]
    for state, target, group in moves:
        share = Decimal(len(group)) / 10
        rows[target][state] -= share
        rows[target][size] += share * last[state]
    # columns of 1 - B are diagonally dominant: no pivots are needed
    for i in range(size):
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [b - factor * a for a, b in zip(rows[i], rows[j], strict=True)]
    found = [Decimal(0)] * size
    for i in reversed(range(size)):
        known = sum((rows[i][j] * found[j] for j in range(i + 1, size)), Decimal(0))
        found[i] = (rows[i][size] - known) / rows[i][i]
    return sum(found, Decimal(0))
