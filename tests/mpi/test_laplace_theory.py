# SPDX-License-Identifier: MIT
"""`laplace` against theory and a direct solver, on whatever ranks there are."""

import math
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from hpcapp.errors import ConfigError, Exit, HpcappError

sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))
from harness import run

pytestmark = pytest.mark.mpi


@pytest.fixture
def solve(comm, folder):
    """Return a function that runs a problem and loads its result on all ranks."""
    count = iter(range(100))

    def call(**parameters):
        number = next(count)
        config, target = folder / f"{number}.yaml", folder / f"{number}"
        if comm.root:
            body = "".join(f"  {key}: {value}\n" for key, value in parameters.items())
            config.write_text(f"workload: laplace\nparameters:\n{body}")
        comm.barrier()
        outcome, _ = run(comm, config, target)
        assert outcome.code == Exit.DONE
        with h5py.File(target / "result.nc") as file:
            found = {name: item[()] for name, item in file.items() if name != "state"}
        return found, outcome.answer

    return call


def direct(u, x, y, source):
    """Solve the five-point equations with u's boundary by sparse elimination."""
    dx, dy = x[1] - x[0], y[1] - y[0]
    ny, nx = len(y) - 2, len(x) - 2

    def second(n, h):
        ones = [1.0, -2.0, 1.0]
        return diags_array(ones, offsets=[-1, 0, 1], shape=(n, n)) / h**2

    matrix = kron(eye_array(ny), second(nx, dx)) + kron(second(ny, dy), eye_array(nx))
    right = source(*np.meshgrid(x[1:-1], y[1:-1])) * np.ones((ny, nx))
    right[0] -= u[0, 1:-1] / dy**2
    right[-1] -= u[-1, 1:-1] / dy**2
    right[:, 0] -= u[1:-1, 0] / dx**2
    right[:, -1] -= u[1:-1, -1] / dx**2
    exact = u.copy()
    exact[1:-1, 1:-1] = spsolve(matrix.tocsc(), right.ravel()).reshape(ny, nx)
    return exact


PROBLEMS = [
    ("[23, 31]", "[[0, 1], [0, 1]]", "0", lambda x, y: 0 * x),
    ("[18, 9]", "[[-1, 1], [2, 7]]", "x*y - 3", lambda x, y: x * y - 3),
    ("[3, 41]", "[[0, 4], [0, 0.5]]", "exp(-x)", lambda x, y: np.exp(-x)),
    ("[40, 5]", "[[1, 2], [0, 1]]", "-7.5", lambda x, y: 0 * x - 7.5),
]


@pytest.mark.parametrize("method", ["jacobi", "sor", "multigrid", "cg"])
@pytest.mark.parametrize("shape, domain, text, source", PROBLEMS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-9])
def test_distance_to_the_direct_solution_is_below_the_bound(
    solve, method, shape, domain, text, source, tolerance
):
    sides = "{left: y, right: 'cos(y)', bottom: 'x**2', top: '1 - x'}"
    found, answer = solve(
        shape=shape,
        domain=domain,
        boundary=sides,
        source=text,
        method=method,
        tolerance=tolerance,
        check_every=7,
    )
    u, x, y = found["u"], found["x"], found["y"]
    exact = direct(u, x, y, source)
    error = np.abs(u - exact).max()
    assert answer.converged
    assert error <= found["error_bound"] * (1 + 1e-9) + 1e-13 * np.abs(u).max()
    if tolerance < 1e-8:
        assert error < 1e-6 * max(1, np.abs(u).max())
    # the boundary as the configuration has it
    assert np.allclose(u[1:-1, 0], y[1:-1], atol=1e-15)
    assert np.allclose(u[1:-1, -1], np.cos(y[1:-1]), atol=1e-15)
    assert np.allclose(u[0, 1:-1], x[1:-1] ** 2, atol=1e-15)
    assert np.allclose(u[-1, 1:-1], 1 - x[1:-1], atol=1e-15)
    assert u[0, 0] == pytest.approx(0.5 * (y[0] + x[0] ** 2), abs=1e-15)
    assert u[-1, -1] == pytest.approx(0.5 * (np.cos(y[-1]) + 1 - x[-1]), abs=1e-15)


def test_error_falls_with_the_square_of_the_spacing(solve):
    errors = []
    for n in (17, 33, 65):
        shape = f"[{n}, {n}]"
        found, _ = solve(shape=shape, boundary="{top: sin(pi*x)}", accuracy=1e-9)
        x, y = found["x"], found["y"][:, None]
        exact = np.sin(np.pi * x) * np.sinh(np.pi * y) / np.sinh(np.pi)
        errors.append(np.abs(found["u"] - exact).max())
    assert 3.8 < errors[0] / errors[1] < 4.2
    assert 3.8 < errors[1] / errors[2] < 4.2


def test_the_discrete_sinh_solution_is_met(solve):
    n = 33
    found, _ = solve(shape=f"[{n}, {n}]", boundary="{top: sin(pi*x)}", accuracy=1e-10)
    h = 1 / (n - 1)
    # the five-point scheme has sin(pi x) sinh(k y) with sinh(k h / 2) = sin(pi h / 2)
    k = 2 / h * math.asinh(math.sin(math.pi * h / 2))
    y = found["y"][:, None]
    exact = np.sin(np.pi * found["x"]) * np.sinh(k * y) / math.sinh(k)
    assert np.abs(found["u"] - exact).max() < 2e-10


