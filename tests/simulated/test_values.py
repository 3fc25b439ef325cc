# SPDX-License-Identifier: MIT
"""Laws of expressions and of sums on a GPU."""

import math

import numpy as np
import pytest

from hpcapp import reduction
from hpcapp.evaluation import evaluate_line
from hpcapp.expression import parse

X = np.array([0.25, 1.5, -0.75, 0.0, -3.0, 700.0, 1e-310, -0.0, np.inf, np.nan])

# functions of the CUDA library where there is hardware
LIBRARY = [
    *("exp(2*x)", "log(x)", "log10(x)", "log2(x)", "sin(x)", "cos(x)", "tan(x)"),
    *("asin(x)", "acos(x)", "atan(x)", "sinh(x)", "cosh(x)", "tanh(x)", "x**x"),
    *("atan2(x, 2)", "hypot(x, 3)"),
]

EXPRESSIONS = [
    *("-x", "abs(x)", "floor(x)", "ceil(x)", "sign(x)", "sqrt(x)", "x + 1/x"),
    *("x - 3*x", "min(x, 0.5)", "max(x, -x)", "x < 1", "x <= 1.5", "x > 0", "x >= 0"),
    *("where(x < 1, x - 1, 2*x)", "x**-3", "x**16", "x**0.5", "x**1.5", "x**2.5"),
    *("x**-0.5", "x**-1.5"),
    "(x - 1)*(x - (2 + x*(3 - x))) / where(x > 0, x, 1 + x*x)",
]


@pytest.fixture(scope="module")
def gpu():
    """Return a simulated GPU."""
    from hpcapp.gpu.choice import Choice, find_gpu, open_device

    return open_device(1, Choice(cuda=True), (find_gpu(),))


def evaluate_twice(gpu, text):
    """Return values of an expression on the GPU, and on the CPU."""
    from hpcapp.gpu.values import evaluate

    program = parse(text, ("x",))
    out = gpu.empty(X.size)
    evaluate(gpu, program, out, gpu.to_device(X))
    return gpu.from_device(out), evaluate_line(program, X)


@pytest.mark.parametrize("text", LIBRARY)
def test_functions_of_both_libraries_agree(gpu, text):
    found, expected = evaluate_twice(gpu, text)
    # each within 2 units of the last place, by the manual of CUDA's library; NaN, zero
    # and infinity are the same
    np.testing.assert_array_max_ulp(found, expected, 0 if gpu.simulated else 3)
    assert (np.signbit(found) == np.signbit(expected))[found == 0].all()


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_values_have_the_bits_of_the_cpu(gpu, text):
    found, expected = evaluate_twice(gpu, text)
    same = found.view(np.int64) == expected.view(np.int64)
    assert (same | (np.isnan(found) & np.isnan(expected))).all()


@pytest.mark.parametrize(
    "values",
    [
        [0.0, -0.0, 0.0],
        [1.0, 2.0**-40, -3.0, 0.1, 1e-9],
        # magnitudes too far apart for integers of two units
        [1.0, 1e-300, -1.0, 1e-300],
        [1e308, 1.0, -1e308],
        [5e-324, 1e-320, -2e-323],
        [math.pi * (-1.1) ** k for k in range(50)],
    ],
    ids=["zeros", "near", "far", "huge", "subnormal", "many"],
)
def test_sums_are_exact(gpu, values):
    from hpcapp.gpu.values import add_values

    limbs = reduction.zeros()
    reduction.add(limbs, np.array([0.5]))
    add_values(gpu, limbs, gpu.to_device(np.array(values)))
    assert reduction.to_float(limbs) == math.fsum([0.5, *values])


def test_sum_with_a_nan_or_an_infinity_says_so(gpu):
    from hpcapp.gpu.values import add_values

    for values, expected in (([1.0, np.inf], "inf"), ([np.nan, np.inf], "nan")):
        limbs = reduction.zeros()
        add_values(gpu, limbs, gpu.to_device(np.array(values)))
        assert str(reduction.to_float(limbs)) == expected


def test_no_thread_adds_more_than_its_integers_hold(gpu, monkeypatch):
    from hpcapp.gpu import values
    from hpcapp.gpu.values import add_values

    monkeypatch.setattr(values, "MOST", 2)
    grids, start = [], gpu.start

    def listen(kernel, grid, *arguments, **options):
        grids.append(grid)
        start(kernel, grid, *arguments, **options)

    monkeypatch.setattr(gpu, "start", listen)
    limbs, numbers = reduction.zeros(), [0.1 * k for k in range(1001)]
    add_values(gpu, limbs, gpu.to_device(np.array(numbers)))
    blocks, threads = grids[-1]
    assert 2 * blocks * threads >= 1001 > 2 * (blocks - 1) * threads
    assert reduction.to_float(limbs) == math.fsum(numbers)
