# SPDX-License-Identifier: MIT
"""Values of expressions: on grids by the interpreter kernel, on lines by NumPy.

Numba is imported by the first use of the kernel, not by the import of this module.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.postfix import (
    ARITY,
    MAX_VARIABLES,
    Op,
    Program,
    compute_each,
    multiply,
    raise_half,
)

__all__ = ["evaluate_grid", "evaluate_line", "evaluate_number", "evaluate_points"]

_PIECE = 1 << 16  # points of a scratch array: 512 KiB, a second-level cache


def evaluate_line(
    program: Program, *values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Evaluate a program at points, without a compiled kernel.

    For the points of a boundary, on one rank: loading the kernel costs each rank
    0.25 s. The bits are those of the kernel: arithmetic by NumPy, elementary functions
    by the C library. About 5 ns per point and arithmetic operation, 0.1 us per
    elementary function, 1 us where that overflows.

    Parameters
    ----------
    program : Program
        The program.
    *values : float64[n]
        One array for each of the program's variables, in their order.

    Returns
    -------
    float64[n]
        The values; inf and NaN as in IEEE 754.
    """
    shape = np.broadcast_shapes(*(value.shape for value in values))
    stack: list[NDArray[np.float64]] = []
    with np.errstate(all="ignore"):
        for code, operand in zip(program.opcodes, program.operands, strict=True):
            op = Op(code)
            if op == Op.CONSTANT:
                stack.append(np.full(shape, program.constants[operand]))
            elif op == Op.VARIABLE:
                stack.append(np.asarray(values[operand], dtype=np.float64))
            else:
                first = len(stack) - ARITY[op]
                stack[first:] = [_apply(op, operand, *stack[first:])]
    return stack[0]


def evaluate_number(program: Program, *values: float) -> float:
    """Evaluate a program at one point: `evaluate_line` for one number.

    Parameters
    ----------
    program : Program
        The program.
    *values : float
        One number for each of the program's variables, in their order.

    Returns
    -------
    float
        The value; inf and NaN as in IEEE 754.
    """
    return float(evaluate_line(program, *(np.array([v]) for v in values))[0])


def evaluate_grid(
    out: NDArray[np.float64],
    program: Program,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
) -> None:
    """Evaluate a program on a grid: ``out[j, i] = f(x[i], y[j])``.

    Parameters
    ----------
    out : float64[ny, nx]
        Values, written; a view goes through a scratch array of a few rows.
    program : Program
        Its variables are among ``x`` and ``y``, in any order.
    y : float64[ny]
        Coordinates along the first axis.
    x : float64[nx]
        Coordinates along the last axis.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a variable has another name.
    """
    if out.shape != (len(y), len(x)):
        raise ValueError(f"out: must have shape {(len(y), len(x))}, got {out.shape}")
    axes = {"x": (x, (0, 1)), "y": (y, (1, 0))}
    unknown = [name for name in program.variables if name not in axes]
    if unknown:
        raise ValueError(f"program: variables on a grid are x and y, got {unknown[0]}")
    chosen = [axes[name] for name in program.variables]
    _evaluate(out, program, [a for a, _ in chosen], [step for _, step in chosen])


def evaluate_points(
    out: NDArray[np.float64], program: Program, *values: NDArray[np.float64]
) -> None:
    """Evaluate a program at points: ``out[k] = f(values[0][k], values[1][k], ...)``.

    Parameters
    ----------
    out : float64[n]
        Values, written.
    program : Program
        Program of at most `MAX_VARIABLES` variables.
    *values : float64[n]
        One array for each of the program's variables, in their order.

    Raises
    ------
    ValueError
        If the number of arrays or a length does not fit, or there are too many
        variables.
    """
    names = program.variables
    if len(values) != len(names) or len(names) > MAX_VARIABLES:
        raise ValueError(
            f"values: must be one array per variable, at most {MAX_VARIABLES}, "
            f"got {len(values)} for {len(names)}"
        )
    wrong = [value.shape for value in values if value.shape != out.shape]
    if wrong or out.ndim != 1:
        raise ValueError(f"values: must have shape {out.shape} of out, got {wrong}")
    _evaluate(out[np.newaxis, :], program, list(values), [(0, 1)] * len(values))


# The operations whose bits IEEE 754 fixes, so that NumPy gives those of the kernel.
# Not its minimum and maximum: of 0 and -0 these may give either.
_EXACT: dict[Op, Callable[..., Any]] = {
    Op.NEGATE: np.negative,
    Op.ABS: np.abs,
    Op.FLOOR: np.floor,
    Op.CEIL: np.ceil,
    Op.SIGN: lambda a: np.where(a > 0.0, 1.0, np.where(a < 0.0, -1.0, a)),
    Op.SQRT: np.sqrt,
    Op.ADD: np.add,
    Op.SUBTRACT: np.subtract,
    Op.MULTIPLY: np.multiply,
    Op.DIVIDE: np.divide,
    Op.MINIMUM: lambda a, b: np.where((a <= b) | (a != a), a, b),
    Op.MAXIMUM: lambda a, b: np.where((a >= b) | (a != a), a, b),
    Op.LESS: np.less,
    Op.LESS_EQUAL: np.less_equal,
    Op.GREATER: np.greater,
    Op.GREATER_EQUAL: np.greater_equal,
    Op.WHERE: lambda condition, a, b: np.where(condition != 0.0, a, b),
}


def _apply(op: Op, operand: int, *values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: Any
    if op == Op.POWER_INTEGER:
        product = np.ones_like(values[0]) * multiply(values[0], abs(operand))
        found = product if operand >= 0 else np.divide(1.0, product)
    elif op == Op.POWER_HALF:
        found = raise_half(values[0], operand, np.sqrt, np.divide)
    elif op in _EXACT:
        found = _EXACT[op](*values)
    else:
        found = compute_each(op, *(value.tolist() for value in values))
    return np.asarray(found, dtype=np.float64)


def _evaluate(
    out: NDArray[np.float64],
    program: Program,
    values: list[NDArray[np.float64]],
    steps: list[tuple[int, int]],
) -> None:
    if program.constant is not None:
        out.fill(program.constant)
        return
    from hpcapp.expression_kernels import evaluate_cpu

    # Unused places repeat the last array, so that the kernel sees one type only.
    arrays = [np.ascontiguousarray(value, dtype=np.float64) for value in values]
    arrays += arrays[-1:] * (MAX_VARIABLES - len(values))
    steps += steps[-1:] * (MAX_VARIABLES - len(steps))
    code = (
        np.array(program.opcodes, dtype=np.int64),
        np.array(program.operands, dtype=np.int64),
        np.array(program.constants, dtype=np.float64),
        program.depth,
    )
    for piece, first in _pieces(out):
        rest = [a[first * s[0] :] for a, s in zip(arrays, steps, strict=True)]
        evaluate_cpu(piece, *code, tuple(rest), np.array(steps, dtype=np.int64))
        if not out.flags.c_contiguous:
            out[first : first + len(piece)] = piece


def _pieces(out: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], int]]:
    """Give contiguous arrays for rows of `out`, and the first of these rows.

    A view gets a scratch array of a few rows: a second compiled variant of the
    kernel would cost every first run 5 s, a copy of the whole its memory.
    """
    if out.flags.c_contiguous:
        yield out, 0
        return
    rows = max(1, _PIECE // out.shape[1])
    scratch = np.empty((min(rows, len(out)), out.shape[1]))
    for first in range(0, len(out), rows):
        yield scratch[: len(out) - first], first
