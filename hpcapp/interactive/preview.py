# SPDX-License-Identifier: MIT
"""A plan and a decomposition as a notebook shows them."""

from dataclasses import dataclass

from hpcapp.decomposition import Layout
from hpcapp.interactive.display import layout_svg, table_html
from hpcapp.planning import Plan, make_plan
from hpcapp.problem import Problem

__all__ = ["Preview", "preview"]


@dataclass(frozen=True)
class Preview:
    """What a run will need, and which rank will own what.

    Parameters
    ----------
    plan : Plan
        Grid, blocks, halo, memory, output.
    layout : Layout
        The blocks of all ranks.
    """

    plan: Plan
    layout: Layout

    def __str__(self) -> str:
        """Return the plan in a form to read."""
        return self.plan.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the plan as a table, with a picture of the blocks."""
        return f"{table_html(self.plan.text())}{layout_svg(self.layout)}"


def preview(problem: Problem, ranks: int) -> Preview:
    """Work out what a run needs.

    Parameters
    ----------
    problem : Problem
        A valid configuration.
    ranks : int
        How many.

    Returns
    -------
    Preview
        Nothing was computed.
    """
    return Preview(make_plan(problem, ranks), problem.layout(ranks))
