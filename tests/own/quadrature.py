# SPDX-License-Identifier: MIT
"""A workload outside the package: the integral of 4 / (1 + x^2) by midpoints.

It shows that the contract needs no edit elsewhere: counted points shared out
anew at each step, an exact sum as state, and a field of one axis.
"""

import math
from collections.abc import Iterator

import numpy as np

from hpcapp import reduction
from hpcapp.config import Count, Model, parameter
from hpcapp.decomposition import Domain, part_of
from hpcapp.validity import near
from hpcapp.workload import Answer, Context, Field, Part, State, Step, Workload


class Quadrature(Workload):
    """Integrate, one chunk of points a step."""

    class Parameters(Model):
        """How finely."""

        points: Count = parameter(1000, "midpoints")
        chunk: Count = parameter(130, "points of a step, all ranks together")

    summary = "integral of 4 / (1 + x^2) from 0 to 1"
    unit = "points"

    def domain(self) -> Domain:
        """Return the midpoints."""
        return Domain(("point",), (self.parameters.points,))

    def fields(self) -> tuple[Field, ...]:
        """Return the integral, the integrand and the exact sum."""
        return (
            Field("integral", (), "1", "integral", kind="both"),
            Field("f", ("point",), "1", "integrand", kind="both", distributed=True),
            Field("done", (), "1", "points added", "int64", "state"),
            Field("limbs", ("limb",), "1", "exact sum", "int64", "state"),
        )

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Add a chunk, shared out over all ranks, at each step."""
        n, state, block = self.parameters.points, ctx.state, ctx.block
        f = np.zeros(block.shape)
        state.read("f", block, f)
        limbs = np.array(state.get("limbs", reduction.zeros()))
        done = int(state.get("done", 0))
        state["f"] = [Part(block, f)]
        while done < n:
            count = min(self.parameters.chunk, n - done)
            a, b = part_of(count, ctx.comm.size, ctx.comm.rank)
            mine = reduction.zeros()
            reduction.add(mine, _integrand(np.arange(done + a, done + b), n))
            reduction.normalise(mine)
            limbs = reduction.merge(limbs, ctx.comm.sum(mine))
            first, last = max(block.start[0], done), min(block.stop[0], done + count)
            if first < last:
                inside = slice(first - block.start[0], last - block.start[0])
                f[inside] = _integrand(np.arange(first, last), n)
            done += count
            state["limbs"], state["done"] = limbs, np.int64(done)
            state["integral"] = np.float64(reduction.to_float(limbs) / n)
            yield Step(done / n, work=count)

    def answer(self, state: State) -> Answer:
        """Return the integral and its distance from pi."""
        value = float(state["integral"])
        return Answer(
            text=f"integral {value:.12f}, off by {abs(value - math.pi):.1e}",
            values={"integral": value},
        )

    def checks(self, read):
        """Compare with pi: the midpoint rule is off by h^2 / 12 (f'(1) - f'(0)) / 2."""
        value, n = float(read("integral")[()]), self.parameters.points
        yield near("pi", value, math.pi, 1 / n**2, "Archimedes")

    def warm_up(self, device) -> None:
        """Compile the exact sum."""
        reduction.add(reduction.zeros(), np.zeros(2))


def _integrand(index: np.ndarray, n: int) -> np.ndarray:
    x = (index + 0.5) / n
    return 4.0 / (1.0 + x * x)
