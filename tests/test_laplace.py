# SPDX-License-Identifier: MIT
"""Laws of the Laplace kernels and grid on one process; formulas in plain Python."""

import math
import struct

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hpcapp.config import Run
from hpcapp.decomposition import Block, Domain, Layout, halo_sent
from hpcapp.errors import ConfigError
from hpcapp.workloads.laplace import Laplace
from hpcapp.workloads.laplace.grid import (
    Grid,
    boundary_lines,
    source_block,
    write_boundary,
)
from hpcapp.workloads.laplace.kernels import (
    relax_jacobi_cpu,
    relax_redblack_cpu,
    residual_cpu,
)
from hpcapp.workloads.laplace.parameters import Boundary, Parameters, rounding_floor

NONE = np.empty((0, 0))
UNIT = (0.0, 1.0, 0.0, 1.0)


def stencil_of(dy, dx, constant=0.0):
    """Return the weights of (N + S) and (E + W), of the source, and of a constant."""
    diagonal = 2 / dy**2 + 2 / dx**2
    weights = [1 / dy**2 / diagonal, 1 / dx**2 / diagonal, 1 / diagonal]
    return np.array([*weights, weights[2] * constant])


def average(u, f, stencil, j, i):
    around = stencil[0] * (u[j - 1, i] + u[j + 1, i])
    around = around + stencil[1] * (u[j, i - 1] + u[j, i + 1])
    return around - (stencil[3] if f.size == 0 else stencil[2] * f[j, i])


def points(region):
    return [(j, i) for j in range(*region[:2]) for i in range(*region[2:])]


def jacobi(u, f, stencil, regions):
    """Return what plain Python makes of the levels, one after the other."""
    for region in regions:
        new = u.copy()
        for j, i in points(region):
            new[j, i] = average(u, f, stencil, j, i)
        u = new
    return u


def redblack(u, f, stencil, omega, parity, regions):
    u = u.copy()
    for level, region in enumerate(regions):
        for j, i in points(region):
            if (j + i + parity + level) % 2 == 0:
                u[j, i] = u[j, i] + omega * (average(u, f, stencil, j, i) - u[j, i])
    return u


def arrays(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(shape)


def whole(shape, levels):
    return np.array([[1, shape[0] - 1, 1, shape[1] - 1]] * levels, np.int64)


def shrinking(shape, levels):
    """Return regions that lose a point on every side at each level."""
    ny, nx = shape
    found = [[1 + k, ny - 1 - k, 1 + k, nx - 1 - k] for k in range(levels)]
    return np.array(found, np.int64)


SHAPES = [(3, 3), (3, 20), (20, 3), (12, 17), (17, 33)]
SOURCES = ["none", "constant", "field"]


def setting(shape, source, dy=0.1, dx=0.25):
    u, field = arrays(shape)
    constant = 3.7 if source == "constant" else 0.0
    return u, field if source == "field" else NONE, stencil_of(dy, dx, constant)


# neither Python nor Numba without fast-math contracts a*b + c: the bits must be equal
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_jacobi_levels_equal_plain_python_in_every_bit(shape, source, levels):
    u, f, stencil = setting(shape, source)
    even, odd = u.copy(), u.copy()
    relax_jacobi_cpu(even, odd, f, stencil, whole(shape, levels))
    got = odd if levels % 2 else even
    assert got.tobytes() == jacobi(u, f, stencil, whole(shape, levels)).tobytes()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("levels", [1, 2, 5])
@pytest.mark.parametrize("parity", [0, 1])
def test_redblack_levels_equal_plain_python_in_every_bit(shape, source, levels, parity):
    u, f, stencil = setting(shape, source)
    got = u.copy()
    regions = whole(shape, levels)
    relax_redblack_cpu(got, f, stencil, 1.7, parity, regions)
    expected = redblack(u, f, stencil, 1.7, parity, regions)
    assert got.tobytes() == expected.tobytes()


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    levels=st.integers(1, 9),
    method=st.sampled_from(["jacobi", "redblack"]),
    shrink=st.booleans(),
    parity=st.integers(0, 1),
    source=st.sampled_from(SOURCES),
)
def test_levels_in_one_call_equal_levels_one_after_the_other(
    shape, levels, method, shrink, parity, source
):
    regions = (shrinking if shrink else whole)(shape, levels)
    u, f, stencil = setting(shape, source)
    together, other = u.copy(), u.copy()
    single, single_other = u.copy(), u.copy()
    if method == "jacobi":
        relax_jacobi_cpu(together, other, f, stencil, regions)
        for level in regions:
            relax_jacobi_cpu(single, single_other, f, stencil, level[np.newaxis])
            single, single_other = single_other, single
        # the array that the next level would read
        together = other if levels % 2 else together
    else:
        relax_redblack_cpu(together, f, stencil, 1.9, parity, regions)
        for number, level in enumerate(regions):
            now = parity + number
            relax_redblack_cpu(single, f, stencil, 1.9, now, level[np.newaxis])
    last = regions[-1]
    inside = (slice(*last[:2]), slice(*last[2:]))
    assert together[inside].tobytes() == single[inside].tobytes()


