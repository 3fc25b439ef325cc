# SPDX-License-Identifier: MIT
"""Orbits in lockstep: 32 lanes that are refilled as orbits end. Imports Numba.

A lane that has ended takes the next orbit of a queue, so that none waits for its
neighbours. Everything here is compiled into the kernels of `kernels`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "FIRST",
    "LANES",
    "Floats",
    "Integers",
    "all_set",
    "burst_first",
    "idle_lanes",
    "locate",
    "sort_out",
    "work_off",
]

# Orbits side by side: the compiler makes vectors of them.
LANES = 32
# Iterations between looks at the lanes: of new pixels, and of orbits that go on.
FIRST = 8
_BURST = 16

# The set's two largest discs end where |multiplier| = 1. Within this distance of 1 the
# rounded orbit is followed instead: there it might escape.
_MARGIN = 1e-6

_IDLE = -(1 << 60)
_NEVER = 1 << 60

# Place of the only bit of a 64-bit word, from the product with a de Bruijn sequence.
_DE_BRUIJN = 0x03F79D71B4CB0A89
_PLACES = np.argsort([((_DE_BRUIJN << k) & (2**64 - 1)) >> 58 for k in range(64)])
_FACTOR = np.uint64(_DE_BRUIJN)
_SHIFT = np.uint64(58)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)

_inner = njit(error_model="numpy", nogil=True)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# zr, zi, cr, ci, largest |z|^2 of the last burst, remembered zr and zi
Lanes = tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]
# iterations done, when to remember the next z, pixel
Marks = tuple[Integers, Integers, Integers]


@_inner
def idle_lanes() -> tuple[Lanes, Marks]:
    """Make lanes whose orbit stays at 0."""
    floats = np.zeros((7, LANES))
    floats[5] = np.nan
    marks = np.empty((3, LANES), np.int64)
    marks[0], marks[1], marks[2] = _IDLE, _NEVER, -1
    lanes = (
        floats[0],
        floats[1],
        floats[2],
        floats[3],
        floats[4],
        floats[5],
        floats[6],
    )
    return lanes, (marks[0], marks[1], marks[2])


@_inner
def locate(
    lanes: Lanes,
    n: Integers,
    inside: Integers,
    first: int,
    y: float,
    view: Floats,
    julia: bool,
) -> None:
    """Set lanes to pixels of a row, and tell which lie inside one of the two discs.

    Inside the cardioid, c = (1 - v^2) / 4 with |1 - v| < 1: with u = c - 1/4 and
    q = |u|^2 that is sqrt(q) > 2 q + Re u. Inside the disc of period 2,
    |4 (c + 1)| < 1. A margin is left out of both.
    """
    zr, zi, cr, ci = lanes[0], lanes[1], lanes[2], lanes[3]
    for k in range(LANES):
        x = view[0] + (first + k - view[4]) * view[2]
        # z_1 = c; of a Julia set the pixel is z_0
        zr[k], zi[k] = x, y
        cr[k] = view[6] if julia else x
        ci[k] = view[7] if julia else y
        n[k] = 0 if julia else 1
        u, y2 = x - 0.25, y * y
        q = u * u + y2
        t = 2 * q + u + 0.5 * _MARGIN * _MARGIN
        v = x + 1.0
        in_cardioid = t * abs(t) <= q * (1 - 4 * _MARGIN)
        in_disc = 16 * (v * v + y2) <= 1 - 2 * _MARGIN
        inside[k] = np.int64(in_cardioid) | np.int64(in_disc)


@_inner
def all_set(inside: Integers) -> bool:
    """Tell whether all lanes are marked."""
    every = np.int64(1)
    for k in range(LANES):
        every &= inside[k]
    return bool(every == 1)


def _burst_of(iterations: int, name: str) -> Any:
    """Make the loop that does some iterations and counts those before an escape."""

    def burst(lanes: Lanes, n: Integers) -> None:
        zr, zi, cr, ci, most = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
        for k in range(LANES):
            a, b, c, d = zr[k], zi[k], cr[k], ci[k]
            largest, count = 0.0, np.int64(0)
            for _ in range(iterations):
                a2, b2 = a * a, b * b
                m = a2 + b2
                # the maximum so far stays above 4, also where m becomes NaN
                largest = m if m > largest else largest
                count += np.int64(largest <= 4.0)
                b = 2 * a * b + d
                a = a2 - b2 + c
            zr[k], zi[k], most[k] = a, b, largest
            n[k] += count

    # compiled functions need names of their own (docs/decisions/004-kernel-cache.md)
    burst.__qualname__ = name
    return _inner(burst)


burst_first = _burst_of(FIRST, "burst_first")
_burst = _burst_of(_BURST, "_burst")


@_inner
def sort_out(
    flat: NDArray[np.int32],
    place: int,
    width: int,
    lanes: Lanes,
    n: Integers,
    inside: Integers,
    recognise: bool,
    done: int,
    never: int,
    queue: Floats,
    waiting: int,
) -> int:
    """Write what has ended in the first burst; let the other orbits wait."""
    zr, zi, cr, ci = lanes[0], lanes[1], lanes[2], lanes[3]
    for k in range(width):
        flat[place + k] = n[k]
    going = np.int64(0)
    for k in range(LANES):
        going |= np.int64(n[k] == done)
    if going == 0:
        return waiting
    for k in range(width):
        if n[k] < done:
            continue
        flat[place + k] = never
        if recognise and inside[k]:
            continue
        queue[waiting, 0], queue[waiting, 1] = zr[k], zi[k]
        queue[waiting, 2], queue[waiting, 3] = cr[k], ci[k]
        queue[waiting, 4], queue[waiting, 5] = place + k, done
        waiting += 1
    return waiting


@_inner
def work_off(
    flat: NDArray[np.int32],
    lanes: Lanes,
    marks: Marks,
    live: int,
    queue: Floats,
    waiting: int,
    to_the_end: bool,
    interior: bool,
    limit: int,
    places: Integers,
    z: Floats,
    held: int,
) -> tuple[int, int]:
    """Follow orbits until none waits, or none is left; count lanes and who go on."""
    zr, zi, cr, ci, most, old_r, _ = lanes
    n, save_at, pixel = marks
    taken = 0
    ended = _ZERO
    for k in range(LANES):
        ended |= np.uint64(pixel[k] < 0) << np.uint64(k)
    while True:
        while ended != _ZERO:
            k = _PLACES[((ended & (~ended + _ONE)) * _FACTOR) >> _SHIFT]
            ended &= ended - _ONE
            if pixel[k] >= 0:
                if most[k] > 4.0:
                    flat[pixel[k]] = n[k]
                elif most[k] >= 0.0:  # no cycle
                    held = _finish(
                        flat,
                        pixel[k],
                        zr[k],
                        zi[k],
                        cr[k],
                        ci[k],
                        n[k],
                        limit,
                        places,
                        z,
                        held,
                    )
                pixel[k] = -1
                live -= 1
            # orbits near the limit are not worth a lane
            while taken < waiting and queue[taken, 5] + _BURST > limit:
                held = _finish(
                    flat,
                    int(queue[taken, 4]),
                    queue[taken, 0],
                    queue[taken, 1],
                    queue[taken, 2],
                    queue[taken, 3],
                    int(queue[taken, 5]),
                    limit,
                    places,
                    z,
                    held,
                )
                taken += 1
            if taken < waiting:
                zr[k], zi[k] = queue[taken, 0], queue[taken, 1]
                cr[k], ci[k] = queue[taken, 2], queue[taken, 3]
                pixel[k], n[k] = int(queue[taken, 4]), int(queue[taken, 5])
                old_r[k], save_at[k] = np.nan, n[k] + 2 * _BURST
                taken += 1
                live += 1
            else:
                zr[k], zi[k], cr[k], ci[k], most[k] = 0.0, 0.0, 0.0, 0.0, 0.0
                old_r[k], save_at[k], n[k] = np.nan, _NEVER, _IDLE
        if live == 0 or (taken == waiting and not to_the_end):
            return live, held
        _burst(lanes, n)
        ended = _ended(lanes, marks, interior, limit)


@_inner
def _ended(lanes: Lanes, marks: Marks, interior: bool, limit: int) -> np.uint64:
    """Return the lanes that need a look, a bit each.

    An orbit that meets an earlier z again, bit by bit, is a cycle for ever (Brent,
    "An improved Monte Carlo factorization algorithm", BIT 20 (1980) 176-184:
    remember z at intervals that double).
    """
    zr, zi, most, old_r, old_i = lanes[0], lanes[1], lanes[4], lanes[5], lanes[6]
    n, save_at, _ = marks
    ended = _ZERO
    if not interior:
        for k in range(LANES):
            look = (most[k] > 4.0) | (n[k] + _BURST > limit)
            ended |= np.uint64(look) << np.uint64(k)
        return ended
    for k in range(LANES):
        cycle = (zr[k] == old_r[k]) & (zi[k] == old_i[k]) & (most[k] <= 4.0)
        most[k] = -1.0 if cycle else most[k]
        look = (most[k] > 4.0) | (n[k] + _BURST > limit) | cycle
        ended |= np.uint64(look) << np.uint64(k)
    for k in range(LANES):
        due = n[k] >= save_at[k]
        old_r[k] = zr[k] if due else old_r[k]
        old_i[k] = zi[k] if due else old_i[k]
        save_at[k] = 2 * n[k] if due else save_at[k]
    return ended


@_inner
def _finish(
    flat: NDArray[np.int32],
    place: int,
    zr: float,
    zi: float,
    cr: float,
    ci: float,
    n: int,
    limit: int,
    places: Integers,
    z: Floats,
    held: int,
) -> int:
    """Follow one orbit to its escape or to the limit; count those that go on."""
    while n < limit:
        zr2, zi2 = zr * zr, zi * zi
        if zr2 + zi2 > 4.0:
            flat[place] = n
            return held
        zi = 2 * zr * zi + ci
        zr = zr2 - zi2 + cr
        n += 1
    places[held], z[held, 0], z[held, 1] = place, zr, zi
    return held + 1
