# SPDX-License-Identifier: MIT
"""Passes of a multigrid cycle over a level. Imported in `steps` and `warm_up` only.

A pass is a wavefront: half-sweeps, residual and transfer follow one another a row
apart, so that a block goes through memory once. Split rows and the arguments `u`,
`f`, `constant`, `place` and `regions` are explained in `row_kernels`.
"""

from typing import Any

import numba
import numpy as np

from hpcapp.workloads.laplace.row_kernels import relax_row_cpu, residual_row_cpu

__all__ = ["ascend_cpu", "descend_cpu", "prolong_cpu"]

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")

Place = Any


@_jit
def _restrict_row(
    out: np.ndarray,
    slot: int,
    red: np.ndarray,
    p: int,
    weights: np.ndarray,
    columns: tuple[int, ...],
    start: int,
    stop: int,
) -> None:
    """Weight a row's red residuals into the coarse columns `start` to `stop`."""
    factor, offset, first, last = columns
    if factor == 1:
        for i in range(start, stop):
            out[slot, i] = red[0, i >> 1] if (i & 1) == p else 0.0
        return
    half = offset >> 1
    a, b = max(start, first), min(stop, last)
    if a < b:
        target = out[slot, a:b]
        same = red[0, a + half : b + half]
        if p == 0:
            for i in range(target.size):
                target[i] = 0.5 * same[i]
        else:
            below = red[0, a + half - 1 : b + half - 1]
            for i in range(target.size):
                target[i] = 0.25 * (below[i] + same[i])
    for edge in range(2):
        lo, hi = (start, min(stop, first)) if edge == 0 else (max(start, last), stop)
        for i in range(lo, hi):
            value = 0.0
            for k in range(1 - p, 4, 2):
                if weights[i, k] != 0.0:
                    value += weights[i, k] * red[0, i + half + ((k - 1) >> 1)]
            out[slot, i] = value


@_jit
def _gather_row(
    out: np.ndarray,
    line: np.ndarray,
    ring: np.ndarray,
    weights: np.ndarray,
    row: int,
    base: int,
    start: int,
    stop: int,
) -> None:
    """Weight restricted rows `base` to `base` + 3 of the ring into a coarse row."""
    target = line[0, start:stop]
    low, middle = ring[base & 3, start:stop], ring[(base + 1) & 3, start:stop]
    high, beyond = ring[(base + 2) & 3, start:stop], ring[(base + 3) & 3, start:stop]
    w0, w1 = weights[row, 0], weights[row, 1]
    w2, w3 = weights[row, 2], weights[row, 3]
    if w3 == 0.0:
        for i in range(target.size):
            target[i] = w0 * low[i] + w1 * middle[i] + w2 * high[i]
    else:
        for i in range(target.size):
            value = w0 * low[i] + w1 * middle[i] + w2 * high[i]
            target[i] = value + w3 * beyond[i]
    a, b = start >> 1, (stop + 1) >> 1
    pairs = line[0, 2 * a : 2 * b].reshape((b - a, 2))
    even, odd = out[row, 0, a:b], out[row, 1, a:b]
    for i in range(even.size):
        even[i] = pairs[i, 0]
        odd[i] = pairs[i, 1]


