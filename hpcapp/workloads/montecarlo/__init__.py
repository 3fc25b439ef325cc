# SPDX-License-Identifier: MIT
"""Monte Carlo estimates: pi, integrals, random walks."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from hpcapp.config import Model, Run
from hpcapp.decomposition import Domain, Layout
from hpcapp.device import Device, cores
from hpcapp.validity import Check, Read
from hpcapp.workload import Answer, Context, Field, State, Step, Workload
from hpcapp.workloads.montecarlo.checks import check_estimate
from hpcapp.workloads.montecarlo.estimator import Estimator
from hpcapp.workloads.montecarlo.integral import Integral, StratifiedIntegral
from hpcapp.workloads.montecarlo.parameters import Parameters
from hpcapp.workloads.montecarlo.pi import Pi, StratifiedPi
from hpcapp.workloads.montecarlo.walk import Walk

__all__ = ["MonteCarlo"]

ESTIMATORS: dict[tuple[str, str], type[Estimator]] = {
    ("pi", "random"): Pi,
    ("pi", "stratified"): StratifiedPi,
    ("integral", "random"): Integral,
    ("integral", "stratified"): StratifiedIntegral,
    ("walk", "random"): Walk,
}

# cuts are multiples of it: whole triples of samples, whole pairs
ALIGN = 6

# a run of any size has at least so many steps, and of the largest about so many
FEWEST, USUAL = 4, 1000

# so many times as many samples in a step on a GPU: a step of a core's length would be
# over there before the host has made the launches and copies of the next
ON_GPU = 16


class MonteCarlo(Workload):
    """Estimate from samples that each depend on seed and number alone.

    Parameters
    ----------
    parameters : Parameters
        Validated.
    run : Run
        Threads, seed.

    Notes
    -----
    Steps end where the configuration says: after fixed numbers of samples, and after
    1, 10, 100, ... if they are random, where the estimate is kept. Each step's samples
    are shared out anew over ranks and threads. What is added up are integers, or
    doubles through `hpcapp.reduction`, so that no layout changes a bit.
    """

    Parameters: ClassVar[type[Model]] = Parameters
    summary: ClassVar[str] = "Monte Carlo estimates: pi, integrals, random walks"
    unit: ClassVar[str] = "samples"
    watched: ClassVar[str] = "estimate"

    def __init__(self, parameters: Any, run: Run) -> None:
        super().__init__(parameters, run)
        kind = ESTIMATORS[parameters.estimator, parameters.sampling]
        self.estimator = kind(parameters, run.seed)
        self.random = parameters.sampling == "random"

    def domain(self) -> Domain:
        """Return the samples; each step shares out its own."""
        return Domain(("sample",), (self.parameters.samples,), dealt=True)

    def fields(self) -> tuple[Field, ...]:
        """Return estimate, error, their history and what the estimator counts."""
        text = f"estimate of {self.estimator.meaning}"
        what = self.estimator.what
        history = (
            Field("mark", ("mark",), "1", what, "int64", "both"),
            Field("partial", ("mark",), "1", text, kind="both"),
            Field("partial_error", ("mark",), "1", "standard error", kind="both"),
        )
        return (
            Field("estimate", (), "1", text, kind="both"),
            Field("standard_error", (), "1", "standard error", kind="both"),
            Field("samples", (), "1", f"number of {what}", "int64", "both"),
            *self.estimator.fields(),
            *(history if self.random else ()),
        )

    def without_gpu(self) -> str:
        """Return "": there are CUDA kernels for all estimators."""
        return ""

    def extendable(self) -> frozenset[str]:
        """Return the number of samples, unless each has a cell of its own."""
        return frozenset({"samples"} if self.random else ())

    def grown(self, factor: float) -> Mapping[str, Any]:
        """Return more samples."""
        return {"samples": max(1, round(self.parameters.samples * factor))}

    def memory(self, layout: Layout, rank: int) -> int:  # noqa: ARG002
        """Return bytes of what threads work in and of the tables of results."""
        threads = self.run.threads
        return self.estimator.memory(len(cores()) if threads == "auto" else threads)

    def gpu_memory(self, layout: Layout, rank: int) -> tuple[int, int]:  # noqa: ARG002
        """Return bytes of a piece of samples, or of tables; there are no messages."""
        return self.estimator.gpu_memory(), 0

    def checks(self, read: Read) -> Iterator[Check]:
        """Compare with the truth, in standard errors."""
        return check_estimate(self.parameters, read)

    def warm_up(self, device: Device) -> None:
        """Compile the kernels of the estimator."""
        self.estimator.warm_up(device)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Add samples up to the next cut at each step."""
        state, n = ctx.state, self.parameters.samples
        if not state.resumed:
            state["samples"] = np.int64(0)
            for name in ("partial", "partial_error"):
                state[name] = np.zeros(0)
            state["mark"] = np.zeros(0, np.int64)
            self.estimator.start(state)
        self.estimator.prepare(state)
        done = int(state["samples"])
        if done:
            # a run that was stopped at its last yield takes no step any more
            self.estimator.publish(state)
        while done < n:
            last = self._next_cut(done, ON_GPU if ctx.device.name == "cuda" else 1)
            self.estimator.advance(ctx, done, last)
            count, done = last - done, last
            self._record(state, done)
            value = float(state["estimate"])
            yield Step(done / n, self._note(state), float(count), value)

    def answer(self, state: State) -> Answer:
        """Return the estimate and its standard error."""
        estimate, error = float(state["estimate"]), float(state["standard_error"])
        n = int(state["samples"])
        text = self.estimator.tell(_with_error(estimate, error))
        warning = ""
        if math.isnan(error):
            warning = (
                "montecarlo: no standard error: the squares of integrand overflow; "
                "scale it"
            )
        return Answer(
            text=f"{text} (1 standard error) from {_short(n)} {self.estimator.what}",
            values={"estimate": estimate, "standard_error": error, "samples": n},
            warning=warning,
        )

    def _next_cut(self, done: int, factor: int) -> int:
        """Return where the step ends that starts after so many samples."""
        n: int = self.parameters.samples
        most = min(-(-n // FEWEST), max(factor * self.estimator.most, n // USUAL))
        chunk = -(-most // ALIGN) * ALIGN
        cuts = [n, (done // chunk + 1) * chunk]
        if self.random:
            cuts.append(10 ** len(str(done)) if done else 1)
        return min(cuts)

    def _record(self, state: State, done: int) -> None:
        """Make the state complete for the next yield."""
        found = self.estimator.outcome(state, done)
        state["samples"] = np.int64(done)
        state["estimate"] = np.float64(found.estimate)
        state["standard_error"] = np.float64(found.error)
        if self.random and done == 10 ** (len(str(done)) - 1):
            state["mark"] = np.append(state["mark"], np.int64(done))
            state["partial"] = np.append(state["partial"], found.estimate)
            state["partial_error"] = np.append(state["partial_error"], found.error)
        self.estimator.publish(state)

    def _note(self, state: State) -> str:
        return _with_error(float(state["estimate"]), float(state["standard_error"]))


def _with_error(value: float, error: float) -> str:
    """Return both with the digits that the error leaves, such as 3.1416 +- 0.0012."""
    if not (math.isfinite(error) and error > 0 and 1e-4 <= abs(value) < 1e6):
        return f"{value:.6g} +- {error:.2g}"
    digits = min(15, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def _short(n: int) -> str:
    """Return a count, a round one as a power: 1e8, 3e6, 12345."""
    zeros = len(str(n)) - len(str(n).rstrip("0"))
    return f"{str(n)[:-zeros]}e{zeros}" if zeros >= 5 else str(n)
