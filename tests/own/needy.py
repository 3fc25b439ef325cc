# SPDX-License-Identifier: MIT
"""A workload with a parameter that has no default."""

from collections.abc import Iterator

from hpcapp.config import Count, Integer, Model, PathText, parameter
from hpcapp.decomposition import Domain
from hpcapp.workload import Answer, Context, Field, State, Step, Workload


class Needy(Workload):
    """Count to a number that must be given."""

    class Parameters(Model):
        """How far."""

        points: Count = parameter(..., "the last number")
        start: Integer = parameter(0, "the first number")
        inputs: tuple[PathText, ...] = parameter(("~/a",), "files, ignored", "")

    summary = "needs a parameter"
    growing = "points, from a start of 0"

    def extendable(self) -> frozenset[str]:
        """Return what may grow, which depends on a parameter."""
        return frozenset({"points"} if self.parameters.start == 0 else ())

    def domain(self) -> Domain:
        """Return the numbers."""
        return Domain(("point",), (self.parameters.points,))

    def fields(self) -> tuple[Field, ...]:
        """Return how far it came."""
        return (Field("done", (), "1", "numbers counted", "int64", "both"),)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Count at once."""
        ctx.state["done"] = self.parameters.points - self.parameters.start
        yield Step(1.0)

    def answer(self, state: State) -> Answer:
        """Return how far it came."""
        return Answer(f"done {int(state['done'])}", {})