@pytest.mark.parametrize("cut", [2, 7, 13])
@pytest.mark.parametrize("method", ["jacobi", "redblack"])
def test_regions_change_no_bit(cut, method):
    shape = (16, 24)
    u, f, stencil = setting(shape, "field")
    regions = [[[1, cut, 1, 23]], [[cut, 15, 1, cut]], [[cut, 15, cut, 23]]]
    parts, one = (u.copy(), u.copy()), (u.copy(), u.copy())
    for pair, calls in ((parts, regions), (one, [whole(shape, 1)])):
        for region in calls:
            where = np.array(region, np.int64)
            if method == "jacobi":
                relax_jacobi_cpu(*pair, f, stencil, where)
            else:
                relax_redblack_cpu(pair[0], f, stencil, 1.5, 1, where)
    assert parts[0].tobytes() == one[0].tobytes()
    assert parts[1].tobytes() == one[1].tobytes()


@pytest.mark.parametrize("method", ["jacobi", "redblack"])
def test_only_the_region_is_written(method):
    u, f, stencil = setting((10, 12), "none")
    first, second = u.copy(), u.copy()
    region = np.array([[3, 6, 2, 9]])
    if method == "jacobi":
        relax_jacobi_cpu(first, second, f, stencil, region)
        assert first.tobytes() == u.tobytes()
    else:
        relax_redblack_cpu(second, f, stencil, 1.5, 0, region)
    changed = np.argwhere(second != u)
    assert changed.min(axis=0).tolist() >= [3, 2]
    assert changed.max(axis=0).tolist() <= [5, 8]
    # of 3 x 7 points, starting with an odd one, 10 are of the even colour
    assert len(changed) == (21 if method == "jacobi" else 10)


def test_empty_region_writes_nothing():
    u, f, stencil = setting((6, 6), "none")
    got, other = u.copy(), u.copy()
    for region in ([3, 3, 1, 5], [1, 5, 2, 2], [4, 2, 1, 5]):
        relax_jacobi_cpu(got, other, f, stencil, np.array([region]))
        relax_redblack_cpu(got, f, stencil, 1.5, 0, np.array([region]))
    assert got.tobytes() == other.tobytes() == u.tobytes()


@pytest.mark.parametrize("omega", [1.0, 1.9])
def test_harmonic_polynomial_stays_where_it_is(omega):
    # x^2 - y^2 satisfies the five-point equation exactly, for any dx and dy
    y, x = np.arange(9) * 0.5, np.arange(12) * 0.25
    u = x[np.newaxis] ** 2 - y[:, np.newaxis] ** 2
    got = u.copy()
    stencil = stencil_of(0.5, 0.25)
    relax_redblack_cpu(got, NONE, stencil, omega, 0, whole(u.shape, 8))
    assert np.abs(got - u).max() < 1e-13
    residual = bits(residual_cpu(u, NONE, 0.0, 4.0, 16.0, np.array([1, 8, 1, 11])))[0]
    assert residual < 1e-12


# --- residual


def bits(pair):
    return tuple(struct.unpack("<d", struct.pack("<q", value))[0] for value in pair)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("source", SOURCES)
def test_residual_and_largest_value_equal_numpy(shape, source):
    u, f, _ = setting(shape, source)
    constant, ry, rx = (3.7 if source == "constant" else 0.0), 100.0, 16.0
    middle = u[1:-1, 1:-1]
    left = (u[:-2, 1:-1] + u[2:, 1:-1] - 2 * middle) * ry
    left = left + (u[1:-1, 2:] + u[1:-1, :-2] - 2 * middle) * rx
    left = left - (f[1:-1, 1:-1] if source == "field" else constant)
    region = whole(shape, 1)[0]
    got = bits(residual_cpu(u, f, constant, ry, rx, region))
    assert got == (np.abs(left).max(), np.abs(middle).max())


