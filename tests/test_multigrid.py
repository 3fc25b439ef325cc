# SPDX-License-Identifier: MIT
"""Multigrid on one process: axes, tilings, rates, analytic and direct solutions."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpi4py import MPI

from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.device import Device
from hpcapp.mpi.comm import Comm
from hpcapp.problem import parse_problem
from hpcapp.workload import Context
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.levels import build_levels
from hpcapp.workloads.laplace.multigrid import Cycles
from hpcapp.workloads.laplace.tiling import cut_axis


def solve(threads=1, **parameters):
    """Run a problem in this process; return u, x, y and the whole state."""
    wanted = {"method": "multigrid", **parameters}
    body = "".join(f"  {key}: {value}\n" for key, value in wanted.items())
    text = f"workload: laplace\nparameters:\n{body}"
    problem = parse_problem(text, "test.yaml", ())
    ctx = Context(Comm(MPI.COMM_SELF), Device(threads), problem.layout(1))
    for _ in problem.workload.steps(ctx):
        pass
    (part,) = ctx.state.parts("u")
    return part.array.copy(), ctx.state["x"], ctx.state["y"], ctx.state


# --- axes

AXES = st.builds(
    Axis,
    cells=st.integers(4, 200),
    stride=st.just(1),
    last=st.just(1),
    spacing=st.floats(1e-3, 10),
    low=st.booleans(),
    high=st.booleans(),
)


def coarse_and_fine(axis, depth):
    """Return an axis some levels down and the next, as far as there are any."""
    for _ in range(depth):
        if not axis.coarser().coarsens:
            break
        axis = axis.coarser()
    return axis, axis.coarser()


@settings(deadline=None, max_examples=100)
@given(AXES, st.integers(0, 5))
def test_coarse_axes_keep_ends_and_take_every_other_point(axis, depth):
    fine, coarse = coarse_and_fine(axis, depth)
    points = fine.positions(np.arange(fine.cells + 1))
    found = coarse.positions(np.arange(coarse.cells + 1))
    assert (found[0], found[-1]) == (0, axis.cells)
    assert found[:-1].tolist() == points[: 2 * coarse.cells : 2].tolist()
    assert coarse.cells >= 2
    assert 0 < coarse.last < 2 * coarse.stride
    if axis.high:
        assert coarse.last >= coarse.stride / 2


@settings(deadline=None, max_examples=100)
@given(AXES, st.integers(0, 5))
def test_second_differences_are_exact_for_parabolas(axis, depth):
    fine, _ = coarse_and_fine(axis, depth)
    low, high = fine.unknowns
    x = fine.positions(np.arange(fine.cells + 1)) * fine.spacing
    weights = fine.weights(0, fine.cells + 1)
    assert not weights[: max(low, 0)].any()
    assert not weights[high:].any()
    # flat at a mirror, so that nothing flows there
    centre = x[-1] if fine.high else x[0]
    u = (x - centre) ** 2 / x[-1] ** 2
    wanted = 2 / x[-1] ** 2
    for i in range(low, high):
        if i == 0 and fine.high:
            continue
        lower = u[i - 1] - u[i] if i else 0.0
        upper = u[i + 1] - u[i] if i < fine.cells else 0.0
        value = weights[i, 0] * lower + weights[i, 1] * upper
        assert value == pytest.approx(wanted, rel=1e-9)


@settings(deadline=None, max_examples=100)
@given(AXES, st.integers(0, 5))
def test_interpolations_reproduce_lines_and_cubics(axis, depth):
    fine, coarse = coarse_and_fine(axis, depth)
    x = fine.positions(np.arange(fine.cells + 1)) / axis.cells
    z = coarse.positions(np.arange(coarse.cells + 1)) / axis.cells
    below, weights = fine.linear(coarse, 0, fine.cells + 1)
    found = (weights * z[below[:, None] + [0, 1]]).sum(axis=1)
    assert np.allclose(found, x, atol=1e-14)
    first, weights = fine.cubic(coarse, 0, fine.cells + 1)
    index = np.minimum(first[:, None] + np.arange(4), coarse.cells)
    power = min(3, coarse.cells)
    assert np.allclose((weights * z[index] ** power).sum(axis=1), x**power, atol=1e-12)


@settings(deadline=None, max_examples=100)
@given(AXES, st.integers(0, 5))
def test_restriction_is_the_transpose_of_interpolation_over_the_volumes(axis, depth):
    fine, coarse = coarse_and_fine(axis, depth)
    n, m = fine.cells + 1, coarse.cells + 1
    up = np.zeros((n, m))
    below, weights = fine.linear(coarse, 0, n)
    for i in range(n):
        up[i, below[i]] += weights[i, 0]
        up[i, below[i] + 1] += weights[i, 1]
    down = np.zeros((m, n + 8))
    table = fine.restriction(coarse, 0, m)
    for j in range(m):
        for k in range(4):
            down[j, 2 * j - 1 + k] += table[j, k]
    fine_volumes, coarse_volumes = (
        fine.volumes(np.arange(n)),
        coarse.volumes(np.arange(m)),
    )
    expected = up.T * fine_volumes / coarse_volumes[:, None]
    first, last = fine.unknowns
    expected[:, :first] = expected[:, last:] = 0
    first, last = coarse.unknowns
    expected[:first] = expected[last:] = 0
    assert np.allclose(down[:, :n], expected, atol=1e-14)
    assert not down[:, n:].any()


# --- tilings


@settings(deadline=None, max_examples=200)
@given(st.integers(3, 5000), st.integers(1, 40), st.integers(8, 70))
def test_cuts_cover_an_axis_with_blocks_that_are_thick_enough(points, parts, least):
    cuts = cut_axis(points, parts, least)
    assert (cuts[0], cuts[-1]) == (0, points)
    assert len(cuts) - 1 <= parts
    if len(cuts) > 2:
        assert min(b - a for a, b in pairwise(cuts)) >= least
        assert all(cut % 4 == 0 for cut in cuts[:-1])


@pytest.mark.parametrize("shape", [(257, 257), (100, 1031), (94, 131), (33, 700)])
@pytest.mark.parametrize("ranks", [1, 2, 6, 16, 49])
@pytest.mark.parametrize("least", [8, 20])
@pytest.mark.parametrize("share", [1, 3, 8])
def test_each_level_is_owned_once_and_ends_on_one_rank(shape, ranks, least, share):
    axes = tuple(Axis(n - 1, 1, 1, 1 / (n - 1)) for n in shape)
    layout = Layout.choose(Domain(("y", "x"), shape, 8), ranks)
    workers = range(share // 2, ranks, share) if ranks > share else [0]
    levels = build_levels(axes, layout, least, None if share == 1 else workers)
    assert len(levels[-1].tiling.used) == 1
    for level in levels:
        size = tuple(axis.cells + 1 for axis in level.axes)
        for tiling in (level.tiling, level.parts):
            owners = np.zeros(size, int)
            assert len(set(tiling.used)) == len(tiling.used)
            assert set(tiling.used) <= set(range(ranks))
            assert share == 1 or set(tiling.used) <= set(workers)
            idle = set(range(ranks)) - set(tiling.used)
            assert all(tiling.block(rank).empty for rank in idle)
            for rank in tiling.used:
                (ja, ia), (jb, ib) = tiling.block(rank).start, tiling.block(rank).stop
                owners[ja:jb, ia:ib] += 1
                assert ia % 2 == 0
            assert (owners == 1).all()


def test_overlaps_and_strips_fit_together():
    layout = Layout.choose(Domain(("y", "x"), (200, 300), 8), 12)
    axes = (Axis(199, 1, 1, 1.0), Axis(299, 1, 1, 1.0))
    tiling = build_levels(axes, layout, 20)[0].tiling
    found = tiling.overlaps(Block((-4, 90), (70, 400)))
    assert sum(block.size for _, block in found) == 70 * 210
    assert all(tiling.overlaps(block) == [(rank, block)] for rank, block in found)
    # what one sends is what the other receives
    for rank in tiling.used:
        for strip in tiling.strips(rank, 8):
            (back,) = [s for s in tiling.strips(strip.rank, 8) if s.rank == rank]
            assert (back.sent, back.received) == (strip.received, strip.sent)


# --- solutions


def rates(state):
    residuals = state["residual"]
    return residuals[2:] / residuals[1:-1]


@pytest.mark.parametrize(
    ("shape", "domain", "worst"),
    [
        ("[65, 65]", "[[0, 1], [0, 1]]", 0.1),
        ("[129, 129]", "[[0, 1], [0, 1]]", 0.1),
        ("[130, 131]", "[[0, 1], [0, 1]]", 0.1),
        ("[100, 77]", "[[0, 1], [0, 1.3]]", 0.2),
        ("[129, 40]", "[[0, 1], [0, 1]]", 0.2),
        ("[40, 300]", "[[0, 1], [0, 1]]", 0.2),
        ("[33, 200]", "[[0, 30], [0, 1]]", 0.2),
    ],
)
def test_a_cycle_takes_more_than_a_decade_on_any_grid(shape, domain, worst):
    *_, state = solve(shape=shape, domain=domain, source="x", tolerance=1e-11)
    assert rates(state).max() < worst
    assert state["residual"][-1] <= 1e-11


def decades_a_cycle(n):
    """Return the slowest decrease of the residual of noise, in decades a cycle."""
    text = f"workload: laplace\nparameters: {{shape: [{n}, {n}], method: multigrid}}"
    problem = parse_problem(text, "test.yaml", ())
    ctx = Context(Comm(MPI.COMM_SELF), Device(1), problem.layout(1))
    cycles = Cycles(ctx, problem.workload._problem({}), 64, 0.0)
    finest = cycles.levels[0]
    ja, jb, ia, ib = finest.region()
    rows = np.random.default_rng(n)
    for j in range(ja, jb):
        row = np.zeros(2 * finest.u.shape[2])
        row[ia:ib] = rows.standard_normal(ib - ia)
        finest.u[j, 0], finest.u[j, 1] = row[0::2], row[1::2]
    residuals = []
    for _ in range(7):
        residuals.append(finest.norms().view(np.float64)[0])
        finest.exchange()
        cycles.cycle()
    cycles.close()
    # the first cycle meets mostly what the sweeps alone take away
    return -np.log10(np.divide(residuals[2:], residuals[1:-1])).min()


def test_cycles_for_a_decade_do_not_grow_with_the_grid():
    small = decades_a_cycle(257)
    assert small > 1
    assert decades_a_cycle(1025) > 0.95 * small


@pytest.mark.slow
def test_cycles_for_a_decade_do_not_grow_up_to_8193():
    small = decades_a_cycle(257)
    for n in (2049, 8193):
        assert decades_a_cycle(n) > 0.95 * small


@pytest.mark.parametrize("shape", ["[97, 97]", "[94, 131]"])
@pytest.mark.parametrize(
    "sides",
    [
        "{right: {flux: 0}}",
        "{left: {flux: 0}, bottom: {flux: 0}}",
        "{left: {flux: 1}, right: {flux: x - y}, top: {flux: 2}}",
    ],
)
def test_a_cycle_takes_most_of_a_decade_with_fluxes(shape, sides):
    *_, state = solve(shape=shape, boundary=sides, tolerance=1e-11)
    assert rates(state).max() < 0.25


def test_the_first_step_is_below_the_discretisation_error_and_the_estimate_holds():
    n = 129
    u, x, y, state = solve(shape=f"[{n}, {n}]", tolerance=0, max_iterations=1)
    # the discrete solution: sinh with 2 - 2 cos(pi h) = 2 cosh(k h) - 2
    h = 1 / (n - 1)
    k = 2 / h * math.asinh(math.sin(math.pi * h / 2))
    discrete = np.sin(np.pi * x) * np.sinh(k * y[:, None]) / math.sinh(k)
    exact = np.sin(np.pi * x) * np.sinh(np.pi * y[:, None]) / math.sinh(math.pi)
    error = np.abs(u - discrete).max()
    assert error < 0.1 * np.abs(discrete - exact).max()
    assert error <= state["error_estimate"] <= 20 * error


@pytest.mark.parametrize("accuracy", [1e-4, 1e-6, 1e-8])
def test_accuracy_is_reached_by_the_estimate(accuracy):
    n = 66
    u, x, y, state = solve(shape=f"[{n}, {n}]", accuracy=accuracy)
    h = 1 / (n - 1)
    k = 2 / h * math.asinh(math.sin(math.pi * h / 2))
    discrete = np.sin(np.pi * x) * np.sinh(k * y[:, None]) / math.sinh(k)
    assert np.abs(u - discrete).max() <= accuracy
    assert state["error_estimate"] <= accuracy


def errors(sides, source, exact, sizes, domain="[[0, 1], [0, 1]]"):
    """Return max errors against an analytic solution for some shapes."""
    found = []
    for ny, nx in sizes:
        u, x, y, _ = solve(
            shape=f"[{ny}, {nx}]",
            domain=domain,
            boundary=sides,
            source=source,
            tolerance=1e-10,
        )
        found.append(np.abs(u - exact(x, y[:, None])).max())
    return found


def test_a_manufactured_solution_with_source_has_second_order():
    found = errors(
        "{left: y**2, right: 1 + y**2, bottom: 'x**3', top: 'x**3 + 1 + sin(pi*x)'}",
        "'6*x + 2 + sin(pi*x)*(6*y - pi**2*y**3)'",
        lambda x, y: x**3 + y**2 + np.sin(np.pi * x) * y**3,
        [(41, 51), (81, 101), (161, 201)],
    )
    assert all(3.8 < a / b < 4.2 for a, b in pairwise(found))


def test_fluxes_have_second_order():
    # u = exp(x) cos(y) is harmonic; outward derivatives on three sides
    found = errors(
        "{left: {flux: -cos(y)}, right: exp(1)*cos(y), bottom: {flux: 0},"
        " top: {flux: '-exp(x)*sin(2)'}}",
        "0",
        lambda x, y: np.exp(x) * np.cos(y),
        [(38, 30), (75, 59), (149, 117)],
        domain="[[0, 1], [0, 2]]",
    )
    assert all(3.7 < a / b < 4.3 for a, b in pairwise(found))


def test_a_line_with_a_given_slope_is_met_exactly():
    # u = 3 x - 2 y, corners of a side with values belong to it
    u, x, y, _ = solve(
        shape="[50, 71]",
        boundary="{left: -2*y, right: {flux: 3}, bottom: 3*x, top: {flux: -2}}",
        tolerance=1e-11,
    )
    assert np.abs(u - (3 * x - 2 * y[:, None])).max() < 1e-9


# --- conjugate gradients


@pytest.mark.parametrize("shape", ["[97, 97]", "[94, 131]", "[40, 300]"])
@pytest.mark.parametrize("sides", ["{}", "{left: {flux: 1}, top: {flux: 2}}"])
def test_conjugate_gradients_meet_the_same_solution_in_few_steps(shape, sides):
    problem = {"shape": shape, "boundary": sides, "source": "x - y"}
    expected, *_ = solve(tolerance=1e-11, **problem)
    u, *_, state = solve(method="cg", tolerance=1e-11, **problem)
    assert np.abs(u - expected).max() < 1e-9 * np.abs(u).max()
    assert len(state["residual"]) <= 14
    assert np.abs(u - expected).max() <= state["error_estimate"] + 1e-9


def test_the_residual_by_recursion_is_that_of_the_solution():
    u, x, y, state = solve(method="cg", shape="[57, 66]", source="x*y", tolerance=1e-7)
    (rest,) = state.parts("r")
    dx, dy = x[1] - x[0], y[1] - y[0]
    here = u[1:-1, 1:-1]
    left = (u[:-2, 1:-1] + u[2:, 1:-1] - 2 * here) / dy**2
    left += (u[1:-1, :-2] + u[1:-1, 2:] - 2 * here) / dx**2
    left = x[1:-1] * y[1:-1, None] - left
    largest = np.abs(left).max()
    assert np.abs(rest.array[1:-1, 1:-1] - left).max() < 1e-3 * largest
    relative = largest / state["initial_residual"]
    assert state["residual"][-1] == pytest.approx(relative, rel=1e-3)


@pytest.mark.parametrize(("method", "grids"), [("multigrid", 3.5), ("cg", 6.0)])
def test_arrays_of_all_levels_are_few_grids(method, grids):
    problem = f"workload: laplace\nparameters: {{shape: [4097, 4097], method: {method}"
    for source in ("0", "x*y"):
        text = f"{problem}, source: {source}}}"
        workload = parse_problem(text, "test.yaml", ()).workload
        layout = Layout.choose(workload.domain(), 2)
        held = sum(workload.memory(layout, rank) for rank in range(2))
        assert held <= grids * 8 * 4097**2


@pytest.mark.parametrize("method", ["multigrid", "cg"])
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("shape", ["[70, 51]", "[40, 300]"])
def test_threads_change_no_bit(threads, shape, method):
    problem = {
        "method": method,
        "shape": shape,
        "source": "x*y",
        "boundary": "{left: {flux: 1}, top: x}",
        "tolerance": 0,
        "max_iterations": 3,
    }
    alone, *_, first = solve(**problem)
    shared, *_, second = solve(threads=threads, **problem)
    assert alone.tobytes() == shared.tobytes()
    assert first["residual"].tobytes() == second["residual"].tobytes()
