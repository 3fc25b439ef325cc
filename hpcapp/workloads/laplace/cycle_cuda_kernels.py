# SPDX-License-Identifier: MIT
"""Multigrid cycles on a GPU. Imported in `steps` and `warm_up` only.

The twins of `row_kernels` and `multigrid_kernels`, with the same formulas and split
rows: column c of a row stands at [row, c % 2, c // 2], so that the points of a colour
are neighbours in memory, and threads of a warp read and write whole cache lines. Each
half-sweep is a kernel of its own; the residual and its restriction are one. Products
and sums are rounded one by one.

Arguments that the kernels share:

u, f : float64[ny, 2, nx / 2]
    Values and right-hand side; `f` is float64[0, 0, 0] where it is the same everywhere.
constant : float
    Its value then.
rows : float64[ny, 6]
    Of each row the weights of the lower and the upper neighbour; what they are divided
    by the sum of all weights where columns are regular; there, the weight of each
    neighbour along the row so divided, and one over that sum.
columns : float64[nx, 2]
    Weights of the left and the right neighbour, where columns are not regular.
across : float
    Weight of both where they are.
place : (int, int, int)
    First regular column, and one past the last; what is added to a row to tell which
    columns are red, the even ones if the sum is even.
region : (int, int, int, int)
    First row, last row, first column, last column; last excluded.
"""

from typing import Any

import numpy as np
from numba import cuda, uint64

from hpcapp.gpu.kernels import add, inner, kernel, mul, sub

__all__ = [
    "HEIGHT",
    "SIGNATURES",
    "entry",
    "fill_gpu",
    "get",
    "relax_gpu",
    "residual_at",
    "restrict_gpu",
]

# rows of a thread
HEIGHT = 4

_SPLIT, _TABLE = "float64[:,:,::1]", "float64[:,::1]"
_REGION = "UniTuple(int64, 4)"
_HEAD = f"{_SPLIT}, {_SPLIT}, float64, {_TABLE}, {_TABLE}, float64, UniTuple(int64, 3)"
SIGNATURES = {
    "fill_gpu": f"void({_SPLIT}, float64, {_REGION})",
    "relax_gpu": f"void({_HEAD}, int64, {_REGION})",
    "restrict_gpu": (
        f"void({_SPLIT}, {_HEAD}, {_TABLE}, {_TABLE}, UniTuple(int64, 6), {_REGION}, "
        f"{_REGION})"
    ),
}

Place = tuple[int, int, int]
Region = tuple[int, int, int, int]


@inner
def get(u: np.ndarray, row: int, p: int, k: int) -> Any:
    """Return a value; unsigned indices need no test for being counted from the end."""
    return u[uint64(row), uint64(p), uint64(k)]


@inner
def entry(table: np.ndarray, row: int, column: int) -> Any:
    """Return an entry of a table."""
    return table[uint64(row), uint64(column)]


@inner
def _right(f: np.ndarray, constant: float, row: int, p: int, k: int) -> Any:
    return constant if f.size == 0 else get(f, row, p, k)


@kernel
def fill_gpu(u: np.ndarray, value: float, region: Region) -> None:
    """Set all values of some rows.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Written.
    value : float
        The value.
    region : tuple of int
        Whole rows, from an even column to one past an odd one.
    """
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    for row in range(top, min(top + HEIGHT, region[1])):
        if 2 * k < region[3]:
            u[uint64(row), uint64(0), uint64(k)] = value
            u[uint64(row), uint64(1), uint64(k)] = value


@kernel
def relax_gpu(
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    rows: np.ndarray,
    columns: np.ndarray,
    across: float,  # noqa: ARG001
    place: Place,
    colour: int,
    region: Region,
) -> None:
    """Do a Gauss-Seidel half-sweep.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified.
    f, constant, rows, columns, across, place : object
        See the top of the module.
    colour : int
        0 for red points, 1 for black ones.
    region : tuple of int
        All of them unknowns.

    Notes
    -----
    8 bytes of memory traffic a point of either colour, 12 with a field `f`: the other
    colour is read, this one is written. 7 flops for each point of the colour.
    """
    first, last, shift = place
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    for row in range(top, min(top + HEIGHT, region[1])):
        p = (row + shift + colour) & 1
        i = 2 * k + p
        if region[2] <= i < region[3]:
            south, north = get(u, row - 1, p, k), get(u, row + 1, p, k)
            west, east = get(u, row, 1 - p, k - 1 + p), get(u, row, 1 - p, k + p)
            right = _right(f, constant, row, p, k)
            if first <= i < last:
                known = mul(entry(rows, row, 5), right)
                value = add(
                    mul(entry(rows, row, 2), south), mul(entry(rows, row, 3), north)
                )
                value = add(value, mul(entry(rows, row, 4), add(west, east)))
                value = sub(value, known)
            else:
                down, up = entry(rows, row, 0), entry(rows, row, 1)
                left, after = entry(columns, i, 0), entry(columns, i, 1)
                value = add(mul(down, south), mul(up, north))
                value = add(value, add(mul(left, west), mul(after, east)))
                value = sub(value, right) / add(add(add(down, up), left), after)
            u[uint64(row), uint64(p), uint64(k)] = value


