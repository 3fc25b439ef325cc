# SPDX-License-Identifier: MIT
"""Rows of a level of multigrid, and maxima. Imported in `steps` and `warm_up` only.

Each kernel works on a block with a margin, in local indices. Rows are split: first
their even columns, then their odd ones, so that the points of a colour are neighbours
in memory and loops over them vectorise; column c stands at [row, c % 2, c // 2]. A
level is a tensor product of two axes that are uniform but for the last cell; what
differs there stands in tables. A point's bits depend on the values around it and on
global indices alone.

Arguments that the kernels share:

u, f : float64[ny, 2, nx / 2]
    Values and right-hand side of u_yy + u_xx = f; `f` is float64[0, 0, 0] where it
    is the same everywhere.
constant : float
    Its value then.
place : tuple
    float64[ny, 2] and float64[nx, 2]: weights of the lower and upper neighbour in
    the second differences along y and x; float: weight of both between the columns
    of the next two int, which are regular; int: what is added to a row to tell
    which columns are red, the even ones if the sum is even.
regions : int64[n, 4]
    Rows and columns of the half-sweeps, red first; each at most one point larger
    on each side than the next one's.
"""

from typing import Any

import numba
import numpy as np

__all__ = [
    "join_rows_cpu",
    "largest_cpu",
    "norm_cpu",
    "relax_row_cpu",
    "residual_row_cpu",
    "split_rows_cpu",
]

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")

Place = Any


@_jit
def relax_row_cpu(
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    place: Place,
    colour: int,
    row: int,
    start: int,
    stop: int,
) -> None:
    """Do a Gauss-Seidel half-sweep over one row.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified.
    f, constant, place : object
        See the top of the module.
    colour : int
        0 for red points, 1 for black ones.
    row, start, stop : int
        The row and its columns, all of them unknowns.

    Notes
    -----
    7 flops for each of the points of the colour.
    """
    rows, columns, across, first, last, shift = place
    down, up = rows[row, 0], rows[row, 1]
    p = (row + shift + colour) & 1
    a, b = (max(start, first) - p + 1) >> 1, (min(stop, last) - p + 1) >> 1
    if a < b:
        inverse = 1.0 / (down + up + 2.0 * across)
        cs, cn, cx = down * inverse, up * inverse, across * inverse
        # slices tell the compiler that no index is negative: it then vectorises
        here = u[row, p, a:b]
        south = u[row - 1, p, a:b]
        north = u[row + 1, p, a:b]
        west = u[row, 1 - p, a - 1 + p : b - 1 + p]
        east = u[row, 1 - p, a + p : b + p]
        if f.size == 0:
            known = inverse * constant
            for i in range(here.size):
                average = cs * south[i] + cn * north[i] + cx * (west[i] + east[i])
                here[i] = average - known
        else:
            source = f[row, p, a:b]
            for i in range(here.size):
                average = cs * south[i] + cn * north[i] + cx * (west[i] + east[i])
                here[i] = average - inverse * source[i]
    for edge in range(2):
        lo, hi = (start, min(stop, first)) if edge == 0 else (max(start, last), stop)
        for i in range(lo + ((lo + p) & 1), hi, 2):
            k = i >> 1
            left, right = columns[i, 0], columns[i, 1]
            value = down * u[row - 1, p, k] + up * u[row + 1, p, k]
            value += left * u[row, 1 - p, k - 1 + p] + right * u[row, 1 - p, k + p]
            value -= constant if f.size == 0 else f[row, p, k]
            u[row, p, k] = value / (down + up + left + right)


