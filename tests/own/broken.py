# SPDX-License-Identifier: MIT
"""A workload with a defect on one rank, at a chosen place."""

from collections.abc import Iterator
from typing import Literal

from hpcapp.config import Integer, Model, parameter
from hpcapp.decomposition import Domain
from hpcapp.errors import HpcappError
from hpcapp.workload import Answer, Context, Field, State, Step, Workload


class Broken(Workload):
    """Fail on one rank."""

    class Parameters(Model):
        """Where."""

        rank: Integer = parameter(1, "rank that fails; -1: all of them")
        where: Literal["warm_up", "first", "later", "answer"] = parameter(
            "later", "when"
        )
        alone: bool = parameter(False, "other ranks do not wait in that step")
        known: bool = parameter(False, "an error for the user instead of a defect")

    summary = "fails"

    def domain(self) -> Domain:
        """Return a few points."""
        return Domain(("point",), (8,))

    def fields(self) -> tuple[Field, ...]:
        """Return nothing of interest."""
        return (Field("done", (), "1", "steps done", "int64", "both"),)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Fail at the first or at a later step."""
        ctx.state["done"] = 0
        for step in range(4):
            if self.parameters.where == ("first" if step == 0 else "later"):
                self._fail(ctx.comm.rank)
            if not self.parameters.alone:
                ctx.comm.barrier()
            ctx.state["done"] = step + 1
            yield Step((step + 1) / 4)
        self._rank = ctx.comm.rank

    def answer(self, state: State) -> Answer:
        """Fail at the end."""
        if self.parameters.where == "answer":
            self._fail(self._rank)
        return Answer("done", {})

    def warm_up(self, device) -> None:
        """Fail while compiling, on every rank."""
        if self.parameters.where == "warm_up":
            raise ZeroDivisionError("planted in warm_up")

    def _fail(self, rank: int) -> None:
        if self.parameters.rank in (rank, -1):
            if self.parameters.known:
                raise HpcappError("planted for the user")
            raise ZeroDivisionError(f"planted on rank {rank}")
