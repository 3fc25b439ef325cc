# SPDX-License-Identifier: MIT
"""A workload that takes its time in the first start of a batch job alone."""

import os
import time
from collections.abc import Iterator

import numpy as np

from hpcapp.config import Count, Model, Real, parameter
from hpcapp.decomposition import Domain
from hpcapp.workload import Answer, Context, Field, State, Step, Workload


class Patient(Workload):
    """Iterate the logistic map, in which each step counts."""

    class Parameters(Model):
        """How often, how slowly."""

        rounds: Count = parameter(400, "iterations")
        pause: Real = parameter(0.0, "of each, before the job is requeued", "s")

    summary = "the logistic map, slowly"

    def domain(self) -> Domain:
        """Return the iterations."""
        return Domain(("round",), (self.parameters.rounds,))

    def fields(self) -> tuple[Field, ...]:
        """Return the value, and how far it came."""
        return (
            Field("x", (), "1", "value", kind="both"),
            Field("done", (), "1", "iterations done", "int64", "state"),
        )

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Iterate."""
        rounds, state = self.parameters.rounds, ctx.state
        x, done = float(state.get("x", 0.5)), int(state.get("done", 0))
        pause = 0.0 if "SLURM_RESTART_COUNT" in os.environ else self.parameters.pause
        while done < rounds:
            time.sleep(pause)
            x = 3.9 * x * (1.0 - x)
            done += 1
            state["x"], state["done"] = np.float64(x), np.int64(done)
            yield Step(done / rounds)

    def answer(self, state: State) -> Answer:
        """Return the value."""
        return Answer(f"x {float(state['x'])!r}", {"x": float(state["x"])})
