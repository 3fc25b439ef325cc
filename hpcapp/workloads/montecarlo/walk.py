# SPDX-License-Identifier: MIT
"""Random walks on a line: mean square distance, where walkers end, a few paths."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.device import Device
from hpcapp.fields import Field, State
from hpcapp.workload import Context
from hpcapp.workloads.montecarlo import on_gpu
from hpcapp.workloads.montecarlo.estimator import Estimator, Outcome, root

__all__ = ["Walk", "histogram"]

# bins in the distance that a walk typically goes, sqrt(steps)
BINS = 5


class Walk(Estimator):
    """Walkers that go one up or down at each step, all alike.

    Notes
    -----
    After t steps the mean of x^2 is t. The estimate is the mean square of the end
    over the number of steps, which is 1. All sums are integers.
    """

    what = "walkers"
    meaning = "mean square distance over steps"

    def __init__(self, parameters: Any, seed: int) -> None:
        super().__init__(parameters, seed)
        self.length: int = self.parameters.length
        # 0.4 ns a step
        self.most = max(1, (1 << 30) // self.length)

    def fields(self) -> tuple[Field, ...]:
        """Return paths, distribution of the ends, and mean squares."""
        return (
            Field("path", ("walker", "step"), "1", "position", "int64"),
            Field("step", ("step",), "1", "steps", "int64"),
            Field("bin", ("bin",), "1", "end of walk, centre of bin", "int64"),
            Field("histogram", ("bin",), "1", "walkers that end there", "int64"),
            Field("mean_square", ("step",), "1", "mean square distance"),
            Field("squares", ("step",), "1", "sum of squares", "int64", "state"),
            Field("ends", ("step",), "1", "walkers by end", "int64", "state"),
        )

    def start(self, state: State) -> None:
        """Start with no walker."""
        for name in ("squares", "ends"):
            state[name] = np.zeros(self.length + 1, np.int64)

    def prepare(self, state: State) -> None:
        """Walk the paths that are kept, on every rank alike."""
        from hpcapp.workloads.montecarlo.kernels import trace_walkers_cpu

        path = np.empty((self.parameters.kept, self.length + 1), np.int64)
        trace_walkers_cpu(path, *self.key)
        state["path"], state["step"] = path, np.arange(self.length + 1)

    def advance(self, ctx: Context, first: int, last: int) -> None:
        """Let the walkers of a range go."""
        from hpcapp.workloads.montecarlo.kernels import advance_walkers_cpu

        calls = []
        for a, b in self.mine(ctx, first, last):
            tables = np.zeros((2, self.length + 1), np.int64)
            calls.append((tables[0], tables[1], a, b, *self.key))
        if ctx.device.name == "cuda":
            for call in calls:
                on_gpu.advance_walkers(ctx.device, *call)
        else:
            ctx.device.launch(advance_walkers_cpu, calls)
        mine = np.zeros((2, self.length + 1), np.int64)
        for squares, ends, *_ in calls:
            mine += np.stack((squares, ends))
        total = ctx.comm.sum(mine)
        for name, table in zip(("squares", "ends"), total, strict=True):
            ctx.state[name] = ctx.state[name] + table

    def outcome(self, state: State, samples: int) -> Outcome:
        """Return mean(x^2) / steps and sqrt(variance of x^2 / n) / steps."""
        second, fourth = self._moments(state["ends"])
        estimate = Fraction(second, samples * self.length)
        if samples < 2:
            return Outcome(float(estimate), math.nan)
        spread = Fraction(samples * fourth - second**2, samples * (samples - 1))
        return Outcome(float(estimate), root(spread / samples / self.length**2))

    def publish(self, state: State) -> None:
        """Put mean squares and the distribution of the ends."""
        state["mean_square"] = state["squares"] / int(state["samples"])
        state["bin"], state["histogram"] = histogram(state["ends"])

    def tell(self, estimate: str) -> str:
        """Say what the estimate is."""
        walk = f"the mean square distance after {self.length} steps"
        return f"{walk} is {estimate} times their number"

    def warm_up(self, device: Device) -> None:
        """Compile both kernels."""
        from hpcapp.workloads.montecarlo.kernels import (
            advance_walkers_cpu,
            trace_walkers_cpu,
        )

        tables = np.zeros((2, 2), np.int64)
        call = (tables[0], tables[1], 0, 1, *self.key)
        if device.name == "cuda":
            on_gpu.advance_walkers(device, *call)
        else:
            device.launch(advance_walkers_cpu, [call])
        trace_walkers_cpu(np.empty((1, 2), np.int64), *self.key)

    def memory(self, threads: int) -> int:
        """Return bytes of tables by step: two a thread, the state's, the paths."""
        tables: int = 2 * threads + 16 + self.parameters.kept
        return 8 * (self.length + 1) * tables

    def gpu_memory(self) -> int:
        """Return bytes of both tables by step."""
        return 2 * 8 * (self.length + 1)

    def _moments(self, ends: NDArray[np.int64]) -> tuple[int, int]:
        """Return the sums of x^2 and x^4 over the ends, exactly."""
        at = np.flatnonzero(ends)
        places: Sequence[int] = (2 * at - self.length).tolist()
        counts: Sequence[int] = ends[at].tolist()
        squares = [x * x for x in places]
        pairs = list(zip(counts, squares, strict=True))
        second: int = sum(n * square for n, square in pairs)
        fourth: int = sum(n * square**2 for n, square in pairs)
        return second, fourth


def histogram(
    ends: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gather the ends of walks in bins of equal width.

    Parameters
    ----------
    ends : int64[steps + 1]
        Walkers that end at x = 2 i - steps; at least one.

    Returns
    -------
    bin : int64[n]
        Centres of the bins, from the first to the last that holds a walker. A bin
        holds an odd number of the positions that can be reached, about a fifth of
        sqrt(steps) wide; a centre lies at 0 (even number of steps) or -1.
    count : int64[n]
        Walkers in each.
    """
    steps = len(ends) - 1
    # positions are two apart
    wide = 2 * (math.isqrt(steps) // (4 * BINS)) + 1
    middle = steps // 2
    at = np.flatnonzero(ends)
    numbers = (at - middle + wide // 2) // wide
    count = np.zeros(int(numbers[-1] - numbers[0]) + 1, np.int64)
    np.add.at(count, numbers - numbers[0], ends[at])
    places = middle + wide * np.arange(numbers[0], numbers[-1] + 1)
    return (2 * places - steps).astype(np.int64), count
