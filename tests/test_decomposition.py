# SPDX-License-Identifier: MIT
"""Laws of the division of index spaces, checked point by point and by brute force."""

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcapp.decomposition import (
    Block,
    Domain,
    Layout,
    choose_grid,
    cut_area,
    part_of,
    split,
)

SHAPES = st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple)
RANKS = st.integers(1, 40)


def layout_of(shape, ranks, halo=0, grid=None):
    return Layout.choose(
        Domain(("z", "y", "x")[-len(shape) :], shape, halo), ranks, grid
    )


@given(st.integers(0, 10**6), st.integers(1, 300))
def test_split_covers_the_range_in_order_with_lengths_that_differ_by_one(length, parts):
    bounds = split(length, parts)
    assert len(bounds) == parts
    assert bounds[0][0] == 0
    assert bounds[-1][1] == length
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))
    lengths = [b - a for a, b in bounds]
    assert max(lengths) - min(lengths) <= 1
    assert sorted(lengths, reverse=True) == lengths


@given(st.integers(0, 10**6), st.integers(1, 300), st.data())
def test_part_is_that_of_equal_shares_with_the_first_ones_longer(length, parts, data):
    index = data.draw(st.integers(0, parts - 1))
    start, stop = part_of(length, parts, index)
    # an array of one byte a point: NumPy's array_split has the same rule
    pieces = np.array_split(np.empty(length, np.int8), parts)
    assert stop - start == len(pieces[index])
    assert start == sum(len(piece) for piece in pieces[:index])


@settings(deadline=None)
@given(SHAPES, RANKS)
def test_blocks_cover_every_point_exactly_once(shape, ranks):
    layout = layout_of(shape, ranks)
    seen = np.zeros(shape, int)
    for rank in range(ranks):
        block = layout.block(rank)
        inside = tuple(
            slice(a, b) for a, b in zip(block.start, block.stop, strict=True)
        )
        seen[inside] += 1
        assert block.size == seen[inside].size
        assert block.shape == seen[inside].shape
    assert (seen == 1).all()


@settings(deadline=None)
@given(SHAPES, RANKS)
def test_blocks_differ_by_at_most_one_point_along_each_axis(shape, ranks):
    layout = layout_of(shape, ranks)
    extents = np.array([layout.block(rank).shape for rank in range(layout.used)])
    assert (extents.max(axis=0) - extents.min(axis=0) <= 1).all()
    assert extents.min() >= 1


@settings(deadline=None)
@given(SHAPES, RANKS)
def test_ranks_beyond_the_grid_own_nothing(shape, ranks):
    layout = layout_of(shape, ranks)
    for rank in range(ranks):
        block = layout.block(rank)
        assert block.empty == (rank >= layout.used)
        if block.empty:
            assert set(block.start + block.stop) == {0}
            assert layout.neighbours(rank) == ((None, None),) * len(shape)


@settings(deadline=None)
@given(SHAPES, RANKS)
def test_owner_is_the_rank_whose_block_holds_the_index(shape, ranks):
    layout = layout_of(shape, ranks)
    for rank in range(layout.used):
        block = layout.block(rank)
        axes = [range(a, b) for a, b in zip(block.start, block.stop, strict=True)]
        assert all(layout.owner(index) == rank for index in itertools.product(*axes))


@settings(deadline=None)
@given(SHAPES, RANKS)
def test_neighbours_are_mutual_and_share_a_whole_face(shape, ranks):
    layout = layout_of(shape, ranks)
    for rank in range(layout.used):
        mine = layout.block(rank)
        for axis, (below, above) in enumerate(layout.neighbours(rank)):
            assert (below is None) == (mine.start[axis] == 0)
            assert (above is None) == (mine.stop[axis] == shape[axis])
            if above is None:
                continue
            theirs = layout.block(above)
            assert layout.neighbours(above)[axis][0] == rank
            assert theirs.start[axis] == mine.stop[axis]
            others = [k for k in range(len(shape)) if k != axis]
            assert all(theirs.start[k] == mine.start[k] for k in others)
            assert all(theirs.stop[k] == mine.stop[k] for k in others)


