# SPDX-License-Identifier: MIT
"""Orbits in lockstep: 32 lanes that are refilled as orbits end. Imports Numba.

A lane that has ended takes the next orbit of a queue, so that none waits for its
neighbours. Everything here is compiled into the kernels of `kernels`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "BULBS",
    "BURST",
    "FIRST",
    "LANES",
    "MARGIN",
    "Floats",
    "Integers",
    "all_set",
    "any_going",
    "begin",
    "burst",
    "clear_marks",
    "columns",
    "idle_lanes",
    "locate",
    "mark_inside",
    "sort_out",
    "work_off",
    "write_counts",
]

# Orbits side by side: the compiler makes vectors of them.
LANES = 32
# Iterations without a branch; those of new pixels at most before they are sorted out;
# those of a lane between two looks.
BURST = 4
FIRST = 2 * BURST
_BOUT = 4 * BURST

# The set's two largest discs end where |multiplier| = 1. Within this distance of 1 the
# rounded orbit is followed instead: there it might escape.
MARGIN = 1e-6

# Discs inside the components of period 3 and 4: re and |im| of the centre, squared
# radius. The multiplier of their edge is below 0.998 (a test follows its orbits), hence
# that of all their points: it is an analytic function of c.
BULBS = (
    (-0.12493595, 0.74392446, 0.0941**2),
    (-1.30907466, 0.0, 0.0587**2),
    (0.28100847, 0.53105815, 0.0437**2),
)

_IDLE = -(1 << 60)
_NEVER = 1 << 60

# Place of the only bit of a 64-bit word, from the product with a de Bruijn sequence.
_DE_BRUIJN = 0x03F79D71B4CB0A89
_PLACES = np.argsort([((_DE_BRUIJN << k) & (2**64 - 1)) >> 58 for k in range(64)])
_FACTOR = np.uint64(_DE_BRUIJN)
_SHIFT = np.uint64(58)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)

_inner = njit(error_model="numpy", nogil=True, inline="always")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Where the values of all lanes begin in one array: the compiler then knows that they do
# not overlap. z, c, largest |z|^2 so far, remembered z; iterations done, when to
# remember the next z, pixel, whether it is known to be inside.
_ZR, _ZI, _CR, _CI, _MOST, _OLD_R, _OLD_I = range(0, 7 * LANES, LANES)
_N, _SAVE, _PIXEL, _INSIDE = range(0, 4 * LANES, LANES)


@_inner
def idle_lanes() -> tuple[Floats, Integers]:
    """Make lanes whose orbit stays at 0."""
    lanes = np.zeros(7 * LANES)
    marks = np.zeros(4 * LANES, np.int64)
    for k in range(LANES):
        lanes[_OLD_R + k] = np.nan
        marks[_N + k], marks[_SAVE + k], marks[_PIXEL + k] = _IDLE, _NEVER, -1
    return lanes, marks


@_inner
def columns(nx: int, view: Floats) -> Floats:
    """Return the real parts of a row's pixels, and of some beyond its end."""
    x = np.empty(nx + LANES)
    middle, spacing, half = view[0], view[2], view[4]
    for i in range(x.size):
        x[i] = middle + (i - half) * spacing
    return x


@_inner
def locate(
    lanes: Floats, marks: Integers, x: Floats, y: float, view: Floats, julia: bool
) -> None:
    """Set lanes to pixels: to z_1 = c, or of a Julia set to z_0."""
    for k in range(LANES):
        lanes[_ZR + k], lanes[_ZI + k] = x[k], y
        lanes[_CR + k] = view[6] if julia else x[k]
        lanes[_CI + k] = view[7] if julia else y
        lanes[_MOST + k] = 0.0
        marks[_N + k], marks[_INSIDE + k] = (0 if julia else 1), 0


@_inner
def begin(
    lanes: Floats, marks: Integers, x: Floats, y: float, view: Floats, julia: bool
) -> None:
    """Do as `locate` and then `burst`, without the way through memory."""
    re, im, began = view[6], view[7], 0 if julia else 1
    for k in range(LANES):
        c, d = (re, im) if julia else (x[k], y)
        a, b, largest, count = _iterate(x[k], y, c, d, 0.0)
        lanes[_ZR + k], lanes[_ZI + k], lanes[_MOST + k] = a, b, largest
        lanes[_CR + k], lanes[_CI + k] = c, d
        marks[_N + k], marks[_INSIDE + k] = began + count, 0


