# SPDX-License-Identifier: MIT
"""Values of expressions on grids and at points, through the interpreter kernel.

Numba is imported by the first evaluation, not by the import of this module.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hpcapp.postfix import ARITY, MAX_VARIABLES, Op, Program, compute

__all__ = ["evaluate_grid", "evaluate_number", "evaluate_points"]

_PIECE = 1 << 16  # points of a scratch array: 512 KiB, a second-level cache


def evaluate_number(program: Program, *values: float) -> float:
    """Evaluate a program at one point, in plain Python.

    For a few thousand points: 0.3 us an operation, but no compiled kernel, whose
    loading costs every rank 0.25 s.

    Parameters
    ----------
    program : Program
        The program.
    *values : float
        One number for each of the program's variables, in their order.

    Returns
    -------
    float
        The value; NaN where an operation on the way has no finite one.
    """
    stack: list[float] = []
    for code, operand in zip(program.opcodes, program.operands, strict=True):
        op = Op(code)
        if op == Op.CONSTANT:
            stack.append(program.constants[operand])
        elif op == Op.VARIABLE:
            stack.append(float(values[operand]))
        elif op == Op.POWER_INTEGER:
            stack.append(compute(Op.POWER, [stack.pop(), float(operand)]))
        else:
            taken = [stack.pop() for _ in range(ARITY[op])]
            stack.append(compute(op, taken[::-1]))
    return stack[0]


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
