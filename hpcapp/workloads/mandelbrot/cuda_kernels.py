# SPDX-License-Identifier: MIT
"""Escape times on a GPU, equal to those of `kernels`. Imports Numba's CUDA target.

All pixels do their first iterations; those that go on are packed into a queue, from
which threads take orbits: an orbit that ends leaves no thread of a warp idle for long.
"""

from typing import Any

import numpy as np
from numba import cuda

from hpcapp.gpu.kernels import add, inner, kernel, mul, sub
from hpcapp.workloads.mandelbrot.lane_kernels import BULBS, FIRST, MARGIN

__all__ = ["FIRST", "SIGNATURES", "begin_cuda", "follow_cuda"]

SIGNATURES = {
    "begin_cuda": "void(int32[::1], int64[::1], float64[::1], int64, boolean, boolean, "
    "int64, int64, int64[::1], float64[:, ::1], int64[::1])",
    "follow_cuda": "void(int32[::1], int64[::1], float64[::1], int64, boolean, "
    "boolean, int64, int64, int64, int64[::1], float64[:, ::1], int64[::1], "
    "float64[:, ::1], int64[::1])",
}

# Iterations between two looks at an orbit, as on the CPU: cycles are found at the same
# ones.
_BOUT = 16

# Orbits that a thread takes at a time: one atomic operation for all of them.
_TAKEN = 4

# If |z|^2 was beyond 4 within the last bout, and |c| <= 2, then it is beyond this at
# its end: |z'| >= |z|^2 - |c| makes 2 - e to 2 - 4 e at worst, 2 - 1e-5 after 16
# iterations that begin with the rounding errors of a double.
_SUSPECT = 3.9


@inner
def _step(a: float, b: float, c: float, d: float) -> tuple[float, float]:
    """Return z^2 + c, in the order of the CPU: 7 operations that are not fused."""
    a2, b2 = mul(a, a), mul(b, b)
    return add(sub(a2, b2), c), add(mul(mul(2.0, a), b), d)


@inner
def _near(x: float, y: float, disc: tuple[float, float, float]) -> bool:
    """Tell whether a point lies in a disc: centre and squared radius."""
    p, q = sub(x, disc[0]), sub(y, disc[1])
    return add(mul(p, p), mul(q, q)) < disc[2]


@inner
def _in_disc(x: float, y: float) -> bool:
    """Tell whether a point surely never escapes, as `mark_inside` and `_in_bulb` do."""
    y2 = mul(y, y)
    u, v = sub(x, 0.25), add(x, 1.0)
    q = add(mul(u, u), y2)
    t = add(add(mul(2.0, q), u), 0.5 * MARGIN * MARGIN)
    inside = mul(t, abs(t)) <= mul(q, 1 - 4 * MARGIN)
    inside = inside or mul(16.0, add(mul(v, v), y2)) <= 1 - 2 * MARGIN
    inside = inside or _near(x, abs(y), BULBS[0])
    inside = inside or _near(x, abs(y), BULBS[1])
    return inside or _near(x, abs(y), BULBS[2])