@pytest.mark.parametrize("with_field", [False, True])
@pytest.mark.parametrize("place", [(1, 1), (4, 5), (8, 10)])
def test_residual_shows_a_nan_and_an_infinity_wherever_they_are(place, with_field):
    u, field = arrays((10, 12))
    f = field if with_field else NONE
    region = whole(u.shape, 1)[0]
    u[place] = math.nan
    assert all(math.isnan(v) for v in bits(residual_cpu(u, f, 0.0, 1.0, 1.0, region)))
    u[place] = -math.inf
    found = bits(residual_cpu(u, f, 0.0, 1.0, 1.0, region))
    assert not math.isfinite(found[0])
    assert found[1] == math.inf


def test_residual_of_an_empty_region_is_zero():
    u, _ = arrays((5, 5))
    assert residual_cpu(u, NONE, 0.0, 1.0, 1.0, np.array([2, 2, 1, 4])) == (0, 0)


def test_patterns_of_bits_order_like_the_numbers_with_nan_above_all():
    numbers = np.array([0.0, 5e-324, 1e-300, 1.0, 1e300, math.inf, math.nan])
    assert (np.diff(numbers.view(np.int64)) > 0).all()


# --- grid


@pytest.mark.parametrize("intervals", [2, 3, 10, 100, 4096])
def test_optimal_factor_of_a_square_is_the_known_one(intervals):
    # Young (1954): 2 / (1 + sin(pi h))
    grid = Grid((intervals + 1, intervals + 1), *UNIT)
    expected = 2 / (1 + math.sin(math.pi / intervals))
    assert grid.optimal_omega() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("shape", "box"), [((9, 30), (0, 3, -1, 0)), ((5, 5), UNIT)])
def test_optimal_factor_comes_from_the_largest_eigenvalue_of_jacobi(shape, box):
    grid = Grid(shape, *box)
    wy, wx, _ = grid.weights()
    ny, nx = shape[0] - 2, shape[1] - 2
    matrix = np.kron(wy * (np.eye(ny, k=1) + np.eye(ny, k=-1)), np.eye(nx))
    matrix += np.kron(np.eye(ny), wx * (np.eye(nx, k=1) + np.eye(nx, k=-1)))
    rho = np.abs(np.linalg.eigvalsh(matrix)).max()
    expected = 2 / (1 + math.sqrt(1 - rho**2))
    assert grid.optimal_omega() == pytest.approx(expected, rel=1e-12)


def test_optimal_factor_stays_below_two_on_the_longest_grids():
    assert 1 < Grid((3, 10**9), *UNIT).optimal_omega() < 2
    assert 1 < Grid((10**7, 10**7), *UNIT).optimal_omega() < 2


def test_weights_of_unequal_spacings_solve_the_equation_for_the_middle():
    grid = Grid((6, 11), 0.0, 5.0, 0.0, 1.0)
    wy, wx, ws = grid.weights()
    n, s, w, e, f = 0.3, -0.7, 1.1, 0.2, 4.0
    middle = wy * (n + s) + wx * (w + e) - ws * f
    left = (n + s - 2 * middle) / grid.dy**2 + (e + w - 2 * middle) / grid.dx**2 - f
    assert abs(left) < 1e-12
    assert (grid.dy, grid.dx, grid.shorter) == (0.2, 0.5, 1.0)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(3, 200),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.data(),
)
def test_coordinates_are_exact_at_both_ends_and_the_same_in_any_block(
    count, low, length, data
):
    high = low + length
    grid = Grid((count, 3), 0.0, 1.0, low, high)
    y = grid.y(0, count)
    assert (y[0], y[-1]) == (low, high)
    assert np.abs(y - np.linspace(low, high, count)).max() <= 1e-12 * (
        abs(low) + abs(high)
    )
    cut = data.draw(st.integers(0, count))
    assert np.concatenate([grid.y(0, cut), grid.y(cut, count)]).tobytes() == y.tobytes()


def test_axes_are_not_mixed_up():
    grid = Grid((3, 5), 0.0, 4.0, 10.0, 12.0)
    assert grid.y(0, 3).tolist() == [10.0, 11.0, 12.0]
    assert grid.x(1, 4).tolist() == [1.0, 2.0, 3.0]


SIDES = Boundary(left="y", right="10 + y", bottom="100 + x", top="1000*x")


