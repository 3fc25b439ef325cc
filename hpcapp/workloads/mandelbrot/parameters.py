# SPDX-License-Identifier: MIT
"""Parameters of the workload `mandelbrot`."""

from typing import Annotated, Literal

from pydantic import Field

from hpcapp.config import Count, Model, Real, parameter

__all__ = ["Parameters"]

# more pixels than this on an axis have indices that doubles do not tell apart
Pixels = Annotated[Count, Field(le=10**9)]
Extent = Annotated[Real, Field(gt=0, le=1e100)]


class Parameters(Model):
    """Which part of the plane, how finely, and how the work is shared out."""

    shape: tuple[Pixels, Pixels] = parameter(
        (768, 1024), "pixels along the imaginary and the real axis"
    )
    center: tuple[Real, Real] = parameter(
        (-0.75, 0.0), "[re, im] of the pixel in the middle"
    )
    extent: tuple[Extent, Extent] = parameter(
        (3.2, 2.4), "[width, height] that the picture shows at least"
    )
    max_iterations: Count = parameter(1000, "iterations at most", le=2**31 - 1)
    julia: tuple[Real, Real] | None = parameter(
        None, "[re, im] of the constant of a Julia set; null: the Mandelbrot set"
    )
    schedule: Literal["block", "cyclic", "cost", "dynamic"] = parameter(
        "cost",
        "who computes which rows: one block, bands in turn, bands by predicted "
        "cost, or bands claimed one after the other",
        "",
    )
    interior: bool = parameter(
        True, "recognise points that never escape; changes no count", ""
    )