def feasible_grids(shape, used):
    grids = itertools.product(*(range(1, extent + 1) for extent in shape))
    return [grid for grid in grids if prod(grid) == used]


def faces(shape, grid):
    """Count the pairs of adjacent points that different parts own."""
    owner = np.zeros(shape, int)
    for axis, parts in enumerate(grid):
        index = np.empty(shape[axis], int)
        for part, (a, b) in enumerate(split(shape[axis], parts)):
            index[a:b] = part
        wide = [1] * len(shape)
        wide[axis] = shape[axis]
        owner = owner * parts + index.reshape(wide)
    return sum(int((np.diff(owner, axis=k) != 0).sum()) for k in range(len(shape)))


@settings(deadline=None, max_examples=60)
@given(SHAPES, RANKS)
def test_grid_uses_as_many_ranks_as_fit_and_cuts_the_least(shape, ranks):
    grid = choose_grid(shape, ranks)
    used = prod(grid)
    assert used <= ranks
    assert not any(feasible_grids(shape, more) for more in range(used + 1, ranks + 1))
    least = min(faces(shape, other) for other in feasible_grids(shape, used))
    assert faces(shape, grid) == least == cut_area(shape, grid)


@pytest.mark.parametrize(
    ("shape", "ranks", "grid"),
    [
        ((100, 100), 6, (3, 2)),  # of equals, the one with the longer rows
        ((100, 1000), 4, (1, 4)),
        ((1000, 100), 4, (4, 1)),
        ((3, 3), 7, (3, 2)),
        ((2, 2), 100, (2, 2)),
        ((64, 64, 64), 8, (2, 2, 2)),
        ((7,), 3, (3,)),
        ((10**6, 10**6), 7, (7, 1)),
    ],
)
def test_known_grids(shape, ranks, grid):
    assert choose_grid(shape, ranks) == grid


def test_large_numbers_of_ranks_are_divided_at_once():
    assert prod(choose_grid((50_000, 50_000, 50_000), 131_072)) == 131_072


def test_empty_domain_has_no_grid():
    with pytest.raises(
        ValueError, match="no process grid for 3 ranks on shape"
    ) as caught:
        choose_grid((4, 0), 3)
    assert "(4, 0)" in str(caught.value)


def test_grid_may_be_given_and_may_leave_ranks_over():
    layout = layout_of((10, 10), 7, grid=(2, 3))
    assert (layout.grid, layout.used) == ((2, 3), 6)
    assert layout.block(5) == Block((5, 7), (10, 10))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ((2,), "must have 2 numbers for the axes y, x, got 2"),
        ((3, 2), "must not need more than the 5 ranks that there are, got 3 x 2"),
        (
            (5, 1),
            "must not cut an axis into more parts than it has points (4 x 9), "
            "got 5 x 1",
        ),
    ],
)
def test_given_grid_that_does_not_fit_is_refused(grid, message):
    with pytest.raises(ValueError) as caught:
        layout_of((4, 9), 5, grid=grid)
    assert str(caught.value) == message


@settings(deadline=None)
@given(SHAPES, RANKS, st.integers(0, 5))
def test_halo_is_no_deeper_than_asked_and_than_any_block_along_a_cut(
    shape, ranks, halo
):
    layout = layout_of(shape, ranks, halo)
    depths = [halo]
    for rank in range(layout.used):
        for axis, pair in enumerate(layout.neighbours(rank)):
            if pair != (None, None):
                depths.append(layout.block(rank).shape[axis])
    if layout.used > 1:
        assert layout.halo == min(depths)
    assert layout.halo <= halo


def test_axes_that_are_not_divided_stay_whole():
    domain = Domain(("y", "x"), (5, 1000), cut=1)
    assert Layout.choose(domain, 4).grid == (4, 1)
    assert Layout.choose(domain, 8).grid == (5, 1)
    assert Layout.choose(domain, 4, (2, 1)).grid == (2, 1)
    with pytest.raises(ValueError, match=r"must be 1 for x, which is not divided"):
        Layout.choose(domain, 4, (2, 2))
