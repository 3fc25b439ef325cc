# SPDX-License-Identifier: MIT
"""Interpreter of postfix programs on a GPU: one kernel serves every expression.

Arithmetic, square roots, comparisons and the powers that `hpcapp.postfix.Op` fixes have
the bits of the CPU. Elementary functions are those of the CUDA library, which differ
from the C library's in the last places.
"""

from collections.abc import Callable
from typing import Any

from numba import cuda, float64
from numba.cuda import libdevice

from hpcapp.gpu.kernels import SIMULATED, add, inner, kernel, mul, sub
from hpcapp.postfix import Op, compute

__all__ = ["SIGNATURES", "evaluate_cuda"]

SIGNATURES = {
    "evaluate_cuda": "void(float64[::1], int64[::1], int64[::1], float64[::1], "
    "float64[::1])",
}


def _function(op: Op, name: str) -> Callable[..., Any]:
    """Return a function of the CUDA library; in the simulator that of the CPU."""
    if SIMULATED:
        return lambda *values: compute(op, [float(value) for value in values])
    found: Callable[..., Any] = getattr(libdevice, name)
    return found


# rounded once, as on the CPU
_divide, _sqrt = _function(Op.DIVIDE, "ddiv_rn"), _function(Op.SQRT, "dsqrt_rn")
_floor, _ceil = _function(Op.FLOOR, "floor"), _function(Op.CEIL, "ceil")
# with errors of the library's own
_exp, _log = _function(Op.EXP, "exp"), _function(Op.LOG, "log")
_log10, _log2 = _function(Op.LOG10, "log10"), _function(Op.LOG2, "log2")
_sin, _cos = _function(Op.SIN, "sin"), _function(Op.COS, "cos")
_tan, _asin = _function(Op.TAN, "tan"), _function(Op.ASIN, "asin")
_acos, _atan = _function(Op.ACOS, "acos"), _function(Op.ATAN, "atan")
_sinh, _cosh = _function(Op.SINH, "sinh"), _function(Op.COSH, "cosh")
_tanh, _pow = _function(Op.TANH, "tanh"), _function(Op.POWER, "pow")
_atan2, _hypot = _function(Op.ATAN2, "atan2"), _function(Op.HYPOT, "hypot")


@inner
def _raise_integer(base: float, exponent: int) -> Any:
    product, bits = 1.0, abs(exponent)
    while bits > 0:
        if bits & 1:
            product = mul(product, base)
        base = mul(base, base)
        bits >>= 1
    return product if exponent >= 0 else _divide(1.0, product)


@inner
def _raise_half(base: float, n: int) -> Any:
    x = add(base, 0.0)
    if n == -1:
        x = _divide(1.0, _sqrt(x))
    elif n < 0:
        x = _divide(_sqrt(_divide(1.0, x)), x)
    else:
        root = _sqrt(x)
        if n == 0:
            x = root
        elif n == 1:
            x = mul(x, root)
        else:
            x = mul(mul(x, x), root)
    return x


@inner
def _apply_function(op: int, a: float) -> Any:
    if op == Op.EXP:
        a = _exp(a)
    elif op == Op.LOG:
        a = _log(a)
    elif op == Op.LOG10:
        a = _log10(a)
    elif op == Op.LOG2:
        a = _log2(a)
    elif op == Op.SIN:
        a = _sin(a)
    elif op == Op.COS:
        a = _cos(a)
    elif op == Op.TAN:
        a = _tan(a)
    elif op == Op.ASIN:
        a = _asin(a)
    elif op == Op.ACOS:
        a = _acos(a)
    elif op == Op.ATAN:
        a = _atan(a)
    elif op == Op.SINH:
        a = _sinh(a)
    elif op == Op.COSH:
        a = _cosh(a)
    else:
        a = _tanh(a)
    return a


@inner
def _apply_unary(op: int, a: float) -> Any:
    if op == Op.NEGATE:
        a = -a
    elif op == Op.ABS:
        a = abs(a)
    elif op == Op.FLOOR:
        a = _floor(a)
    elif op == Op.CEIL:
        a = _ceil(a)
    elif op == Op.SIGN:
        if a > 0.0:
            a = 1.0
        elif a < 0.0:
            a = -1.0
    elif op == Op.SQRT:
        a = _sqrt(a)
    else:
        a = _apply_function(op, a)
    return a


@inner
def _compare(op: int, a: float, b: float) -> float:
    if op == Op.LESS:
        found = a < b
    elif op == Op.LESS_EQUAL:
        found = a <= b
    elif op == Op.GREATER:
        found = a > b
    else:
        found = a >= b
    return 1.0 if found else 0.0


@inner
def _apply_binary(op: int, a: float, b: float) -> Any:
    if op == Op.ADD:
        a = add(a, b)
    elif op == Op.SUBTRACT:
        a = sub(a, b)
    elif op == Op.MULTIPLY:
        a = mul(a, b)
    elif op == Op.DIVIDE:
        a = _divide(a, b)
    elif op == Op.POWER:
        a = _pow(a, b)
    elif op == Op.ATAN2:
        a = _atan2(a, b)
    elif op == Op.HYPOT:
        a = _hypot(a, b)
    elif op == Op.MINIMUM:
        a = a if a <= b or a != a else b
    elif op == Op.MAXIMUM:
        a = a if a >= b or a != a else b
    else:
        a = _compare(op, a, b)
    return a


@kernel
def evaluate_cuda(
    out: Any, opcodes: Any, operands: Any, constants: Any, x: Any
) -> None:
    """Interpret a postfix program of one variable at points.

    Parameters
    ----------
    out : float64[n]
        Values, written; may be `x`.
    opcodes, operands : int64[m]
        The program (see `hpcapp.postfix.Op`).
    constants : float64[c]
        Its constants.
    x : float64[n]
        Values of the variable.

    Notes
    -----
    All threads do the same operation at a time. The top of the stack is in a register,
    the rest in dynamic shared memory: 8 bytes a thread and level. Reads and writes 8
    bytes a point.
    """
    stack = cuda.shared.array(0, float64)
    thread, width = cuda.threadIdx.x, cuda.blockDim.x
    for k in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        a, below = 0.0, 0
        for m in range(opcodes.size):
            op, operand = opcodes[m], operands[m]
            if op <= Op.VARIABLE:
                # the first value of all puts one that nobody takes
                stack[below * width + thread] = a
                below += 1
                a = constants[operand] if op == Op.CONSTANT else x[k]
            elif op == Op.POWER_INTEGER:
                a = _raise_integer(a, operand)
            elif op == Op.POWER_HALF:
                a = _raise_half(a, operand)
            elif op == Op.WHERE:
                below -= 2
                chosen = stack[(below + 1) * width + thread]
                a = chosen if stack[below * width + thread] != 0.0 else a
            elif op >= Op.ADD:
                below -= 1
                a = _apply_binary(op, stack[below * width + thread], a)
            else:
                a = _apply_unary(op, a)
        out[k] = a
