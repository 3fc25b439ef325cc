# SPDX-License-Identifier: MIT
"""Bytes that arrays take on a GPU, as `cuda_engine` and `cuda_level` make them."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from hpcapp.decomposition import Block, Layout, halo_sent
from hpcapp.gpu.values import PIECE
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.cg import DEPTH
from hpcapp.workloads.laplace.cuda_level import ON_HOST_BELOW
from hpcapp.workloads.laplace.cuda_queue import LINE
from hpcapp.workloads.laplace.level import MARGIN, REACH, padded
from hpcapp.workloads.laplace.levels import LevelShape, build_levels
from hpcapp.workloads.laplace.sweeps import padded_shape
from hpcapp.workloads.laplace.transfer import common_part, grown

__all__ = ["count_cycle_bytes", "count_sweep_bytes", "count_vector_bytes"]

# the largest residual and value
NORMS = 16

# numbers that a row or a column of a level has in tables: weights (6, 2), restriction
# (4), correction and interpolation with their places (1 + 2, 1 + 4), given sides (4)
TABLES = 22


def count_sweep_bytes(
    layout: Layout, rank: int, depth: int, arrays: int, more: int
) -> tuple[int, int]:
    """Return the bytes of `Sweeper` on a GPU; pure.

    Parameters
    ----------
    layout : Layout
        The blocks.
    rank : int
        The rank.
    depth : int
        Points of the margin.
    arrays : int
        With a halo.
    more : int
        Without one.

    Returns
    -------
    gpu, pinned : int
        Of arrays on the GPU, of buffers of the host.
    """
    if layout.block(rank).empty:
        return NORMS, 0
    ny, nx = padded_shape(layout.block(rank).shape, depth)
    whole = layout.domain.itemsize * ny * -(-nx // LINE) * LINE
    # as much comes as goes
    _, sent = halo_sent(layout, rank, depth) if layout.used > 1 else (0, 0)
    return (arrays + more) * whole + 2 * arrays * sent + NORMS, 2 * arrays * sent


def count_cycle_bytes(
    axes: tuple[Axis, Axis],
    layout: Layout,
    rank: int,
    joined: int,
    plain: bool,
    below: int = ON_HOST_BELOW,
) -> tuple[int, int]:
    """Return the bytes of cycles on a GPU; pure.

    Parameters
    ----------
    axes : (Axis, Axis)
        The finest level.
    layout : Layout
        Blocks of the finest level.
    rank : int
        The rank.
    joined : int
        As in `Multigrid`.
    plain : bool
        Whether the right-hand side is the same everywhere.
    below : int
        Levels after the first with fewer unknowns are on the host; in the simulator 0.

    Returns
    -------
    gpu, pinned : int
        Of arrays on the GPU, at most; of buffers of the host, at most.
    """
    levels = build_levels(axes, layout, max(joined, MARGIN))
    gpu, pinned = NORMS, 0
    for number, (level, coarse) in enumerate(pairwise(levels)):
        if number > 0 and level.unknowns < below:
            break
        constant = plain and number == 0
        blocks, messages = _level(level, rank, constant)
        on_host = number + 2 == len(levels) or coarse.unknowns < below
        more = _transfer(coarse, rank, on_host)
        gpu += blocks + messages + sum(more)
        pinned += messages + more[1]
    return gpu, pinned


def count_vector_bytes(
    axes: tuple[Axis, Axis], layout: Layout, rank: int, joined: int
) -> tuple[int, int]:
    """Return the bytes that conjugate gradients have beside those of cycles; pure.

    Parameters
    ----------
    axes, layout, rank, joined : object
        As in `count_cycle_bytes`.

    Returns
    -------
    gpu, pinned : int
        Of three vectors, a piece of products, weights and the messages of one vector;
        of buffers of the host.
    """
    finest, *coarser = build_levels(axes, layout, max(joined, MARGIN))
    block = finest.tiling.block(rank)
    if block.empty or not coarser:
        return 0, 0
    rows, _, half = padded(block)
    height = max(1, min(PIECE // (2 * half), block.shape[0]))
    strips = finest.tiling.strips(rank, DEPTH)
    messages = _pieces(piece for s in strips for piece in (s.sent, s.received))
    numbers = 3 * rows * 2 * half + height * 2 * half + rows + 2 * half
    return 8 * numbers + messages, messages


def _level(level: LevelShape, rank: int, constant: bool) -> tuple[int, int]:
    """Return bytes of arrays and tables, and of messages."""
    block = level.tiling.block(rank)
    if block.empty:
        return 0, 0
    rows, _, half = padded(block)
    arrays = (1 if constant else 2) * 8 * math.prod(padded(block))
    depths = [MARGIN, REACH] if constant else [MARGIN, REACH, MARGIN]
    strips = [strip for depth in depths for strip in level.tiling.strips(rank, depth)]
    pieces = [block for strip in strips for block in (strip.sent, strip.received)]
    return arrays + 8 * TABLES * (rows + 2 * half), _pieces(pieces)


def _transfer(coarse: LevelShape, rank: int, on_host: bool) -> tuple[int, int]:
    """Return bytes of coarse values between two levels, and of their messages."""
    if coarse.parts == coarse.tiling and not on_host:
        return 0, 0
    part, whole = coarse.parts.block(rank), coarse.tiling.block(rank)
    arrays, pieces = 0, []
    if not part.empty:
        arrays = 2 * 8 * math.prod(padded(part))
        pieces += [common for _, common in coarse.tiling.overlaps(part)]
        pieces += [common for _, common in coarse.tiling.overlaps(grown(part))]
    if not (whole.empty or on_host):
        pieces += [common for _, common in coarse.parts.overlaps(whole)]
        wanted = coarse.parts.overlaps(grown(whole))
        pieces += [
            common_part(grown(coarse.parts.block(other)), whole) for other, _ in wanted
        ]
    return arrays, _pieces(pieces)


def _pieces(blocks: Iterable[Block]) -> int:
    """Return the bytes of buffers for pieces, whose columns go in pairs."""
    shapes: list[Sequence[int]] = [block.shape for block in blocks if not block.empty]
    return sum(8 * rows * 2 * ((columns + 1) // 2) for rows, columns in shapes)
