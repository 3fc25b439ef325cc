# SPDX-License-Identifier: MIT
"""A workload whose ranks come to wait for one another."""

from collections.abc import Iterator

import numpy as np

from hpcapp.config import Integer, Model, parameter
from hpcapp.decomposition import Domain
from hpcapp.workload import Answer, Context, Field, State, Step, Workload


class Deadlock(Workload):
    """Receive from the next rank what no rank sends."""

    class Parameters(Model):
        """When."""

        step: Integer = parameter(4, "step from which no rank comes back")

    summary = "waits for ever"

    def domain(self) -> Domain:
        """Return a few points."""
        return Domain(("point",), (8,))

    def fields(self) -> tuple[Field, ...]:
        """Return nothing of interest."""
        return (Field("done", (), "1", "steps done", "int64", "both"),)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Do some steps, then wait."""
        comm = ctx.comm
        done = int(ctx.state["done"]) if ctx.state.resumed else 0
        while done < 8:
            if done == self.parameters.step:
                comm.receive(np.zeros(1), (comm.rank + 1) % comm.size)
            done += 1
            ctx.state["done"] = done
            yield Step(done / 8)

    def answer(self, state: State) -> Answer:
        """Return the steps."""
        return Answer("done", {"done": int(state["done"])})