@_inner
def mark_inside(marks: Integers, x: Floats, y: float) -> None:
    """Tell which pixels lie inside one of the set's two largest discs.

    Inside the cardioid, c = (1 - v^2) / 4 with |1 - v| < 1: with u = c - 1/4 and
    q = |u|^2 that is sqrt(q) > 2 q + Re u. Inside the disc of period 2,
    |4 (c + 1)| < 1. A margin is left out of both.
    """
    y2 = y * y
    # the discs reach from -1.25 to 0.375 and up to 0.6496
    if y2 > 0.43 or x[LANES - 1] < -1.26 or x[0] > 0.38:
        return
    for k in range(LANES):
        u, v = x[k] - 0.25, x[k] + 1.0
        q = u * u + y2
        t = 2 * q + u + 0.5 * MARGIN * MARGIN
        in_cardioid = t * abs(t) <= q * (1 - 4 * MARGIN)
        in_disc = 16 * (v * v + y2) <= 1 - 2 * MARGIN
        marks[_INSIDE + k] = np.int64(in_cardioid) | np.int64(in_disc)


@_inner
def clear_marks(marks: Integers) -> None:
    """Let no pixel be marked as inside."""
    for k in range(LANES):
        marks[_INSIDE + k] = 0


@_inner
def _in_bulb(re: float, im: float) -> bool:
    """Tell whether a point lies in one of the smaller discs."""
    for x, y, square in BULBS:
        if (re - x) * (re - x) + (im - y) * (im - y) < square:
            return True
    return False


@_inner
def all_set(marks: Integers) -> bool:
    """Tell whether all lanes are marked."""
    every = np.int64(1)
    for k in range(LANES):
        every &= marks[_INSIDE + k]
    return bool(every == 1)


@_inner
def write_counts(flat: NDArray[np.int32], place: int, width: int, n: Integers) -> None:
    """Write the iterations done."""
    for k in range(width):
        flat[place + k] = n[_N + k]


@_inner
def any_going(marks: Integers, done: int) -> bool:
    """Tell whether any orbit has not escaped in the iterations done."""
    going = np.int64(0)
    for k in range(LANES):
        going |= np.int64(marks[_N + k] == done)
    return bool(going == 1)


@_inner
def _iterate(
    a: float, b: float, c: float, d: float, largest: float
) -> tuple[float, float, float, np.int64]:
    """Do some iterations of one orbit; count those before an escape."""
    count = np.int64(0)
    for _ in range(BURST):
        a2, b2 = a * a, b * b
        m = a2 + b2
        # the maximum so far stays above 4, also where m becomes NaN
        largest = m if m > largest else largest
        count += np.int64(largest <= 4.0)
        b = 2 * a * b + d
        a = a2 - b2 + c
    return a, b, largest, count


@_inner
def burst(lanes: Floats, marks: Integers) -> None:
    """Do the next iterations of all lanes."""
    for k in range(LANES):
        a, b, largest, count = _iterate(
            lanes[_ZR + k],
            lanes[_ZI + k],
            lanes[_CR + k],
            lanes[_CI + k],
            lanes[_MOST + k],
        )
        lanes[_ZR + k], lanes[_ZI + k], lanes[_MOST + k] = a, b, largest
        marks[_N + k] += count


@_inner
def sort_out(
    flat: NDArray[np.int32],
    place: int,
    width: int,
    lanes: Floats,
    marks: Integers,
    recognise: bool,
    done: int,
    never: int,
    queue: Floats,
    waiting: int,
) -> int:
    """Let the orbits that have not escaped wait, unless they are known to stay."""
    for k in range(width):
        if marks[_N + k] < done:
            continue
        flat[place + k] = never
        if recognise and (
            marks[_INSIDE + k] or _in_bulb(lanes[_CR + k], abs(lanes[_CI + k]))
        ):
            continue
        queue[waiting, 0], queue[waiting, 1] = lanes[_ZR + k], lanes[_ZI + k]
        queue[waiting, 2], queue[waiting, 3] = lanes[_CR + k], lanes[_CI + k]
        queue[waiting, 4], queue[waiting, 5] = place + k, done
        waiting += 1
    return waiting