def test_boundary_has_the_values_of_its_sides_and_corners_are_means():
    grid = Grid((3, 5), 0.0, 4.0, 10.0, 12.0)
    u = np.full(grid.shape, -1.0)
    write_boundary(u, grid, Block((0, 0), grid.shape), boundary_lines(grid, SIDES))
    assert u[0, 1:4].tolist() == [101.0, 102.0, 103.0]  # bottom: y = y0
    assert u[2, 1:4].tolist() == [1000.0, 2000.0, 3000.0]
    assert (u[1, 0], u[1, 4]) == (11.0, 21.0)
    corners = [u[0, 0], u[0, 4], u[2, 0], u[2, 4]]
    means = [(10 + 100) / 2, (20 + 104) / 2, (12 + 0) / 2, (22 + 4000) / 2]
    assert corners == means
    assert (u[1, 1:4] == -1).all()


@pytest.mark.parametrize("ranks", [2, 4, 6, 12])
def test_boundary_of_blocks_is_that_of_the_whole(ranks):
    grid = Grid((7, 9), 0.0, 4.0, 10.0, 12.0)
    expected = np.zeros(grid.shape)
    lines = boundary_lines(grid, SIDES)
    write_boundary(expected, grid, Block((0, 0), grid.shape), lines)
    got = np.zeros(grid.shape)
    layout = Layout.choose(Domain(("y", "x"), grid.shape), ranks)
    for rank in range(layout.used):
        block = layout.block(rank)
        (ja, ia), (jb, ib) = block.start, block.stop
        write_boundary(got[ja:jb, ia:ib], grid, block, lines)
    assert got.tobytes() == expected.tobytes()


def test_a_side_that_is_no_number_somewhere_is_refused_with_the_place():
    grid = Grid((3, 5), 0.0, 4.0, 10.0, 12.0)
    message = r"parameters\.boundary\.top: .* got 1/\(x - 2\), .* x = 2, y = 12"
    with pytest.raises(ConfigError, match=message):
        boundary_lines(grid, Boundary(top="1/(x - 2)"))


def test_a_side_may_pass_through_infinity_on_the_way_to_its_values():
    grid = Grid((3, 5), 0.0, 4.0, 0.0, 1.0)
    sides = Boundary(top="1/(1 + exp(2000*(x - 1.5)))", bottom="exp(-1/x**2)")
    lines = boundary_lines(grid, sides)
    assert lines["top"][1:4].tolist() == [1.0, 0.0, 0.0]
    assert lines["bottom"][0] == 0.0
    with pytest.raises(ConfigError, match=r"got max\(log\(x - 1\), 0\), which is none"):
        boundary_lines(grid, Boundary(top="max(log(x - 1), 0)"))


def test_interior_is_the_block_without_the_boundary_grown_as_far_as_it_goes():
    grid = Grid((10, 12), *UNIT)
    assert grid.interior(Block((0, 0), (10, 12))) == (1, 9, 1, 11)
    assert grid.interior(Block((3, 4), (6, 8))) == (3, 6, 4, 8)
    assert grid.interior(Block((3, 4), (6, 8)), 2) == (1, 8, 2, 10)
    assert grid.interior(Block((0, 8), (1, 12)), 1) == (1, 2, 7, 11)


def test_source_is_a_number_or_a_field_of_its_values():
    grid = Grid((5, 9), 0.0, 4.0, 10.0, 12.0)
    empty, value = source_block("2*3", grid, (0, 5, 0, 9))
    assert (empty.size, value) == (0, 6.0)
    field, value = source_block("100*x + y", grid, (1, 4, -1, 2))
    assert value == 0.0
    assert field.tolist() == [[-50 + y, 0 + y, 50 + y] for y in (10.5, 11.0, 11.5)]


# --- parameters