def test_a_manufactured_poisson_problem(solve):
    text = "'-2*pi**2*sin(pi*x)*sin(pi*y)'"
    errors = []
    for n in (17, 33):
        found, _ = solve(
            shape=f"[{n}, {2 * n - 1}]",
            domain="[[0, 2], [0, 1]]",
            boundary="{top: 0}",
            source=text,
            tolerance=1e-10,
        )
        exact = np.sin(np.pi * found["x"]) * np.sin(np.pi * found["y"][:, None])
        errors.append(np.abs(found["u"] - exact).max())
    assert 3.9 < errors[0] / errors[1] < 4.1


def test_residuals_are_as_defined_and_at_the_iterations_configured(solve):
    found, _ = solve(
        shape="[21, 17]",
        method="jacobi",
        tolerance=0,
        max_iterations=25,
        check_every=10,
    )
    assert found["iteration"].tolist() == [0, 10, 20, 25]
    x, y, u = found["x"], found["y"], np.zeros((21, 17))
    u[-1] = np.sin(np.pi * x)
    u[-1, [0, -1]] = 0.5 * u[-1, [0, -1]]
    wy, wx = 1 / (y[1] - y[0]) ** 2, 1 / (x[1] - x[0]) ** 2

    def residual(u):
        here = 2 * u[1:-1, 1:-1]
        up = (u[2:, 1:-1] + u[:-2, 1:-1] - here) * wy
        return np.abs(up + (u[1:-1, 2:] + u[1:-1, :-2] - here) * wx).max()

    first, history = residual(u), []
    for sweep in range(1, 26):
        new = wy * (u[2:, 1:-1] + u[:-2, 1:-1]) + wx * (u[1:-1, 2:] + u[1:-1, :-2])
        u[1:-1, 1:-1] = new / (2 * (wy + wx))
        if sweep in (10, 20, 25):
            history.append(residual(u) / first)
    assert np.allclose(found["u"], u, rtol=0, atol=1e-14)
    assert np.allclose(found["residual"], [1, *history], rtol=1e-12)
    assert found["error_bound"] == pytest.approx(history[-1] * first / 8, rel=1e-12)


def test_zero_data_are_converged_after_no_sweep(solve):
    found, answer = solve(shape="[9, 9]", boundary="{top: 0}")
    assert answer.converged is True
    assert found["iteration"].tolist() == [0]
    assert not found["u"].any()


@pytest.mark.parametrize("source", ["0", "5"])
def test_accuracy_is_relative_to_the_largest_value_boundary_included(solve, source):
    # 1000 at one corner of the boundary, far smaller values inside
    top = "1000*exp(-60*x)"
    goal = {"shape": "[9, 9]", "accuracy": 1e-3, "check_every": 1, "source": source}
    found, answer = solve(boundary=f"{{top: {top}, left: 0}}", method="jacobi", **goal)
    u, residual = np.abs(found["u"]), found["residual"]
    bounds = found["error_bound"] * residual / residual[-1]
    assert answer.converged
    assert u.max() > 2 * u[1:-1, 1:-1].max()
    assert bounds[-1] <= 1e-3 * u.max() < bounds[-2]


def test_a_goal_that_is_not_met_warns_and_says_so(solve):
    _, answer = solve(shape="[33, 33]", tolerance=1e-9, max_iterations=5)
    assert answer.converged is False
    assert "tolerance not met after max_iterations = 5 sweeps" in answer.warning


def test_tolerance_zero_runs_exactly_max_iterations(solve):
    found, answer = solve(shape="[5, 5]", tolerance=0, max_iterations=77)
    assert found["iteration"][-1] == 77
    assert answer.converged is None


def test_tolerance_zero_goes_on_where_the_residual_becomes_zero(solve):
    found, answer = solve(
        shape="[5, 5]",
        boundary="{left: 1, right: 1, bottom: 1, top: 1}",
        method="jacobi",
        tolerance=0,
        max_iterations=500,
    )
    assert found["residual"][-1] == 0
    assert found["iteration"][-1] == 500
    assert answer.converged is None


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("1/(x - 0.5)", r"which is inf at x = 0.5, y = 0.125"),
        ("log(x - 0.5)", r"which is nan at x = 0.125, y = 0.125"),
        ("'1/((x - 0.75)*(x - 0.75) + (y - 0.875)**2)'", r"inf at x = 0.75, y = 0.875"),
    ],
)
def test_a_source_that_is_no_number_is_named_with_the_first_place(solve, source, place):
    rule = r"^laplace: parameters\.source: must be a finite number at all points inside"
    with pytest.raises(HpcappError, match=rf"{rule}, got .*{place}$"):
        solve(shape="[9, 9]", source=source)


def test_a_source_may_be_infinite_on_the_boundary(solve):
    found, answer = solve(shape="[9, 9]", source="log(x*y)")
    assert answer.converged
    assert np.isfinite(found["u"]).all()


def test_a_boundary_too_large_for_the_spacing_is_said(solve):
    with pytest.raises(HpcappError, match=r"boundary: .* initial guess must be finite"):
        solve(shape="[9, 9]", boundary="{top: 1e308}")


def test_values_that_grow_beyond_the_numbers_are_said_with_the_sweep(solve):
    with pytest.raises(HpcappError, match=r"the iteration diverged at sweep \d+:"):
        solve(
            shape="[9, 9]",
            boundary="{left: 1.3e306, right: 1.3e306, bottom: 1.3e306, top: 1.3e306}",
            relaxation=1.999,
            tolerance=0,
            check_every=1,
            max_iterations=50,
        )


def test_a_boundary_that_is_no_number_is_refused_before_anything_else(solve):
    with pytest.raises(ConfigError, match=r"boundary.top: must be a finite number"):
        solve(shape="[9, 9]", boundary="{top: 1e300*exp(300*x)}")
