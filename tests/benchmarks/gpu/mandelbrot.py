# SPDX-License-Identifier: MIT
"""Escape times on a GPU: two views at the edge of the set, the tests for inside off.

The limit is what a kernel issues that does nothing but multiply and add numbers of
double precision, without fusing, measured beside the others. An iteration takes 7 such
operations (two squares, their difference and c; twice the product, and c), and of the
16 of a bout one takes 4 more, to look at it (two squares, their sum, a comparison):
7.25 an iteration. The rate of the limit is the operations issued over 7.25. By
count a GPU issues multiprocessors x lanes of double precision x clock of them.

Rates count the iterations of the definition, whether a rung does them or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.gpu.peers import ESCAPE, count_escapes
from tests.benchmarks.gpu.rungs import COURSE, OURS, Place, Rung, Task
from tests.benchmarks.report import Statement

__all__ = ["DEEP", "EDGE", "LIMIT", "PER_ITERATION", "View", "escapes"]

LIMIT = "double precision issued / 7.25"
PER_ITERATION = 7 + 4 / 16

# rows of a picture that are compared with the CPU
ROWS = 5

# of the pixels compared, where a compiler may have fused operations: next to the set
# an orbit tells of the last bit
FUSED = 2e-3


@dataclass(frozen=True)
class View:
    """A picture.

    Parameters
    ----------
    name : str
        Of the task.
    center : (float, float)
        Its middle.
    extent : float
        Of both axes.
    most : int
        Iterations at most.
    """

    name: str
    center: tuple[float, float]
    extent: float
    most: int


EDGE = View("mandelbrot edge", (-1.1195, 0.2718), 0.005, 1024)
DEEP = View("mandelbrot deep", (-1.25066, 0.02012), 1e-4, 5000)


class Picture:
    """A view of some size, and the right counts of some of its rows.

    Parameters
    ----------
    view : View
        What is shown.
    n : int
        Pixels along an axis.
    device : Device
        Cores that compute the right counts.
    """

    def __init__(self, view: View, n: int, device: Any) -> None:
        from hpcapp.workloads.mandelbrot.parameters import Parameters
        from hpcapp.workloads.mandelbrot.picture import Chunk, Plane

        self.view, self.n = view, n
        parameters = Parameters(
            shape=(n, n),
            center=view.center,
            extent=(view.extent, view.extent),
            max_iterations=view.most,
            interior=False,
        )
        self.plane = Plane(parameters)
        self.rows = np.linspace(0, n - 1, ROWS).astype(np.int64)
        self.right = Chunk.compute(self.rows, self.plane, view.most, device).counts

    @property
    def size(self) -> str:
        """What is printed."""
        return f"{self.n}^2, at most {self.view.most}"

    def check(
        self, name: str, row: Callable[[int], np.ndarray], fused: bool = False
    ) -> Statement:
        """Compare rows with those of the CPU.

        Parameters
        ----------
        name : str
            Who made them.
        row : callable
            Returns a row of counts by its number.
        fused : bool
            Whether its operations may have been fused.
        """
        pairs = zip(self.rows.tolist(), self.right, strict=True)
        wrong = sum(int((row(j) != right).sum()) for j, right in pairs)
        most = int(FUSED * self.right.size) if fused else 0
        text = (
            f"{self.view.name}, {name}: {wrong} of {self.right.size} counts differ "
            f"from those of the CPU (<= {most})"
        )
        return Statement(text, wrong <= most)


def escapes(place: Place, view: View) -> Task:
    """Return the ways to count a view's iterations."""
    sizes = place.sizes
    large, small = (
        Picture(view, n, place.cpu) for n in (sizes.pixels, sizes.few_pixels)
    )
    kernels, total = _kernels(place, large)
    rungs = [
        _issue(place),
        kernels,
        _whole(place.device, large, total, f"{OURS}, to the host"),
        _course(place, large, total),
    ]
    on_cpu = _whole(place.cpu, small, 0, f"{OURS}, CPU", host=True)
    rungs.append(on_cpu)
    for arrays in place.peers:
        if arrays.real and hasattr(arrays.xp, "ElementwiseKernel"):
            rungs.append(_elementwise(arrays, large, total))
        rungs.append(_arrays(arrays, small, on_cpu.work))
    return Task(view.name, "G iterations/s", rungs, LIMIT)


def _issue(place: Place) -> Rung:
    """Return the kernel that only multiplies and adds."""
    from tests.benchmarks.gpu.course_cuda_kernels import ISSUED, issue_doubles

    device, rounds = place.device, place.sizes.rounds
    grid = device.cover(10**9)
    out = device.empty(grid[0] * grid[1])
    operations = float(ISSUED * rounds * out.size)

    def run() -> None:
        device.start(issue_doubles, grid, out, rounds)

    def check() -> Statement:
        right = bool((out.copy_to_host() == 8.0).all())
        return Statement(f"{LIMIT}: all numbers have gone to 1", right)

    size = f"{operations:.1e} operations"
    return Rung(LIMIT, size, operations / PER_ITERATION, run, check)