@pytest.mark.parametrize(("shape", "floor"), [((101, 5), 1e-12), ((3, 4097), 1.68e-9)])
def test_rounding_floor_is_1e_16_n_squared(shape, floor):
    assert rounding_floor(shape) == pytest.approx(floor, rel=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerance": 1e-3, "accuracy": 1e-3}, "give tolerance or accuracy, not both"),
        ({"method": "jacobi", "relaxation": 1.2}, "is for method: sor only"),
        ({"accuracy": 1e-15}, "must be >= 6.6e-12, which rounding allows"),
        (
            {"precision": "single", "tolerance": 1e-4},
            r"must be >= 0.0039, which rounding allows on 257 x 257 points \(6e-8 N",
        ),
        (
            {"precision": "single", "method": "multigrid"},
            "single is for method: jacobi or sor; multigrid ends below what it can",
        ),
        (
            {"precision": "single", "shape": (5000, 5)},
            "single hides all residuals on 5000 x 5 points; use double, or tolerance",
        ),
        ({"tolerance": -1.0}, r"must be > 0 \(or 0: stop after max_iterations\)"),
        ({"domain": ((0.0, 1e101), (0.0, 1.0))}, "must be from 1e-100 to 1e100 long"),
        ({"source": None}, "must be a number or an expression in x and y"),
        (
            {"boundary": {"left": {"flux": 0}}},
            "a flux is for method: multigrid or cg",
        ),
        (
            {
                "method": "multigrid",
                "boundary": {
                    side: {"flux": 0} for side in ("left", "right", "bottom", "top")
                },
            },
            "must give values on a side: fluxes leave a constant open",
        ),
        (
            {"boundary": {"left": {"flow": 0}}},
            "must have the one key flux, or be a value without keys",
        ),
        (
            {"boundary": {"left": {"flux": None}}},
            r"must be a number or an expression in x and y, or \{flux: it\}",
        ),
    ],
)
def test_impossible_parameters_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Parameters(**change)


def test_extreme_domains_have_finite_weights():
    for side in (1e-100, 1e100):
        weights = Grid((3, 10**9), 0.0, side, 0.0, side).weights()
        assert all(math.isfinite(weight) and weight > 0 for weight in weights)


@pytest.mark.parametrize(("method", "arrays_held"), [("jacobi", 2), ("sor", 1)])
def test_memory_counts_the_arrays_with_their_margins(method, arrays_held):
    workload = Laplace(Parameters(shape=(40, 30), method=method, halo_depth=3), Run())
    layout = Layout.choose(workload.domain(), 4)
    assert layout.grid == (2, 2)
    assert workload.memory(layout, 0) == 8 * arrays_held * (20 + 6) * (15 + 6)


# --- single precision


def single(*shape):
    """Return random values: float32."""
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("source", [single(9, 12), single(0, 0)])
def test_sweeps_in_single_precision_round_each_operation_to_it(source):
    # NumPy's scalars of that type are rounded so, one operation after the other
    u, stencil = single(9, 12), stencil_of(0.1, 0.13, 0.7).astype(np.float32)
    regions = [(1, 8, 1, 11)] * 3
    even, odd = u.copy(), u.copy()
    relax_jacobi_cpu(even, odd, source, stencil, np.array(regions))
    assert odd.tobytes() == jacobi(u, source, stencil, regions).tobytes()
    omega = np.float32(1.7)
    expected = redblack(u, source, stencil, omega, 1, regions)
    relax_redblack_cpu(u, source, stencil, omega, 1, np.array(regions))
    assert u.dtype == np.float32
    assert u.tobytes() == expected.tobytes()


def test_residual_of_single_precision_is_computed_in_double():
    u, none, region = single(9, 12), single(0, 0), np.array([1, 8, 1, 11])
    found = residual_cpu(u, none, 0.25, 3.0, 7.0, region)
    wide = u.astype(np.float64)
    expected = residual_cpu(wide, NONE, 0.25, 3.0, 7.0, region)
    assert found == expected


def test_single_precision_halves_memory_and_messages():
    found = []
    for precision in ("double", "single"):
        parameters = Parameters(shape=(40, 30), precision=precision, halo_depth=3)
        workload = Laplace(parameters, Run())
        layout = Layout.choose(workload.domain(), 4)
        (u, *_) = workload.fields()
        sent = halo_sent(layout, 0, 3)[1]
        found.append((workload.memory(layout, 0), sent, np.dtype(u.dtype).itemsize))
    assert found[0] == tuple(2 * number for number in found[1])


def test_a_solution_in_single_precision_is_near_that_in_double(hpcapp, tmp_path):
    arrays = []
    for precision in ("double", "single"):
        config, target = tmp_path / "c.yaml", tmp_path / precision
        config.write_text(
            "workload: laplace\nparameters: {shape: [33, 29], source: x - 2*y, "
            f"method: sor, precision: {precision}, accuracy: 1e-3}}\n"
        )
        done = hpcapp("run", config, "-o", target, "-q")
        assert done.returncode == 0, done.stderr
        with h5py.File(target / "result.nc") as file:
            arrays.append(file["u"][:])
    assert arrays[1].dtype == np.float32
    # the bound of both runs
    assert np.abs(arrays[0] - arrays[1]).max() <= 2e-3 * np.abs(arrays[0]).max()
    assert not np.array_equal(arrays[0], arrays[1])
