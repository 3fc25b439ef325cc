# SPDX-License-Identifier: MIT
"""What CUDA kernels are made of. Imports the CUDA target of Numba.

Exact arithmetic: the assembler may fuse ``mul.f64`` and ``add.f64`` into one operation
that rounds once, which changes bits; what is written ``mul.rn.f64`` it leaves alone.
`add`, `sub` and `mul` are that; of two float32 they are operations of that type, of
anything else those of float64. Plain operators are right only where nothing can be
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
from numba.cuda import cgutils, libdevice
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


def _rounded(name: str) -> Any:
    """Return an operation of CUDA's library that rounds once, for both types."""

    @intrinsic
    def operation(typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
        single = a == types.float32 and b == types.float32
        kind = types.float32 if single else types.float64
        full = f"__nv_{'f' if single else 'd'}{name}_rn"

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
            word = context.get_value_type(kind)
            of_both = ir.FunctionType(word, (word, word))
            function = cgutils.get_or_insert_function(builder.module, of_both, full)
            return builder.call(function, values)

        return kind(kind, kind), generate

    return operation


@intrinsic
def _widen(typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    word, pair = ir.IntType(32), ir.IntType(64)
    code = ir.InlineAsm(
        ir.FunctionType(pair, (word, word)), "mul.wide.u32 $0, $1, $2;", "=l,r,r"
    )

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        return builder.call(code, values)

    return types.uint64(types.uint32, types.uint32), generate


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, np.float32) and isinstance(b, np.float32):
        return a + b
    # numbers of Python overflow without a word, as on the GPU
    return float(a) + float(b)


def _mul(a: Any, b: Any) -> Any:
    if isinstance(a, np.float32) and isinstance(b, np.float32):
        return a * b
    return float(a) * float(b)


def _bits_of(a: float) -> Any:
    return np.float64(a).view(np.int64)


def _product(a: Any, b: Any) -> Any:
    return np.uint64(a) * np.uint64(b)


# the simulator has no such functions
add: Callable[[float, float], float] = _add if SIMULATED else _rounded("add")
bits_of: Callable[[float], Any] = (
    _bits_of if SIMULATED else libdevice.double_as_longlong
)
widen: Callable[[Any, Any], Any] = _product if SIMULATED else _widen
mul: Callable[[float, float], float] = _mul if SIMULATED else _rounded("mul")