@_jit
def residual_row_cpu(
    out: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    place: Place,
    p: int,
    row: int,
    start: int,
    stop: int,
) -> None:
    """Write the residuals of one row's columns of one parity.

    Parameters
    ----------
    out : float64[1, nx / 2]
        Modified: column c at [0, c // 2].
    u, f, constant, place : object
        See the top of the module.
    p : int
        0 for even columns, 1 for odd ones.
    row, start, stop : int
        The row and its columns, all of them unknowns.
    """
    # differences first: they are exact for neighbours that are nearly equal
    rows, columns, across, first, last, _ = place
    down, up = rows[row, 0], rows[row, 1]
    a, b = (max(start, first) - p + 1) >> 1, (min(stop, last) - p + 1) >> 1
    if a < b:
        here = u[row, p, a:b]
        south = u[row - 1, p, a:b]
        north = u[row + 1, p, a:b]
        west = u[row, 1 - p, a - 1 + p : b - 1 + p]
        east = u[row, 1 - p, a + p : b + p]
        rest = out[0, a:b]
        if f.size == 0:
            for i in range(rest.size):
                x = here[i]
                value = down * (south[i] - x) + up * (north[i] - x)
                value += across * ((west[i] - x) + (east[i] - x))
                rest[i] = constant - value
        else:
            source = f[row, p, a:b]
            for i in range(rest.size):
                x = here[i]
                value = down * (south[i] - x) + up * (north[i] - x)
                value += across * ((west[i] - x) + (east[i] - x))
                rest[i] = source[i] - value
    for edge in range(2):
        lo, hi = (start, min(stop, first)) if edge == 0 else (max(start, last), stop)
        for i in range(lo + ((lo + p) & 1), hi, 2):
            k = i >> 1
            x = u[row, p, k]
            value = down * (u[row - 1, p, k] - x) + up * (u[row + 1, p, k] - x)
            value += columns[i, 0] * (u[row, 1 - p, k - 1 + p] - x)
            value += columns[i, 1] * (u[row, 1 - p, k + p] - x)
            out[0, k] = (constant if f.size == 0 else f[row, p, k]) - value


@_jit
def split_rows_cpu(u: np.ndarray, first: int, last: int) -> None:
    """Bring rows from natural order into that of the other kernels, in place.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified; before, a row holds its columns one after the other.
    first, last : int
        Rows; threads may work on disjoint ones.
    """
    n = u.shape[2]
    pairs = np.empty((n, 2))
    for row in range(first, last):
        pairs[:] = u[row].reshape((n, 2))
        even, odd = u[row, 0, 0:n], u[row, 1, 0:n]
        for i in range(n):
            even[i] = pairs[i, 0]
            odd[i] = pairs[i, 1]


@_jit
def join_rows_cpu(u: np.ndarray, first: int, last: int) -> None:
    """Undo `split_rows_cpu`.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified; after, a row holds its columns one after the other.
    first, last : int
        Rows; threads may work on disjoint ones.
    """
    n = u.shape[2]
    halves = np.empty((2, n))
    for row in range(first, last):
        halves[:] = u[row]
        pairs = u[row].reshape((n, 2))
        even, odd = halves[0, 0:n], halves[1, 0:n]
        for i in range(n):
            pairs[i, 0] = even[i]
            pairs[i, 1] = odd[i]


@_jit
def _largest_row(row: np.ndarray, start: int, stop: int) -> Any:
    """Return the largest bit pattern of absolute values, which order like numbers."""
    here = row[start:stop]
    value = np.int64(0)
    for i in range(here.size):
        value = max(value, np.float64(abs(here[i])).view(np.int64))
    return value


@_jit
def norm_cpu(
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    place: Place,
    region: tuple[int, ...],
    joined: tuple[int, int],
) -> tuple[Any, Any]:
    """Return the largest residual and the largest value of a region.

    Parameters
    ----------
    u, f, constant, place : object
        See the top of the module.
    region : tuple of int
        Rows and columns, all of them unknowns.
    joined : (int, int)
        Rows that are brought into natural order behind the pass: all that have
        columns of the region, or none. Not in several threads.

    Returns
    -------
    residual, value : int64
        Bit patterns, which order like the numbers, with NaN above all.
    """
    rest = np.empty((1, u.shape[2]))
    largest, value = np.int64(0), np.int64(0)
    ja, jb, ia, ib = region
    done = joined[0]
    for row in range(ja, jb):
        # the row two below is not needed any more
        if done < min(row - 1, joined[1]):
            join_rows_cpu(u, done, row - 1)
            done = row - 1
        for p in range(2):
            a, b = (ia - p + 1) >> 1, (ib - p + 1) >> 1
            residual_row_cpu(rest, u, f, constant, place, p, row, ia, ib)
            largest = max(largest, _largest_row(rest[0], a, b))
            value = max(value, _largest_row(u[row, p], a, b))
    if done < joined[1]:
        join_rows_cpu(u, done, joined[1])
    return largest, value


@_jit
def largest_cpu(u: np.ndarray, region: tuple[int, ...]) -> Any:
    """Return the bit pattern of the largest absolute value of a region.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Values.
    region : tuple of int
        Rows and columns.

    Returns
    -------
    int64
        Of the number; that of NaN is above all.
    """
    value = np.int64(0)
    ja, jb, ia, ib = region
    for row in range(ja, jb):
        for p in range(2):
            a, b = (ia - p + 1) >> 1, (ib - p + 1) >> 1
            value = max(value, _largest_row(u[row, p], a, b))
    return value
