# SPDX-License-Identifier: MIT
"""Sweeps of the five-point stencil. Imported in `steps` and `warm_up` only: Numba.

Each kernel works on a block with a margin, on regions given as rows
``[first row, last row, first column, last column)`` of local indices. Several
levels go through memory together as a wavefront: level l follows one row behind
level l - 1, so its rows are still in cache (Wellein et al., COMPSAC 2009,
section II). A point's bits depend on its neighbours' values alone: there is no
contraction and no reassociation, so regions, levels and threads change nothing.

Values are float64 or float32, all arrays and numbers of a sweep alike: then each of its
operations is rounded to that type. Residuals are computed in float64.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["relax_jacobi_cpu", "relax_redblack_cpu", "residual_cpu"]

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _wave_rows(regions: np.ndarray) -> tuple[int, int]:
    first = regions[0, 0]
    last = regions[0, 1]
    for level in range(1, regions.shape[0]):
        first = min(first, regions[level, 0] + level)
        last = max(last, regions[level, 1] + level)
    return first, last


@_jit
def _average_row(
    out: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    row: int,
    start: int,
    stop: int,
    stencil: np.ndarray,
) -> None:
    # slices tell the compiler that no index is negative: it then vectorises
    target = out[row, start:stop]
    north = u[row - 1, start:stop]
    south = u[row + 1, start:stop]
    west = u[row, start - 1 : stop - 1]
    east = u[row, start + 1 : stop + 1]
    cy, cx, shift = stencil[0], stencil[1], stencil[3]
    if f.size == 0:
        for i in range(target.size):
            target[i] = cy * (north[i] + south[i]) + cx * (west[i] + east[i]) - shift
    else:
        scale = stencil[2]
        source = f[row, start:stop]
        for i in range(target.size):
            average = cy * (north[i] + south[i]) + cx * (west[i] + east[i])
            target[i] = average - scale * source[i]


@_jit
def relax_jacobi_cpu(
    even: np.ndarray,
    odd: np.ndarray,
    f: np.ndarray,
    stencil: np.ndarray,
    regions: np.ndarray,
) -> None:
    """Sweep by Jacobi's method, one level after the other.

    Parameters
    ----------
    even, odd : float64[ny, nx] or float32[ny, nx]
        Level 0 reads `even` and writes `odd`, level 1 the other way round.
    f : float64[ny, nx] or float64[0, 0]
        Source; empty where it is constant.
    stencil : float64[4]
        Weight of the y neighbours, of the x neighbours, of the source, and
        weight times value of a constant source.
    regions : int64[levels, 4]
        What each level writes; at most one point larger on each side than the
        next one's.

    Notes
    -----
    24 bytes of memory traffic a point and pass (read, write, write-allocate),
    divided by the number of levels as long as 2 (levels + 2) rows stay in cache.
    6 flops a point, 7 with a source field. Threads may work on disjoint regions
    of one level.
    """
    first, last = _wave_rows(regions)
    for front in range(first, last):
        for level in range(regions.shape[0]):
            row = front - level
            if regions[level, 0] <= row < regions[level, 1]:
                start, stop = regions[level, 2], regions[level, 3]
                if level % 2 == 0:
                    _average_row(odd, even, f, row, start, stop, stencil)
                else:
                    _average_row(even, odd, f, row, start, stop, stencil)


@_jit
def relax_redblack_cpu(
    u: np.ndarray,
    f: np.ndarray,
    stencil: np.ndarray,
    omega: float,
    parity: int,
    regions: np.ndarray,
) -> None:
    """Over-relax red and black points in turn, in place.

    Parameters
    ----------
    u : float64[ny, nx]
        Modified.
    f, stencil : ndarray
        As in `relax_jacobi_cpu`.
    omega : float
        Relaxation factor, 0 < omega < 2.
    parity : int
        Level l writes the points whose local row + column + parity + l is even.
    regions : int64[levels, 4]
        As in `relax_jacobi_cpu`; a sweep is two levels.

    Notes
    -----
    A row is averaged whole into a scratch row, which vectorises, and half of it
    is used: faster than a loop of stride two. 9 flops a point of either colour, 10
    with a source field. Points of one colour do not
    depend on each other, so threads may work on disjoint regions of one level.
    """
    scratch = np.empty((1, u.shape[1]), u.dtype)
    first, last = _wave_rows(regions)
    for front in range(first, last):
        for level in range(regions.shape[0]):
            row = front - level
            if regions[level, 0] <= row < regions[level, 1]:
                start, stop = regions[level, 2], regions[level, 3]
                _over_relax_row(
                    u, scratch, f, stencil, omega, parity + level, row, start, stop
                )


@_jit
def _over_relax_row(
    u: np.ndarray,
    scratch: np.ndarray,
    f: np.ndarray,
    stencil: np.ndarray,
    omega: float,
    parity: int,
    row: int,
    start: int,
    stop: int,
) -> None:
    target = u[row, start:stop]
    north = u[row - 1, start:stop]
    south = u[row + 1, start:stop]
    west = u[row, start - 1 : stop - 1]
    east = u[row, start + 1 : stop + 1]
    new = scratch[0, start:stop]
    cy, cx, shift = stencil[0], stencil[1], stencil[3]
    if f.size == 0:
        for i in range(target.size):
            average = cy * (north[i] + south[i]) + cx * (west[i] + east[i]) - shift
            new[i] = target[i] + omega * (average - target[i])
    else:
        scale = stencil[2]
        source = f[row, start:stop]
        for i in range(target.size):
            average = cy * (north[i] + south[i]) + cx * (west[i] + east[i])
            average = average - scale * source[i]
            new[i] = target[i] + omega * (average - target[i])
    # a select vectorises, a store of stride two does not
    other = (row + start + parity) % 2
    for i in range(target.size):
        target[i] = new[i] if ((i + other) & 1) == 0 else target[i]


@_jit
def residual_cpu(
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    ry: float,
    rx: float,
    region: np.ndarray,
) -> tuple[Any, Any]:
    """Return the largest residual and the largest value of a region.

    Parameters
    ----------
    u, f : float64[ny, nx]
        Solution and source (float64[0, 0] where it is constant).
    constant : float
        The constant source.
    ry, rx : float
        1 / dy**2 and 1 / dx**2.
    region : int64[4]
        Rows and columns.

    Returns
    -------
    residual, value : int64
        Bit patterns of max |(N + S - 2u) ry + (E + W - 2u) rx - f| and max |u|.
        As integers they order like the numbers, with NaN above all, and the
        compiler may vectorise the maximum.
    """
    largest = np.int64(0)
    value = np.int64(0)
    for row in range(region[0], region[1]):
        start, stop = region[2], region[3]
        north = u[row - 1, start:stop]
        south = u[row + 1, start:stop]
        west = u[row, start - 1 : stop - 1]
        east = u[row, start + 1 : stop + 1]
        here = u[row, start:stop]
        if f.size == 0:
            for i in range(here.size):
                twice = 2.0 * here[i]
                across = (np.float64(north[i]) + south[i] - twice) * ry
                beside = (np.float64(east[i]) + west[i] - twice) * rx
                left = across + beside - constant
                bits = np.float64(abs(left)).view(np.int64)
                largest = max(largest, bits)
                value = max(value, np.float64(abs(here[i])).view(np.int64))
        else:
            source = f[row, start:stop]
            for i in range(here.size):
                twice = 2.0 * here[i]
                across = (np.float64(north[i]) + south[i] - twice) * ry
                beside = (np.float64(east[i]) + west[i] - twice) * rx
                left = across + beside - source[i]
                bits = np.float64(abs(left)).view(np.int64)
                largest = max(largest, bits)
                value = max(value, np.float64(abs(here[i])).view(np.int64))
    return largest, value