@inner
def residual_at(head: Any, row: int, i: int) -> Any:
    """Return the residual of an unknown; differences first, as on the CPU.

    Parameters
    ----------
    head : tuple
        The arguments from `u` to `place`.
    row, i : int
        Its row and column.
    """
    u, f, constant, rows, columns, across, place = head
    p, k = i & 1, i >> 1
    x = get(u, row, p, k)
    south, north = sub(get(u, row - 1, p, k), x), sub(get(u, row + 1, p, k), x)
    west = sub(get(u, row, 1 - p, k - 1 + p), x)
    east = sub(get(u, row, 1 - p, k + p), x)
    value = add(mul(entry(rows, row, 0), south), mul(entry(rows, row, 1), north))
    if place[0] <= i < place[1]:
        value = add(value, mul(across, add(west, east)))
    else:
        value = add(value, mul(entry(columns, i, 0), west))
        value = add(value, mul(entry(columns, i, 1), east))
    return sub(_right(f, constant, row, p, k), value)


@inner
def _red_at(head: Any, limits: Region, row: int, i: int) -> Any:
    if i < limits[2] or i >= limits[3]:
        return 0.0
    return residual_at(head, row, i)


@inner
def _restricted(
    head: Any,
    limits: Region,
    table: np.ndarray,
    ways: tuple[int, ...],
    row: int,
    coarse: int,
) -> Any:
    """Weight a row's red residuals into a coarse column."""
    if row < limits[0] or row >= limits[1]:
        return 0.0
    p = (row + head[6][2]) & 1
    if ways[2] == 1:
        return _red_at(head, limits, row, coarse) if (coarse & 1) == p else 0.0
    k = coarse + (ways[3] >> 1)
    if ways[4] <= coarse < ways[5]:
        if p == 0:
            return mul(0.5, _red_at(head, limits, row, 2 * k))
        before = _red_at(head, limits, row, 2 * k - 1)
        return mul(0.25, add(before, _red_at(head, limits, row, 2 * k + 1)))
    value = 0.0
    for n in range(1 - p, 4, 2):
        weight = entry(table, coarse, n)
        if weight != 0.0:
            i = 2 * (k + ((n - 1) >> 1)) + p
            value = add(value, mul(weight, _red_at(head, limits, row, i)))
    return value


@kernel
def restrict_gpu(
    out: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    rows: np.ndarray,
    columns: np.ndarray,
    across: float,
    place: Place,
    down: np.ndarray,
    beside: np.ndarray,
    ways: tuple[int, ...],
    limits: Region,
    area: Region,
) -> None:
    """Write the residual, restricted to the next level, as its right-hand side.

    Parameters
    ----------
    out : float64[my, 2, mx / 2]
        Modified.
    u, f, constant, rows, columns, across, place : object
        See the top of the module; black points satisfy their equations.
    down, beside : float64[my, 4], float64[mx, 4]
        Weights of the fine rows and columns from one before the coarse point to two
        behind.
    ways : tuple of 6 int
        Factor and offset of rows; factor, offset, first and last regular coarse
        column, as in `descend_cpu`.
    limits : tuple of int
        Fine rows and columns of unknowns.
    area : tuple of int
        Coarse rows and columns.

    Notes
    -----
    A thread computes the four to six residuals that a coarse point needs, of which its
    neighbours need some too: reading them from memory would cost more. 10 bytes of
    memory traffic a fine point, 14 with a field `f`.
    """
    i = area[2] + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    j = area[0] + cuda.blockIdx.y
    if i >= area[3] or j >= area[1]:
        return
    base = ways[0] * j + ways[1] - 1
    head = (u, f, constant, rows, columns, across, place)
    low = _restricted(head, limits, beside, ways, base, i)
    middle = _restricted(head, limits, beside, ways, base + 1, i)
    high = _restricted(head, limits, beside, ways, base + 2, i)
    value = add(mul(entry(down, j, 0), low), mul(entry(down, j, 1), middle))
    value = add(value, mul(entry(down, j, 2), high))
    if entry(down, j, 3) != 0.0:
        beyond = _restricted(head, limits, beside, ways, base + 3, i)
        value = add(value, mul(entry(down, j, 3), beyond))
    out[uint64(j), uint64(i & 1), uint64(i >> 1)] = value
