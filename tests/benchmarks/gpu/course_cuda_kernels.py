# SPDX-License-Identifier: MIT
"""Kernels as courses write them, and one that does nothing but arithmetic.

One thread for a point or a walker, plain operators, no tiles; random numbers by the
generator that comes with Numba, a state for each thread. Threads of a sum go through
the terms with the stride of the grid and add what they have atomically.
"""

import math
from typing import Any

from numba import cuda
from numba.cuda.random import xoroshiro128p_uniform_float64

from hpcapp.gpu.kernels import add, kernel, mul

__all__ = [
    "ISSUED",
    "SIGNATURES",
    "add_cosines_course",
    "add_midpoints_course",
    "add_reciprocals_course",
    "count_course",
    "escape_course",
    "integrate_course",
    "issue_doubles",
    "jacobi_course",
    "redblack_course",
    "walk_course",
]

_FIELD = "float64[:,::1]"
SIGNATURES = {
    "jacobi_course": f"void({_FIELD}, {_FIELD})",
    "redblack_course": f"void({_FIELD}, float64, int64)",
    "escape_course": "void(int32[:,::1], float64, float64, float64, int64)",
    "add_reciprocals_course": "void(float64[::1], int64)",
    "add_cosines_course": "void(float64[::1], int64)",
    "add_midpoints_course": "void(float64[::1], int64)",
    "issue_doubles": "void(float64[::1], int64)",
}

ISSUED = 16
"""Operations of a round of `issue_doubles`."""


@cuda.jit
def jacobi_course(new: Any, u: Any) -> None:
    """Do one Jacobi sweep: float64[ny, nx], the interior of `new` is written."""
    i, j = cuda.grid(2)
    ny, nx = u.shape
    if 0 < i < nx - 1 and 0 < j < ny - 1:
        new[j, i] = 0.25 * (u[j - 1, i] + u[j + 1, i] + u[j, i - 1] + u[j, i + 1])


@cuda.jit
def redblack_course(u: Any, omega: float, colour: int) -> None:
    """Over-relax the points whose j + i + colour is even."""
    i, j = cuda.grid(2)
    ny, nx = u.shape
    if 0 < i < nx - 1 and 0 < j < ny - 1 and (i + j + colour) % 2 == 0:
        average = 0.25 * (u[j - 1, i] + u[j + 1, i] + u[j, i - 1] + u[j, i + 1])
        u[j, i] += omega * (average - u[j, i])


@cuda.jit
def escape_course(
    counts: Any, left: float, bottom: float, spacing: float, most: int
) -> None:
    """Count the iterations of a pixel: int32[ny, nx], written."""
    i, j = cuda.grid(2)
    ny, nx = counts.shape
    if i < nx and j < ny:
        c = complex(left + i * spacing, bottom + j * spacing)
        z, n = 0j, 0
        while n < most and z.real * z.real + z.imag * z.imag <= 4.0:
            z = z * z + c
            n += 1
        counts[j, i] = n


@cuda.jit
def count_course(inside: Any, states: Any, rounds: int) -> None:
    """Count samples in the quarter circle: int64[threads], written."""
    thread = cuda.grid(1)
    if thread < inside.size:
        hits = 0
        for _ in range(rounds):
            x = xoroshiro128p_uniform_float64(states, thread)
            y = xoroshiro128p_uniform_float64(states, thread)
            if x * x + y * y <= 1.0:
                hits += 1
        inside[thread] = hits


@cuda.jit
def integrate_course(sums: Any, states: Any, rounds: int) -> None:
    """Add sqrt(1 - x**2) at random x: float64[threads], written."""
    thread = cuda.grid(1)
    if thread < sums.size:
        total = 0.0
        for _ in range(rounds):
            x = xoroshiro128p_uniform_float64(states, thread)
            total += math.sqrt(1.0 - x * x)
        sums[thread] = total


@cuda.jit
def walk_course(squares: Any, states: Any, steps: int) -> None:
    """Let a walker go, and keep the square of where it ends: int64[walkers]."""
    thread = cuda.grid(1)
    if thread < squares.size:
        x = 0
        for _ in range(steps):
            if xoroshiro128p_uniform_float64(states, thread) < 0.5:
                x += 1
            else:
                x -= 1
        squares[thread] = x * x


@cuda.jit
def add_reciprocals_course(total: Any, terms: int) -> None:
    """Add 1/k for the k without the digit 9, looking at one digit after the other."""
    mine = 0.0
    for k in range(1 + cuda.grid(1), terms + 1, cuda.gridsize(1)):
        rest, left = k, True
        while rest > 0:
            if rest % 10 == 9:
                left = False
                break
            rest //= 10
        if left:
            mine += 1.0 / k
    cuda.atomic.add(total, 0, mine)


@cuda.jit
def add_cosines_course(total: Any, terms: int) -> None:
    """Add cos(k) / k."""
    mine = 0.0
    for k in range(1 + cuda.grid(1), terms + 1, cuda.gridsize(1)):
        mine += math.cos(k * 1.0) / k
    cuda.atomic.add(total, 0, mine)


@cuda.jit
def add_midpoints_course(total: Any, terms: int) -> None:
    """Add x**1.5 at the midpoints of intervals of [0, 1]."""
    mine = 0.0
    for k in range(cuda.grid(1), terms, cuda.gridsize(1)):
        mine += ((k + 0.5) / terms) ** 1.5
    cuda.atomic.add(total, 0, mine)


@kernel
def issue_doubles(out: Any, rounds: int) -> None:
    """Multiply and add, eight numbers of a thread in turn; they go to 1, exactly.

    Parameters
    ----------
    out : float64[threads]
        Written: the sum of the eight, which is 8 after 64 rounds.
    rounds : int
        Of `ISSUED` operations each, none of them fused.
    """
    a = 0.25 * (cuda.threadIdx.x % 7)
    # eight different ones: equal ones would be computed once
    b, c, d, e = a + 0.125, a + 1.0, a + 2.0, a + 3.0
    f, g, h = a + 4.0, a + 5.0, a + 6.0
    for _ in range(rounds):
        a, b, c, d = mul(a, 0.5), mul(b, 0.5), mul(c, 0.5), mul(d, 0.5)
        e, f, g, h = mul(e, 0.5), mul(f, 0.5), mul(g, 0.5), mul(h, 0.5)
        a, b, c, d = add(a, 0.5), add(b, 0.5), add(c, 0.5), add(d, 0.5)
        e, f, g, h = add(e, 0.5), add(f, 0.5), add(g, 0.5), add(h, 0.5)
    out[cuda.grid(1)] = add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h)))