@_jit
def descend_cpu(
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    place: Place,
    regions: np.ndarray,
    out: np.ndarray,
    weights: tuple[Any, ...],
    area: tuple[int, ...],
    limits: tuple[int, ...],
) -> None:
    """Half-sweeps, then the residual, restricted to the next level.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified.
    f, constant, place, regions : object
        See `row_kernels`; `regions` may be empty.
    out : float64[my, 2, mx / 2]
        Modified: right-hand side of the coarse level.
    weights : tuple
        float64[my, 4] and float64[mx, 4]: weights of the fine rows and columns
        from one before the coarse point to two behind; (factor, offset) of rows:
        coarse row J lies on fine row factor J + offset; (factor, offset, first,
        last) of columns, the last two the coarse columns that are regular.
    area : tuple of int
        Coarse rows and columns that are written; may be empty.
    limits : tuple of int
        Fine rows and columns of unknowns: there are no residuals elsewhere.

    Notes
    -----
    Full weighting: the transpose of linear interpolation over the control volumes
    (Trottenberg, Oosterlee, Schueller, Multigrid, 2001, section 2.3.3). Black points
    have just been made to satisfy their equations: only red ones have a residual.
    16 bytes of memory traffic a point, 24 with a field `f`, as long as the rows of
    the wavefront stay in cache. Threads may work on parts of one half-sweep, or on
    disjoint areas.
    """
    stages = regions.shape[0]
    table_y, table_x, (factor, offset), columns = weights
    shift = place[5]
    ja, jb, ia, ib = area
    # of even columns, of odd ones: nothing is written where there are no unknowns
    red = np.zeros((2, u.shape[2]))
    ring = np.zeros((4, 2 * out.shape[2]))
    line = np.zeros((1, 2 * out.shape[2]))
    # columns of residuals that the coarse ones need
    ca = max(limits[2], columns[0] * ia + columns[1] - 1)
    cb = min(limits[3], columns[0] * (ib - 1) + columns[1] + 3)
    ra, rb = factor * ja + offset - 1, factor * (jb - 1) + offset + 3
    if ja >= jb:
        ra, rb = regions[0, 0], regions[0, 0]
    first, last = ra + stages, rb + stages
    for stage in range(stages):
        first = min(first, regions[stage, 0] + stage)
        last = max(last, regions[stage, 1] + stage)
    done = ja
    for front in range(first, last):
        for stage in range(stages):
            row = front - stage
            if regions[stage, 0] <= row < regions[stage, 1]:
                a, b = regions[stage, 2], regions[stage, 3]
                relax_row_cpu(u, f, constant, place, stage & 1, row, a, b)
        row = front - stages
        if not ra <= row < rb:
            continue
        slot = (row - ra) & 3
        if limits[0] <= row < limits[1]:
            p = (row + shift) & 1
            rest = red[p : p + 1]
            residual_row_cpu(rest, u, f, constant, place, p, row, ca, cb)
            _restrict_row(ring, slot, rest, p, table_x, columns, ia, ib)
        else:
            ring[slot, ia:ib] = 0.0
        while done < jb:
            base = factor * done + offset - 1
            if base + (3 if table_y[done, 3] != 0.0 else 2) > row:
                break
            _gather_row(out, line, ring, table_y, done, base - ra, ia, ib)
            done += 1


@_jit
def ascend_cpu(
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    place: Place,
    regions: np.ndarray,
    coarse: np.ndarray,
    lift: tuple[Any, ...],
    region: tuple[int, ...],
) -> None:
    """Add the interpolated correction to black points, then half-sweeps.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified.
    f, constant, place, regions : object
        See `row_kernels`; `regions` may be empty.
    coarse : float64[my, 2, mx / 2]
        The correction on the coarse level.
    lift : tuple
        int64[ny], float64[ny, 2]: for each row the coarse row below and the weights
        of it and the next; int64[nx], float64[nx, 2]: the same for columns;
        (factor, offset, special): coarse column I lies on fine column factor I +
        offset, and the tables hold from column `special` on.
    region : tuple of int
        Rows and columns that are corrected; may be empty.

    Notes
    -----
    Linear interpolation along each axis. Red points follow from black ones in the
    half-sweep that comes next, whatever they were. Memory traffic as `descend_cpu`,
    and 2 bytes a point for the correction. Threads may work on disjoint regions.
    """
    stages = regions.shape[0]
    rows, weights, index, table, columns = lift
    ja, jb, ia, ib = region
    line = np.zeros((1, 2 * coarse.shape[2]))
    first, last = ja, jb
    if ja >= jb and stages > 0:
        first, last = regions[0, 0] + 1, regions[0, 1] + 1
    for stage in range(stages):
        first = min(first, regions[stage, 0] + stage + 1)
        last = max(last, regions[stage, 1] + stage + 1)
    for front in range(first, last):
        if ja <= front < jb:
            low, w0, w1 = rows[front], weights[front, 0], weights[front, 1]
            _blend_rows(line, coarse, low, w0, w1)
            p = (front + place[5] + 1) & 1
            _correct_row(u, front, p, line, index, table, columns, ia, ib)
        for stage in range(stages):
            row = front - stage - 1
            if regions[stage, 0] <= row < regions[stage, 1]:
                a, b = regions[stage, 2], regions[stage, 3]
                relax_row_cpu(u, f, constant, place, stage & 1, row, a, b)


