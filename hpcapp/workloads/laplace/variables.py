# SPDX-License-Identifier: MIT
"""The variables of a result of the workload `laplace`."""

from typing import Any

import numpy as np

from hpcapp.workload import Field
from hpcapp.workloads.laplace.parameters import CYCLES

__all__ = ["list_fields"]


def list_fields(method: str, kind: np.dtype[Any]) -> tuple[Field, ...]:
    """Return solution, coordinates, history of the residual and bound.

    Parameters
    ----------
    method : str
        As in `Parameters`.
    kind : dtype
        Of the solution.
    """
    found = _common_fields(kind.name)
    if method in CYCLES:
        found += _cycle_fields()
    if method == "cg":
        both = (("r", "residual by recursion"), ("p", "search direction"))
        found += tuple(
            Field(name, ("y", "x"), "1", about, kind="state", distributed=True)
            for name, about in both
        )
        found += (Field("rho", (), "1", "inner product of r, z", kind="state"),)
    return found


def _cycle_fields() -> tuple[Field, ...]:
    about = "estimated distance to the discrete solution, max norm"
    return (
        Field("error_estimate", (), "1", about, kind="both"),
        Field("correction", (), "1", "last correction", kind="state"),
    )


def _common_fields(kind: str) -> tuple[Field, ...]:
    axis, space = ("iteration",), ("y", "x")
    bound = "bound of the distance to the discrete solution, max norm"
    return (
        Field("u", space, "1", "solution", kind, "both", distributed=True),
        Field("y", ("y",), "1", "y"),
        Field("x", ("x",), "1", "x"),
        Field("iteration", axis, "1", "sweeps or cycles done", "int64", "both"),
        Field("residual", axis, "1", "relative max-norm residual", kind="both"),
        Field("error_bound", (), "1", bound, kind="both"),
        Field("initial_residual", (), "1", "residual before sweeps", kind="state"),
        Field("largest", (), "1", "max |u|", kind="state"),
    )