def _kernels(place: Place, picture: Picture) -> tuple[Rung, int]:
    """Return hpcapp's kernels, which leave the counts on the GPU; and their sum."""
    from hpcapp.workloads.mandelbrot.on_gpu import escape_there

    device, n, most = place.device, picture.n, picture.view.most
    counts = device.empty(n * n, np.int32)
    rows, facts = np.arange(n), (picture.plane.view(), (False, False), (most, most))
    name = f"{OURS}, kernels"

    def run() -> None:
        escape_there(device, counts, rows, *facts)

    def row(j: int) -> np.ndarray:
        found: np.ndarray = counts[j * n : (j + 1) * n].copy_to_host()
        return found

    # the work is known when it is done
    run()
    total = int(device.from_device(counts).sum(dtype=np.int64))
    check = lambda: picture.check(name, row)  # noqa: E731
    return Rung(name, picture.size, total, run, check), total


def _whole(
    device: Any, picture: Picture, total: int, name: str, host: bool = False
) -> Rung:
    """Return what a run does: the counts end up on the host."""
    from hpcapp.workloads.mandelbrot.picture import Chunk

    n, most = picture.n, picture.view.most
    found: list[Chunk] = []

    def run() -> None:
        calls = [
            (part, picture.plane, most, device)
            for part in np.array_split(np.arange(n), device.threads if host else 1)
        ]
        found[:] = device.launch(Chunk.compute, calls)

    def row(j: int) -> np.ndarray:
        (chunk,) = (chunk for chunk in found if j in chunk.rows)
        return chunk.counts[int(np.searchsorted(chunk.rows, j))]

    if not total:
        run()
        total = sum(int(chunk.counts.sum(dtype=np.int64)) for chunk in found)
    check = lambda: picture.check(name, row)  # noqa: E731
    return Rung(name, picture.size, total, run, check, host=host)


def _course(place: Place, picture: Picture, total: int) -> Rung:
    """Return one thread for a pixel."""
    from tests.benchmarks.gpu.course_cuda_kernels import escape_course

    device, n, name = place.device, picture.n, f"{COURSE}, one thread a pixel"
    block = (4, 2) if device.simulated else (16, 16)
    grid = (-(-n // block[0]), -(-n // block[1])), block
    counts = device.empty((n, n), np.int32)
    left, bottom = (float(picture.plane.axis(axis)[0]) for axis in (1, 0))
    facts = left, bottom, picture.plane.spacing, picture.view.most

    def run() -> None:
        device.start(escape_course, grid, counts, *facts)

    def check() -> Statement:
        return picture.check(name, lambda j: counts[j].copy_to_host(), fused=True)

    return Rung(name, picture.size, total, run, check)


def _pixels(arrays: Any, picture: Picture) -> tuple[Any, Any]:
    """Return the real and the imaginary parts of all pixels."""
    im, re = (picture.plane.axis(axis) for axis in range(2))
    shape = (picture.n, picture.n)
    cr = np.ascontiguousarray(np.broadcast_to(re, shape))
    ci = np.ascontiguousarray(np.broadcast_to(im[:, np.newaxis], shape))
    return arrays.put(cr), arrays.put(ci)


def _elementwise(arrays: Any, picture: Picture, total: int) -> Rung:
    """Return CuPy's kernel of elements, whose operations are not fused."""
    kernel = arrays.xp.ElementwiseKernel(
        "float64 cr, float64 ci, int32 most",
        "int32 count",
        ESCAPE,
        "escape",
        options=("--fmad=false",),
    )
    name = f"{arrays.name}, ElementwiseKernel"
    c, most = _pixels(arrays, picture), picture.view.most
    counts = arrays.zeros((picture.n, picture.n), "int32")

    def run() -> None:
        kernel(*c, most, counts)

    check = lambda: picture.check(name, lambda j: arrays.get(counts[j]))  # noqa: E731
    return Rung(name, picture.size, total, run, check, optional=True)


def _arrays(arrays: Any, picture: Picture, total: float) -> Rung:
    """Return one operation on all pixels after the other."""
    name = f"{arrays.name}, arrays"
    c, most = _pixels(arrays, picture), picture.view.most
    found: list[Any] = []

    def run() -> None:
        found[:] = [count_escapes(arrays, *c, most)]

    check = lambda: picture.check(name, lambda j: arrays.get(found[0][j]))  # noqa: E731
    return Rung(name, picture.size, total, run, check, optional=True)