@_jit
def _blend_rows(
    line: np.ndarray, coarse: np.ndarray, low: int, w0: float, w1: float
) -> None:
    """Put the columns of a coarse row, or of a mean of two, in natural order."""
    n = coarse.shape[2]
    pairs = line[0, 0 : 2 * n].reshape((n, 2))
    even, odd = coarse[low, 0, 0:n], coarse[low, 1, 0:n]
    if w1 == 0.0:
        for i in range(n):
            pairs[i, 0] = even[i]
            pairs[i, 1] = odd[i]
        return
    above, beside = coarse[low + 1, 0, 0:n], coarse[low + 1, 1, 0:n]
    for i in range(n):
        pairs[i, 0] = w0 * even[i] + w1 * above[i]
        pairs[i, 1] = w0 * odd[i] + w1 * beside[i]


@_jit
def _correct_row(
    u: np.ndarray,
    row: int,
    p: int,
    line: np.ndarray,
    index: np.ndarray,
    table: np.ndarray,
    columns: tuple[int, ...],
    start: int,
    stop: int,
) -> None:
    """Add the correction to the columns of parity p."""
    factor, offset, special = columns
    if factor == 1:
        for i in range(start + ((start + p) & 1), stop, 2):
            u[row, p, i >> 1] += line[0, i]
        return
    half, end = offset >> 1, min(stop, special)
    a, b = (start - p + 1) >> 1, (end - p + 1) >> 1
    if a < b:
        target, left = u[row, p, a:b], line[0, a - half : b - half]
        if p == 0:
            for i in range(target.size):
                target[i] += left[i]
        else:
            right = line[0, a - half + 1 : b - half + 1]
            for i in range(target.size):
                target[i] += 0.5 * (left[i] + right[i])
    first = max(start, special)
    for i in range(first + ((first + p) & 1), stop, 2):
        value = table[i, 0] * line[0, index[i]]
        u[row, p, i >> 1] += value + table[i, 1] * line[0, index[i] + 1]


@_jit
def prolong_cpu(
    u: np.ndarray,
    coarse: np.ndarray,
    rise: tuple[Any, ...],
    region: tuple[int, ...],
) -> None:
    """Interpolate a solution by cubics: the start of full multigrid.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Written in `region`.
    coarse : float64[my, 2, mx / 2]
        The solution on the coarse level.
    rise : tuple
        int64[ny], float64[ny, 4]: for each row the first of four coarse rows and
        their weights; the same for columns; (factor, offset, first, last): as in
        `ascend_cpu`, and between the last two, which are even, all weights are
        (-1, 9, 9, -1)/16.
    region : tuple of int
        Rows and columns.

    Notes
    -----
    12 bytes of memory traffic and about 8 flops a point.
    """
    rows, weights, index, table, (factor, offset, first, last) = rise
    ja, jb, ia, ib = region
    n = coarse.shape[2]
    line = np.zeros((1, 2 * n))
    halves = np.zeros((1, 2, n))
    half = offset >> 1
    a, b = max(ia, first), min(ib, last)
    for row in range(ja, jb):
        halves[:] = 0.0
        for k in range(4):
            weight = weights[row, k]
            if weight != 0.0:
                for p in range(2):
                    target, source = halves[0, p, 0:n], coarse[rows[row] + k, p, 0:n]
                    for i in range(n):
                        target[i] += weight * source[i]
        _blend_rows(line, halves, 0, 1.0, 0.0)
        if factor == 2 and a < b:
            target = u[row, 0, (a + 1) >> 1 : (b + 1) >> 1]
            source = line[0, ((a + 1) >> 1) - half : ((b + 1) >> 1) - half]
            for i in range(target.size):
                target[i] = source[i]
            _expand_cubic(u[row, 1, a >> 1 : b >> 1], line, (a >> 1) - half)
        for edge in range(2):
            lo, hi = (ia, min(ib, first)) if edge == 0 else (max(ia, last), ib)
            for i in range(lo, hi):
                value = 0.0
                for k in range(4):
                    if table[i, k] != 0.0:
                        value += table[i, k] * line[0, index[i] + k]
                u[row, i & 1, i >> 1] = value


@_jit
def _expand_cubic(target: np.ndarray, line: np.ndarray, start: int) -> None:
    n = target.size
    p, q = line[0, start - 1 : start - 1 + n], line[0, start : start + n]
    r, s = line[0, start + 1 : start + 1 + n], line[0, start + 2 : start + 2 + n]
    for i in range(n):
        target[i] = 0.5625 * (q[i] + r[i]) - 0.0625 * (p[i] + s[i])