@kernel
def begin_cuda(
    counts: Any,
    rows: Any,
    view: Any,
    nx: int,
    julia: bool,
    recognise: bool,
    first: int,
    never: int,
    places: Any,
    z: Any,
    held: Any,
) -> None:
    """Do the first iterations of all pixels of some rows, and queue what goes on.

    Parameters
    ----------
    counts : int32[r * nx]
        Written: smallest n >= 0 with |z_n|^2 > 4 if it is below `first`, else `never`.
    rows : int64[r]
        Global rows.
    view : float64[8]
        See `escape_cpu`.
    nx : int
        Pixels of a row.
    julia, recognise : bool
        Whether pixels are z_0; whether to leave out what surely never escapes.
    first : int
        Iterations to do.
    never : int
        Count of what does not escape.
    places : int64[r * nx]
        Written: flat indices of the orbits that go on, in any order.
    z : float64[2, r * nx]
        Written: their z.
    held : int64[1]
        How many, added to.

    Notes
    -----
    About 70 operations and 4 bytes a pixel, 24 more for one that goes on; one atomic
    operation on global memory for each block and round.
    """
    waiting = cuda.shared.array(1, np.int64)
    start = cuda.shared.array(1, np.int64)
    thread = cuda.threadIdx.x
    total = rows.size * nx
    base = cuda.blockIdx.x * cuda.blockDim.x
    while base < total:
        if thread == 0:
            waiting[0] = 0
        cuda.syncthreads()
        k = base + thread
        on, slot, a, b = False, 0, 0.0, 0.0
        if k < total:
            j, i = rows[k // nx], k % nx
            a = add(view[0], mul(sub(float(i), view[4]), view[2]))
            b = add(view[1], mul(sub(float(j), view[5]), view[3]))
            c, d = a, b
            n = 1
            if julia:
                c, d, n = view[6], view[7], 0
            on = not (recognise and _in_disc(a, b))
            count = never
            while on and n < first:
                if add(mul(a, a), mul(b, b)) > 4.0:
                    on, count = False, n
                else:
                    a, b = _step(a, b, c, d)
                    n += 1
            counts[k] = count
            if on:
                slot = cuda.atomic.add(waiting, 0, 1)
        cuda.syncthreads()
        if thread == 0:
            start[0] = cuda.atomic.add(held, 0, waiting[0])
        cuda.syncthreads()
        if on:
            places[start[0] + slot] = k
            z[0, start[0] + slot], z[1, start[0] + slot] = a, b
        base += cuda.gridsize(1)


@kernel
def follow_cuda(
    counts: Any,
    rows: Any,
    view: Any,
    nx: int,
    julia: bool,
    interior: bool,
    reached: int,
    limit: int,
    waiting: int,
    places: Any,
    z: Any,
    left: Any,
    left_z: Any,
    numbers: Any,
) -> None:
    """Follow orbits that go on beyond a limit to a higher one.

    Parameters
    ----------
    counts : int32[r * nx]
        Written where an orbit escapes.
    rows, view, nx, julia
        As in `begin_cuda`.
    interior : bool
        Whether to look for orbits that come back to a number, bit by bit.
    reached, limit : int
        Iterations done; iterations at most.
    waiting : int
        Orbits.
    places : int64[p]
        Flat indices of the orbits.
    z : float64[2, p]
        Their z.
    left, left_z : int64[p], float64[2, p]
        Written: those that go on beyond the limit, in any order.
    numbers : int64[2]
        How many are taken and how many go on; both 0 at first.

    Notes
    -----
    7 operations for an iteration, 5 more for 16 of them. Bouts of 16 iterations are
    done without a look; where |z|^2 might have been beyond 4 in one, it is done again,
    an iteration at a time. An atomic operation for 4 orbits, and for each that goes on.
    """
    k, end, done = 0, 0, True
    n, save, place = 0, 0, 0
    a, b, c, d, old_a, old_b = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    tame = False
    while True:
        if done:
            if k == end:
                k = cuda.atomic.add(numbers, 0, _TAKEN)
                end = k + _TAKEN
            if k >= waiting:
                break
            place, a, b = places[k], z[0, k], z[1, k]
            k += 1
            if julia:
                c, d = view[6], view[7]
            else:
                c = add(view[0], mul(sub(float(place % nx), view[4]), view[2]))
                d = add(view[1], mul(sub(float(rows[place // nx]), view[5]), view[3]))
            tame = add(mul(c, c), mul(d, d)) <= 4.0
            n, save, done = reached, reached + 2 * _BOUT, False
            # no orbit comes here
            old_a = np.inf
        goal = n + _BOUT
        if goal <= limit:
            from_a, from_b = a, b
            for _ in range(_BOUT):
                a, b = _step(a, b, c, d)
            n = goal
            if not (tame and add(mul(a, a), mul(b, b)) <= _SUSPECT):
                a, b, n = from_a, from_b, goal - _BOUT
                while n < goal and not add(mul(a, a), mul(b, b)) > 4.0:
                    a, b = _step(a, b, c, d)
                    n += 1
                if n < goal:
                    counts[place] = n
                    done = True
            if interior and not done:
                # remember z at intervals that double (Brent)
                done = a == old_a and b == old_b
                if n >= save:
                    old_a, old_b, save = a, b, 2 * n
        else:
            while n < limit and not add(mul(a, a), mul(b, b)) > 4.0:
                a, b = _step(a, b, c, d)
                n += 1
            if n < limit:
                counts[place] = n
            else:
                slot = cuda.atomic.add(numbers, 1, 1)
                left[slot], left_z[0, slot], left_z[1, slot] = place, a, b
            done = True
