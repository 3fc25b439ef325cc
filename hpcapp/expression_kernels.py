# SPDX-License-Identifier: MIT
"""Interpreter of postfix programs on the CPU: one kernel serves every expression."""

import math
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hpcapp.postfix import Op

__all__ = ["evaluate_cpu"]

# Points per block: a stack of ten values stays in a 32 KiB cache. All loops have this
# fixed length: a rest loop could give other bits where a vector library is in use.
_BLOCK = 256

# Parts of the kernel, cached with it. They stand in its file since Numba notices
# changes of that file only.
_inner = njit(error_model="numpy")


@_inner
def _locate(
    rows: NDArray[np.int64], columns: NDArray[np.int64], first: int, ny: int, nx: int
) -> bool:
    """Give (j, i) of a block, past the end the last again; true if all in one row."""
    j, i = first // nx, first % nx
    if i + _BLOCK <= nx:
        for k in range(_BLOCK):
            rows[k], columns[k] = j, i + k
        return True
    for k in range(_BLOCK):
        rows[k], columns[k] = j, i
        if i + 1 < nx:
            i += 1
        elif j + 1 < ny:
            i = 0
            j += 1
    return False


@_inner
def _load(
    a: NDArray[np.float64],
    values: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    steps: NDArray[np.int64],
    in_row: bool,
) -> None:
    first = rows[0] * steps[0] + columns[0] * steps[1]
    if in_row and steps[1] == 1:
        a[:] = values[first : first + _BLOCK]
    elif in_row and steps[1] == 0:
        a[:] = values[first]
    else:
        for k in range(_BLOCK):
            a[k] = values[rows[k] * steps[0] + columns[k] * steps[1]]


@_inner
def _raise_to(a: NDArray[np.float64], base: NDArray[np.float64], exponent: int) -> None:
    for k in range(_BLOCK):
        base[k] = a[k]
        a[k] = 1.0
    bits = abs(exponent)
    while bits > 0:
        if bits & 1:
            for k in range(_BLOCK):
                a[k] *= base[k]
        for k in range(_BLOCK):
            base[k] *= base[k]
        bits >>= 1
    if exponent < 0:
        for k in range(_BLOCK):
            a[k] = 1.0 / a[k]