@_inner
def work_off(
    flat: NDArray[np.int32],
    lanes: Floats,
    marks: Integers,
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
    taken = 0
    ended = _ZERO
    for k in range(LANES):
        ended |= np.uint64(marks[_PIXEL + k] < 0) << np.uint64(k)
    while True:
        while ended != _ZERO:
            k = _PLACES[((ended & (~ended + _ONE)) * _FACTOR) >> _SHIFT]
            ended &= ended - _ONE
            if marks[_PIXEL + k] >= 0:
                if lanes[_MOST + k] > 4.0:
                    flat[marks[_PIXEL + k]] = marks[_N + k]
                elif lanes[_MOST + k] >= 0.0:  # no cycle
                    held = _finish(
                        flat,
                        marks[_PIXEL + k],
                        lanes[_ZR + k],
                        lanes[_ZI + k],
                        lanes[_CR + k],
                        lanes[_CI + k],
                        marks[_N + k],
                        limit,
                        places,
                        z,
                        held,
                    )
                marks[_PIXEL + k] = -1
                live -= 1
            # orbits near the limit are not worth a lane
            while taken < waiting and queue[taken, 5] + _BOUT > limit:
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
                lanes[_ZR + k], lanes[_ZI + k] = queue[taken, 0], queue[taken, 1]
                lanes[_CR + k], lanes[_CI + k] = queue[taken, 2], queue[taken, 3]
                lanes[_MOST + k] = 0.0
                marks[_PIXEL + k], marks[_N + k] = (
                    int(queue[taken, 4]),
                    int(queue[taken, 5]),
                )
                lanes[_OLD_R + k], marks[_SAVE + k] = np.nan, marks[_N + k] + 2 * _BOUT
                taken += 1
                live += 1
            else:
                (
                    lanes[_ZR + k],
                    lanes[_ZI + k],
                    lanes[_CR + k],
                    lanes[_CI + k],
                    lanes[_MOST + k],
                ) = 0.0, 0.0, 0.0, 0.0, 0.0
                lanes[_OLD_R + k], marks[_SAVE + k], marks[_N + k] = (
                    np.nan,
                    _NEVER,
                    _IDLE,
                )
        if live == 0 or (taken == waiting and not to_the_end):
            return live, held
        for _ in range(_BOUT // BURST):
            burst(lanes, marks)
        ended = _ended(lanes, marks, interior, limit)


@_inner
def _ended(lanes: Floats, marks: Integers, interior: bool, limit: int) -> np.uint64:
    """Return the lanes that need a look, a bit each.

    An orbit that meets an earlier z again, bit by bit, is a cycle for ever (Brent,
    "An improved Monte Carlo factorization algorithm", BIT 20 (1980) 176-184:
    remember z at intervals that double).
    """
    ended = _ZERO
    if not interior:
        for k in range(LANES):
            look = (lanes[_MOST + k] > 4.0) | (marks[_N + k] + _BOUT > limit)
            ended |= np.uint64(look) << np.uint64(k)
        return ended
    for k in range(LANES):
        cycle = (
            (lanes[_ZR + k] == lanes[_OLD_R + k])
            & (lanes[_ZI + k] == lanes[_OLD_I + k])
            & (lanes[_MOST + k] <= 4.0)
        )
        lanes[_MOST + k] = -1.0 if cycle else lanes[_MOST + k]
        look = (lanes[_MOST + k] > 4.0) | (marks[_N + k] + _BOUT > limit) | cycle
        ended |= np.uint64(look) << np.uint64(k)
    for k in range(LANES):
        due = marks[_N + k] >= marks[_SAVE + k]
        lanes[_OLD_R + k] = lanes[_ZR + k] if due else lanes[_OLD_R + k]
        lanes[_OLD_I + k] = lanes[_ZI + k] if due else lanes[_OLD_I + k]
        marks[_SAVE + k] = 2 * marks[_N + k] if due else marks[_SAVE + k]
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
