# SPDX-License-Identifier: MIT
"""Escape times of the Mandelbrot set and of Julia sets."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from hpcapp.config import Model, Run
from hpcapp.decomposition import Domain, Layout
from hpcapp.device import Device
from hpcapp.validity import Check, Read
from hpcapp.workload import Answer, Context, Field, State, Step, Workload
from hpcapp.workloads.mandelbrot.checks import check_picture
from hpcapp.workloads.mandelbrot.on_gpu import ORBITS
from hpcapp.workloads.mandelbrot.painting import ROUND, Painter
from hpcapp.workloads.mandelbrot.parameters import Parameters
from hpcapp.workloads.mandelbrot.picture import Plane, piece_rows

__all__ = ["Mandelbrot"]


class Mandelbrot(Workload):
    """Count iterations of z -> z^2 + c until |z| > 2.

    Parameters
    ----------
    parameters : Parameters
        Validated.
    run : Run
        Threads.

    Notes
    -----
    The count of a pixel is the smallest n >= 0 with zr^2 + zi^2 > 4 in double
    arithmetic, z_0 = 0, else `max_iterations`; c = center + (i - nx // 2) s +
    (j - ny // 2) s i with s = max(width / nx, height / ny). It does not depend on
    who computes it, so neither do schedule, threads or `interior` change a bit.

    Points are recognised as interior where that is certain: within the cardioid or
    the disc of period 2 (with a margin, since close to their edge a rounded orbit
    might escape), or when the rounded orbit has come back to a number it had
    before, bit by bit, and so never leaves. See A. Douady, J. H. Hubbard, "Etude
    dynamique des polynomes complexes" (1984) for the two discs.
    """

    Parameters: ClassVar[type[Model]] = Parameters
    summary: ClassVar[str] = "Escape times of the Mandelbrot set and of Julia sets"
    unit: ClassVar[str] = "pixels"
    tuning: ClassVar[frozenset[str]] = frozenset({"schedule", "interior"})

    def __init__(self, parameters: Any, run: Run) -> None:
        super().__init__(parameters, run)
        self.plane = Plane(parameters)

    def domain(self) -> Domain:
        """Return the pixels; rows stay whole."""
        p = self.parameters
        dealt = p.schedule != "block"
        return Domain(("im", "re"), p.shape, cut=1, dealt=dealt)

    def fields(self) -> tuple[Field, ...]:
        """Return the counts, coordinates, and the orbits that did not escape."""
        spread: dict[str, Any] = {"kind": "state", "distributed": True, "listed": True}
        return (
            Field(
                "iterations",
                ("im", "re"),
                "1",
                "iterations before escape",
                "int32",
                kind="both",
                distributed=True,
                partial=True,
            ),
            Field("im", ("im",), "1", "imaginary part"),
            Field("re", ("re",), "1", "real part"),
            Field("inside", (), "1", "pixels that did not escape", "int64"),
            Field("row", ("row",), "1", "rows that are done", "int64", **spread),
            Field("orbit", ("orbit",), "1", "pixels that go on", "int64", **spread),
            Field("orbit_re", ("orbit",), "1", "real part of their z", **spread),
            Field("orbit_im", ("orbit",), "1", "imaginary part", **spread),
            Field("reached", (), "1", "iterations of those", "int64", "state"),
            Field("never", (), "1", "count that means none", "int64", "state"),
        )

    def without_gpu(self) -> str:
        """Return "": there are CUDA kernels for all of it."""
        return ""

    def extendable(self) -> frozenset[str]:
        """Return the number of iterations: unfinished orbits are kept."""
        return frozenset({"max_iterations"})

    def grown(self, factor: float) -> Mapping[str, Any]:
        """Return the same view with more pixels."""
        finer = math.sqrt(factor)
        return {"shape": [max(1, round(n * finer)) for n in self.parameters.shape]}

    def memory(self, layout: Layout, rank: int) -> int:  # noqa: ARG002
        """Return bytes of counts and of orbits that go on, at most.

        28 bytes a pixel where no interior point is recognised, else about 8; a
        dynamic schedule stops at twice the average share.
        """
        nx, rows = self.parameters.shape[1], self._most_rows(layout)
        threads = 1 if self.run.threads == "auto" else self.run.threads
        piece = min(rows, piece_rows(nx)) * threads
        return int(nx * (rows * (8 if self.parameters.interior else 28) + 24 * piece))

    def gpu_memory(self, layout: Layout, rank: int) -> tuple[int, int]:  # noqa: ARG002
        """Return bytes of a call's pixels, or of the orbits that go on; no messages.

        A pixel has a count and, before and after a call, place and z: 4 + 2 x 24 bytes.
        Where interior points are recognised few orbits go on.
        """
        p, (ny, nx) = self.parameters, self.parameters.shape
        begun = 52 * min(ny * nx, max(nx, ORBITS))
        pixels = nx * self._most_rows(layout) if p.max_iterations > ROUND else 0
        return max(begun, pixels * (12 if p.interior else 52)) + 8 * ny + 1024, 0

    def _most_rows(self, layout: Layout) -> int:
        """Return the rows that a rank may come to hold."""
        ny: int = self.parameters.shape[0]
        rows = -(-ny // layout.used)
        return min(ny, 2 * rows) if self.parameters.schedule == "dynamic" else rows

    def checks(self, read: Read) -> Iterator[Check]:
        """Compare with the definition and the known area."""
        return check_picture(self.parameters, self.plane, read)

    def warm_up(self, device: Device) -> None:
        """Compile both kernels."""
        small = self.parameters.model_copy(
            update={"shape": (2, 4), "max_iterations": 40}
        )
        painter = Painter(Plane(small), device)
        chunk = painter.compute([np.arange(2)], 20)[0]
        chunk.follow(painter.plane, 20, 40, device)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Compute rows as the schedule says, then follow the orbits that go on."""
        painter = Painter(self.plane, ctx.device)
        ctx.state["im"], ctx.state["re"] = self.plane.axis(0), self.plane.axis(1)
        if ctx.state.resumed:
            painter.restore(ctx)
        yield from painter.paint(ctx)
        yield from painter.go_on(ctx)

    def answer(self, state: State) -> Answer:
        """Return the share of pixels that did not escape, and their area."""
        p = self.parameters
        inside, pixels = int(state["inside"]), p.shape[0] * p.shape[1]
        area = inside * self.plane.spacing**2
        name = "Mandelbrot" if p.julia is None else "Julia"
        return Answer(
            text=(
                f"{inside} of {pixels} pixels ({100 * inside / pixels:.4g} %) did not "
                f"escape in {p.max_iterations} iterations: area {area:.6g} of the "
                f"{name} set in view"
            ),
            values={"inside": inside, "pixels": pixels, "area": area},
        )