@_inner
def _choose(
    condition: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> None:
    for k in range(_BLOCK):
        condition[k] = a[k] if condition[k] != 0.0 else b[k]


def _unary(name: str, formula: Any) -> Any:
    """Make the loop that applies a formula to a block in place."""
    formula = _compiled(f"_{name}", formula)

    def loop(a: NDArray[np.float64]) -> None:
        for k in range(_BLOCK):
            a[k] = formula(a[k])

    return _compiled(f"_{name}_loop", loop)


def _binary(name: str, formula: Any) -> Any:
    """Make the loop that combines two blocks into the first by a formula."""
    formula = _compiled(f"_{name}", formula)

    def loop(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        for k in range(_BLOCK):
            a[k] = formula(a[k], b[k])

    return _compiled(f"_{name}_loop", loop)


def _compiled(name: str, function: Any) -> Any:
    """Compile a Python function under a name of its own.

    Machine code is found by qualified name, argument types and a number counted
    anew in each process: of two loops called `loop`, one would be taken for the
    other when kernels cached by two processes meet in a third.
    """
    if not isinstance(function, FunctionType):
        return function  # Numba knows it: math.sin, np.sqrt
    function.__qualname__ = name
    return _inner(function)


def _sign(a: float) -> float:
    return 1.0 if a > 0.0 else (-1.0 if a < 0.0 else a)


def _minimum(a: float, b: float) -> float:
    return a if a <= b or a != a else b


def _maximum(a: float, b: float) -> float:
    return a if a >= b or a != a else b


# From NumPy: what is a processor instruction, and log2, which Numba 0.58 lacks in math.
_negate_loop = _unary("negate", lambda a: -a)
_abs_loop = _unary("abs", math.fabs)
_floor_loop = _unary("floor", np.floor)
_ceil_loop = _unary("ceil", np.ceil)
_sign_loop = _unary("sign", _sign)
_sqrt_loop = _unary("sqrt", np.sqrt)
# Powers of 3/2 and so on; + 0.0 makes 0 of -0.
_power_1_2_loop = _unary("power_1_2", lambda a: np.sqrt(a + 0.0))
_power_3_2_loop = _unary("power_3_2", lambda a: (a + 0.0) * np.sqrt(a + 0.0))
_power_5_2_loop = _unary("power_5_2", lambda a: a * a * np.sqrt(a + 0.0))
_power_minus_1_2_loop = _unary("power_minus_1_2", lambda a: 1.0 / np.sqrt(a + 0.0))
_power_minus_3_2_loop = _unary(
    "power_minus_3_2", lambda a: np.sqrt(1.0 / (a + 0.0)) / (a + 0.0)
)
_exp_loop = _unary("exp", math.exp)
_log_loop = _unary("log", math.log)
_log10_loop = _unary("log10", math.log10)
_log2_loop = _unary("log2", np.log2)
_sin_loop = _unary("sin", math.sin)
_cos_loop = _unary("cos", math.cos)
_tan_loop = _unary("tan", math.tan)
_asin_loop = _unary("asin", math.asin)
_acos_loop = _unary("acos", math.acos)
_atan_loop = _unary("atan", math.atan)
_sinh_loop = _unary("sinh", math.sinh)
_cosh_loop = _unary("cosh", math.cosh)
_tanh_loop = _unary("tanh", math.tanh)
_add_loop = _binary("add", lambda a, b: a + b)
_subtract_loop = _binary("subtract", lambda a, b: a - b)
_multiply_loop = _binary("multiply", lambda a, b: a * b)
_divide_loop = _binary("divide", lambda a, b: a / b)
_power_loop = _binary("power", math.pow)
_atan2_loop = _binary("atan2", math.atan2)
_hypot_loop = _binary("hypot", math.hypot)
_minimum_loop = _binary("minimum", _minimum)
_maximum_loop = _binary("maximum", _maximum)
_less_loop = _binary("less", lambda a, b: 1.0 if a < b else 0.0)
_less_equal_loop = _binary("less_equal", lambda a, b: 1.0 if a <= b else 0.0)
_greater_loop = _binary("greater", lambda a, b: 1.0 if a > b else 0.0)
_greater_equal_loop = _binary("greater_equal", lambda a, b: 1.0 if a >= b else 0.0)


@_inner
def _raise_half(a: NDArray[np.float64], n: int) -> None:
    if n == 0:
        _power_1_2_loop(a)
    elif n == 1:
        _power_3_2_loop(a)
    elif n == 2:
        _power_5_2_loop(a)
    elif n == -1:
        _power_minus_1_2_loop(a)
    else:
        _power_minus_3_2_loop(a)


@_inner
def _apply_trigonometric(op: int, a: NDArray[np.float64]) -> None:
    if op == Op.SIN:
        _sin_loop(a)
    elif op == Op.COS:
        _cos_loop(a)
    elif op == Op.TAN:
        _tan_loop(a)
    elif op == Op.ASIN:
        _asin_loop(a)
    elif op == Op.ACOS:
        _acos_loop(a)
    elif op == Op.ATAN:
        _atan_loop(a)
    elif op == Op.SINH:
        _sinh_loop(a)
    elif op == Op.COSH:
        _cosh_loop(a)
    else:
        _tanh_loop(a)


@_inner
def _apply_unary(op: int, a: NDArray[np.float64]) -> None:
    if op == Op.NEGATE:
        _negate_loop(a)
    elif op == Op.ABS:
        _abs_loop(a)
    elif op == Op.FLOOR:
        _floor_loop(a)
    elif op == Op.CEIL:
        _ceil_loop(a)
    elif op == Op.SIGN:
        _sign_loop(a)
    elif op == Op.SQRT:
        _sqrt_loop(a)
    elif op == Op.EXP:
        _exp_loop(a)
    elif op == Op.LOG:
        _log_loop(a)
    elif op == Op.LOG10:
        _log10_loop(a)
    elif op == Op.LOG2:
        _log2_loop(a)
    else:
        _apply_trigonometric(op, a)


@_inner
def _apply_binary(op: int, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    if op == Op.ADD:
        _add_loop(a, b)
    elif op == Op.SUBTRACT:
        _subtract_loop(a, b)
    elif op == Op.MULTIPLY:
        _multiply_loop(a, b)
    elif op == Op.DIVIDE:
        _divide_loop(a, b)
    elif op == Op.POWER:
        _power_loop(a, b)
    elif op == Op.ATAN2:
        _atan2_loop(a, b)
    elif op == Op.HYPOT:
        _hypot_loop(a, b)
    elif op == Op.MINIMUM:
        _minimum_loop(a, b)
    elif op == Op.MAXIMUM:
        _maximum_loop(a, b)
    elif op == Op.LESS:
        _less_loop(a, b)
    elif op == Op.LESS_EQUAL:
        _less_equal_loop(a, b)
    elif op == Op.GREATER:
        _greater_loop(a, b)
    else:
        _greater_equal_loop(a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate_cpu(
    out: NDArray[np.float64],
    opcodes: NDArray[np.int64],
    operands: NDArray[np.int64],
    constants: NDArray[np.float64],
    depth: int,
    values: tuple[NDArray[np.float64], ...],
    steps: NDArray[np.int64],
) -> None:
    """Interpret a postfix program at the points of a grid, block by block.

    The bits of a value depend on the point alone: no fast-math, elementary functions
    of the C library, loops of one fixed length. About 1 ns per point and arithmetic
    operation, 5 to 20 ns per elementary function; reads the variables, writes `out`,
    the rest stays in cache. Free of races between calls with disjoint `out`.

    Parameters
    ----------
    out : float64[ny, nx]
        Values, written.
    opcodes, operands : int64[m]
        The program (see `hpcapp.postfix.Op`).
    constants : float64[c]
        Its constants.
    depth : int
        Its stack depth, >= 1.
    values : tuple of MAX_VARIABLES arrays float64[:]
        Variable v has the value ``values[v][j*steps[v, 0] + i*steps[v, 1]]`` at (j, i).
    steps : int64[v, 2]
        Steps of each variable along the two axes.
    """
    ny, nx = out.shape
    stack = np.empty((depth + 1, _BLOCK))
    rows = np.empty(_BLOCK, np.int64)
    columns = np.empty(_BLOCK, np.int64)
    for first in range(0, ny * nx, _BLOCK):
        in_row = _locate(rows, columns, first, ny, nx)
        top = -1
        for m in range(opcodes.size):
            op, operand = opcodes[m], operands[m]
            if op == Op.CONSTANT:
                top += 1
                stack[top, :] = constants[operand]
            elif op == Op.VARIABLE:
                top += 1
                source, step = values[operand], steps[operand]
                _load(stack[top], source, rows, columns, step, in_row)
            elif op == Op.POWER_INTEGER:
                _raise_to(stack[top], stack[top + 1], operand)
            elif op == Op.POWER_HALF:
                _raise_half(stack[top], operand)
            elif op == Op.WHERE:
                top -= 2
                _choose(stack[top], stack[top + 1], stack[top + 2])
            elif op >= Op.ADD:
                top -= 1
                _apply_binary(op, stack[top], stack[top + 1])
            else:
                _apply_unary(op, stack[top])
        if in_row:
            out[rows[0], columns[0] : columns[0] + _BLOCK] = stack[0]
            continue
        for k in range(min(_BLOCK, ny * nx - first)):
            out[rows[k], columns[k]] = stack[0, k]
