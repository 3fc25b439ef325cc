# SPDX-License-Identifier: MIT
"""Postfix programs: their operations, what these mean, and how a program is stored.

Written by `hpcapp.expression`, interpreted by `hpcapp.expression_kernels`. Imports
only the standard library.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

__all__ = [
    "ARITY",
    "LARGEST_HALF",
    "MAX_EXPONENT",
    "MAX_VARIABLES",
    "SMALLEST_HALF",
    "Op",
    "Program",
    "compute",
    "compute_each",
    "multiply",
    "power_of",
    "raise_half",
]

T = TypeVar("T")

MAX_EXPONENT = 16
"""Largest magnitude of n for which x**n is done by multiplications (see `Op`)."""

SMALLEST_HALF = -1.5
"""Smallest n + 0.5 for which x**(n + 0.5) is done by a square root (see `Op`)."""

LARGEST_HALF = 2.5
"""Largest such n + 0.5."""

MAX_VARIABLES = 3
"""Variables that a program may have; fixed, so that one compiled kernel is enough."""


class Op(IntEnum):
    """Operations of a postfix program, one per instruction.

    Stack effect: ``CONSTANT`` and ``VARIABLE`` push one value (the operand is the
    index of the constant or of the variable); ``POWER_INTEGER``, ``POWER_HALF``
    and the operations numbered 10-39 replace the top value; 40-69 take two values, 70
    takes three, and push one. Only the first four read their operand. Compiled kernels
    on disk contain these numbers: add operations, never renumber.

    Rules that every interpreter keeps, so that all give the same bits:

    - ``x**n`` with a constant whole n of magnitude up to `MAX_EXPONENT` is
      ``POWER_INTEGER``: square and multiply from the lowest bit of the magnitude up,
      so x**2 is x*x; then 1/result for n < 0.
    - ``x**(n + 0.5)`` with a constant exponent from `SMALLEST_HALF` to `LARGEST_HALF`
      is ``POWER_HALF``: sqrt(x), x*sqrt(x), x*x*sqrt(x), 1/sqrt(x), sqrt(1/x)/x, where
      0 stands for x = -0. These are one to three roundings; the largest error seen is
      1.92 ulp. As pow at 0 and inf; NaN for x < 0 and for -inf, but 0 for (-inf)**-1.5.
      Ten times as fast as pow.
    - Other powers are the C library's pow.
    - Comparisons give 0 or 1. ``WHERE`` takes (condition, a, b) and gives a unless the
      condition is 0; both branches are evaluated.
    - ``MINIMUM`` and ``MAXIMUM`` give NaN if either value is NaN.
    - ``SIGN`` gives -1 or 1, and the value itself if that is 0, -0 or NaN.
    - What overflows or divides by zero gives inf, what is no real number NaN, as in
      IEEE 754 and C; a program goes on with them.
    """

    CONSTANT = 0
    VARIABLE = 1
    POWER_INTEGER = 2
    POWER_HALF = 3
    NEGATE = 10
    ABS = 11
    FLOOR = 12
    CEIL = 13
    SIGN = 14
    SQRT = 15
    EXP = 16
    LOG = 17
    LOG10 = 18
    LOG2 = 19
    SIN = 20
    COS = 21
    TAN = 22
    ASIN = 23
    ACOS = 24
    ATAN = 25
    SINH = 26
    COSH = 27
    TANH = 28
    ADD = 40
    SUBTRACT = 41
    MULTIPLY = 42
    DIVIDE = 43
    POWER = 44
    ATAN2 = 45
    HYPOT = 46
    MINIMUM = 47
    MAXIMUM = 48
    LESS = 49
    LESS_EQUAL = 50
    GREATER = 51
    GREATER_EQUAL = 52
    WHERE = 70


ARITY: dict[Op, int] = {
    op: 0 if op <= Op.VARIABLE else 1 if op < 40 else 2 if op < 70 else 3 for op in Op
}
"""Number of values that an operation takes from the stack; it leaves one."""


@dataclass(frozen=True, slots=True)
class Program:
    """A postfix program for one expression: hashable, picklable, comparable.

    Attributes
    ----------
    text : str
        The expression as it was written, without blanks around it.
    variables : tuple of str
        Names that the expression may use; ``VARIABLE`` counts in this order.
    opcodes : tuple of int
        One `Op` per instruction.
    operands : tuple of int
        One per instruction: index into `constants` or `variables`, or the exponent
        n of ``POWER_INTEGER`` and ``POWER_HALF``; 0 where unused.
    constants : tuple of float
        Finite numbers that the program pushes.
    depth : int
        Values on the stack at most, >= 1.
    """

    text: str
    variables: tuple[str, ...]
    opcodes: tuple[int, ...]
    operands: tuple[int, ...]
    constants: tuple[float, ...]
    depth: int

    @property
    def constant(self) -> float | None:
        """The value, if it depends on no variable.

        Returns
        -------
        float or None
            None if the expression uses a variable.
        """
        return self.constants[0] if self.opcodes == (Op.CONSTANT,) else None


def compute(op: Op, values: list[float], operand: int = 0) -> float:
    """Apply one operation to numbers, with the rules and libm of the kernels.

    Parameters
    ----------
    op : Op
        Any operation that takes values.
    values : list of float
        As many numbers as `ARITY` says; inf and NaN too.
    operand : int
        The exponent n of ``POWER_INTEGER`` and ``POWER_HALF``.

    Returns
    -------
    float
        The value as in IEEE 754: inf where it overflows, NaN where it is no real
        number.

    Examples
    --------
    >>> compute(Op.POWER_INTEGER, [3.0], 2)
    9.0
    >>> compute(Op.DIVIDE, [-1.0, 0.0])
    -inf
    """
    if op == Op.POWER_INTEGER:
        product = multiply(values[0], abs(operand))
        return product if operand >= 0 else _divide(1.0, product)
    if op == Op.POWER_HALF:
        return raise_half(values[0], operand, _sqrt, _divide)
    try:
        return _FORMULAS[op](*values)
    except (ValueError, OverflowError, ZeroDivisionError):
        return _limit(op, values)


def compute_each(op: Op, *columns: Sequence[float]) -> list[float]:
    """Apply one operation to many numbers, 50 ns each.

    Parameters
    ----------
    op : Op
        Any operation that takes values and has no operand.
    *columns : sequence of float
        As many of one length as `ARITY` says.

    Returns
    -------
    list of float
        What `compute` gives for each place.
    """
    try:
        return list(map(_FORMULAS[op], *columns))
    except (ValueError, OverflowError, ZeroDivisionError):
        return [compute(op, list(values)) for values in zip(*columns, strict=True)]


def multiply(base: T, times: int) -> T:
    """Raise to a power by multiplications, in the order that `Op` states.

    Parameters
    ----------
    base : float or array
        What is multiplied.
    times : int
        The exponent, >= 0.

    Returns
    -------
    float or array
        ``base**times``.
    """
    result: Any = 1.0
    square: Any = base
    while times:
        result = result * square if times & 1 else result
        times >>= 1
        square = square * square if times else square
    return result  # type: ignore[no-any-return]


def raise_half(
    base: T, n: int, sqrt: Callable[[Any], Any], divide: Callable[[Any, Any], Any]
) -> T:
    """Raise to the power n + 0.5 by the formulas that `Op` states.

    Parameters
    ----------
    base : float or array
        What is raised.
    n : int
        From -2 to 2.
    sqrt, divide : callable
        Of floats or arrays, as in IEEE 754.

    Returns
    -------
    float or array
        ``base**(n + 0.5)``.
    """
    x: Any = base + 0.0  # type: ignore[operator]
    found: Any
    if n >= 0:
        found = multiply(x, n) * sqrt(x)
    elif n == -1:
        found = divide(1.0, sqrt(x))
    else:
        found = divide(sqrt(divide(1.0, x)), x)
    return found  # type: ignore[no-any-return]


def power_of(exponent: float) -> tuple[Op, int]:
    """Choose the operation for a constant exponent.

    Parameters
    ----------
    exponent : float
        Finite number.

    Returns
    -------
    op : Op
        ``POWER_INTEGER``, ``POWER_HALF`` or ``POWER``.
    operand : int
        Its operand.

    Examples
    --------
    >>> [(op.name, n) for op, n in map(power_of, (-2.0, 1.5, 0.3))]
    [('POWER_INTEGER', -2), ('POWER_HALF', 1), ('POWER', 0)]
    """
    if exponent.is_integer() and abs(exponent) <= MAX_EXPONENT:
        return Op.POWER_INTEGER, int(exponent)
    if SMALLEST_HALF <= exponent <= LARGEST_HALF and (2 * exponent).is_integer():
        return Op.POWER_HALF, int(exponent - 0.5)
    return Op.POWER, 0


def _sqrt(a: float) -> float:
    return compute(Op.SQRT, [a])


def _divide(a: float, b: float) -> float:
    return compute(Op.DIVIDE, [a, b])


# Formulas of the kernels; hypot by way of complex numbers, since only that is the C
# library's. Python raises where some of them leave the finite numbers: see `_limit`.
_FORMULAS: dict[Op, Callable[..., float]] = {
    **{op: getattr(math, op.name.lower()) for op in Op if Op.SQRT <= op <= Op.TANH},
    Op.NEGATE: operator.neg,
    Op.ABS: math.fabs,
    Op.FLOOR: lambda a: math.copysign(math.floor(a), a),
    Op.CEIL: lambda a: math.copysign(math.ceil(a), a),
    Op.SIGN: lambda a: 1.0 if a > 0.0 else (-1.0 if a < 0.0 else a),
    Op.ADD: operator.add,
    Op.SUBTRACT: operator.sub,
    Op.MULTIPLY: operator.mul,
    Op.DIVIDE: operator.truediv,
    Op.POWER: math.pow,
    Op.ATAN2: math.atan2,
    Op.HYPOT: lambda a, b: abs(complex(a, b)),
    Op.MINIMUM: lambda a, b: a if a <= b or a != a else b,
    Op.MAXIMUM: lambda a, b: a if a >= b or a != a else b,
    Op.LESS: lambda a, b: float(a < b),
    Op.LESS_EQUAL: lambda a, b: float(a <= b),
    Op.GREATER: lambda a, b: float(a > b),
    Op.GREATER_EQUAL: lambda a, b: float(a >= b),
    Op.WHERE: lambda condition, a, b: a if condition else b,
}


def _limit(op: Op, values: list[float]) -> float:
    """Give the value of IEEE 754 and C where Python raises."""
    a, b = values[0], values[-1]
    if op in (Op.FLOOR, Op.CEIL):
        return a
    if op == Op.DIVIDE and a != 0.0 and not math.isnan(a):
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    if op in (Op.LOG, Op.LOG10, Op.LOG2) and a == 0.0:
        return -math.inf
    if op in (Op.EXP, Op.COSH, Op.HYPOT):
        return math.inf
    if op == Op.SINH:
        return math.copysign(math.inf, a)
    if op == Op.POWER and (a >= 0.0 or b.is_integer()):
        # a pole or an overflow: odd powers keep the sign
        odd = abs(math.fmod(b, 2.0)) == 1.0
        return math.copysign(math.inf, a) if odd else math.inf
    return math.nan
