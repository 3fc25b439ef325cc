# SPDX-License-Identifier: MIT
"""What CUDA kernels are made of. Imports the CUDA target of Numba.

Exact arithmetic: the assembler may fuse ``mul.f64`` and ``add.f64`` into one operation
that rounds once, which changes bits; what is written ``mul.rn.f64`` it leaves alone.
`add`, `sub` and `mul` are that. Plain operators are right only where nothing can be
fused: for integers, comparisons, division, square root and the change of sign.

`widen` multiplies two words of 32 bits in one instruction, where a product of 64 bits
may take three; `bits_of` are those of a double, as int64.

Functions inside of kernels are decorated with `inner`: they become part of the kernel
before types are known, so that a kernel is compiled without a driver.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import cuda, types
from numba.cuda import libdevice
from numba.cuda.core import config
from numba.cuda.extending import intrinsic

__all__ = ["SIMULATED", "add", "bits_of", "inner", "kernel", "mul", "sub", "widen"]

SIMULATED = bool(config.ENABLE_CUDASIM)
"""Whether kernels run in Numba's simulator, in Python."""

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Any:
    """Make a kernel of a function; kept in the cache beside those of the CPU."""
    return cuda.jit(cache=True)(function)


def inner(function: Function) -> Any:
    """Make a function that kernels, and other such functions, may call.

    In the simulator it stays what it is. It may not use `numba.cuda` unless it stands
    in the module of the kernel.
    """
    if SIMULATED:
        return function
    return cuda.jit(device=True, inline="always")(function)


@inner
def sub(a: float, b: float) -> float:
    """Subtract, rounded once."""
    return add(a, -b)


@intrinsic
def _widen(typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    word, pair = ir.IntType(32), ir.IntType(64)
    code = ir.InlineAsm(
        ir.FunctionType(pair, (word, word)), "mul.wide.u32 $0, $1, $2;", "=l,r,r"
    )

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        return builder.call(code, values)

    return types.uint64(types.uint32, types.uint32), generate


def _add(a: float, b: float) -> float:
    # numbers of Python overflow without a word, as on the GPU
    return float(a) + float(b)


def _mul(a: float, b: float) -> float:
    return float(a) * float(b)


def _bits_of(a: float) -> Any:
    return np.float64(a).view(np.int64)


def _product(a: Any, b: Any) -> Any:
    return np.uint64(a) * np.uint64(b)


# the simulator has no such functions
add: Callable[[float, float], float] = _add if SIMULATED else libdevice.dadd_rn
bits_of: Callable[[float], Any] = (
    _bits_of if SIMULATED else libdevice.double_as_longlong
)
widen: Callable[[Any, Any], Any] = _product if SIMULATED else _widen
mul: Callable[[float, float], float] = _mul if SIMULATED else libdevice.dmul_rn
