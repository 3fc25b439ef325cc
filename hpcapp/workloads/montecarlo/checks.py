# SPDX-License-Identifier: MIT
"""Laws of a right estimate: the truth is a few standard errors away."""

import math
import warnings
from collections.abc import Iterator

from hpcapp.evaluation import evaluate_number
from hpcapp.expression import parse
from hpcapp.validity import Check, Read, near
from hpcapp.workloads.montecarlo.parameters import Parameters

__all__ = ["check_estimate"]

# a normal estimate is further away once in 1.7 million runs
SIGMAS = 5.0


def check_estimate(parameters: Parameters, read: Read) -> Iterator[Check]:
    """Compare an estimate with the truth.

    Parameters
    ----------
    parameters : Parameters
        Of the run.
    read : callable
        Returns a variable of the result.

    Yields
    ------
    Check
        None of the value where the integral is not known by quadrature either.
    """
    samples = int(read("samples")[()])
    text = f"{samples} of {parameters.samples}"
    yield Check("samples", samples == parameters.samples, text)
    estimate = float(read("estimate")[()])
    error = float(read("standard_error")[()])
    truth, slack, source = _truth(parameters)
    if math.isfinite(error) and slack <= max(error, 1e-9 * abs(truth)):
        bound = SIGMAS * error + slack + 1e-14 * abs(truth)
        yield near(f"within {SIGMAS:g} standard errors", estimate, truth, bound, source)
    if parameters.estimator == "pi":
        inside = int(read("inside")[()])
        share = 4 * inside / samples
        yield near("share inside", estimate, share, 1e-14, f"{inside} inside")
    if parameters.estimator == "walk":
        ends = int(read("histogram")[:].sum())
        text = f"{ends} in the histogram of {samples}"
        yield Check("walkers that end", ends == samples, text)


def _truth(p: Parameters) -> tuple[float, float, str]:
    """Return the value, how well it is known, and from where."""
    if p.estimator == "pi":
        return math.pi, 0.0, "pi"
    if p.estimator == "walk":
        return 1.0, 0.0, "x^2 after t steps is t in the mean"
    from scipy.integrate import quad

    program = parse(p.function, ("x",))
    values = (program.constant,) if program.constant is not None else ()

    def f(x: float) -> float:
        return values[0] if values else evaluate_number(program, x)

    with warnings.catch_warnings():
        # of integrals that do not converge: their error is large, or no number
        warnings.simplefilter("ignore")
        value, error = quad(f, *p.interval, limit=200)[:2]
    known = math.isfinite(value) and math.isfinite(error)
    return value, error if known else math.inf, "scipy's quad"
