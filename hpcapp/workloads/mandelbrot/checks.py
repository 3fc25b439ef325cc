# SPDX-License-Identifier: MIT
"""Laws of a right picture: the definition in plain Python, the area of the set."""

from collections.abc import Iterator

import numpy as np

from hpcapp.validity import Check, Read, near
from hpcapp.workloads.mandelbrot.parameters import Parameters
from hpcapp.workloads.mandelbrot.picture import Plane

__all__ = ["check_picture"]

# pixels that are computed again, and iterations that this may take at most
PIXELS, ITERATIONS = 200, 2_000_000

AREA = 1.5065918849
"""T. Foerstemann, "Numerical estimation of the area of the Mandelbrot set" (2012)."""

# pixels of the picture that are looked at together
BAND = 1 << 22


def check_picture(parameters: Parameters, plane: Plane, read: Read) -> Iterator[Check]:
    """Compare the counts with what they must be.

    Parameters
    ----------
    parameters : Parameters
        Of the run.
    plane : Plane
        Where pixels lie.
    read : callable
        Returns a variable of the result.

    Yields
    ------
    Check
        Some pixels; the area, where the whole set is in view.
    """
    yield _recount(parameters, plane, read)
    yield _inside(parameters, read)
    im, re = plane.axis(0), plane.axis(1)
    whole = re[0] <= -2 and re[-1] >= 0.5 and im[0] <= -1.15 and im[-1] >= 1.15
    if parameters.julia is None and whole:
        yield _area(parameters, plane, read)


def _count(c: complex, z: complex, limit: int) -> int:
    """Follow one point, as the definition reads."""
    zr, zi = z.real, z.imag
    for n in range(limit):
        zr2, zi2 = zr * zr, zi * zi
        if not zr2 + zi2 <= 4.0:
            return n
        zi = 2.0 * zr * zi + c.imag
        zr = zr2 - zi2 + c.real
    return limit


def _recount(p: Parameters, plane: Plane, read: Read) -> Check:
    counts, (ny, nx) = read("iterations"), p.shape
    im, re = plane.axis(0), plane.axis(1)
    done = spent = 0
    # evenly over the picture, in an order that has no pattern of rows
    for number in range(PIXELS):
        j, i = int((number * 0.6180339887498949 % 1) * ny), number * nx // PIXELS
        point = complex(re[i], im[j])
        c, z = (point, 0j) if p.julia is None else (complex(*p.julia), point)
        expected, found = _count(c, z, p.max_iterations), int(counts[j, i])
        if expected != found:
            text = f"pixel [{j}, {i}] has {found}, the definition gives {expected}"
            return Check("definition", False, text)
        done, spent = done + 1, spent + expected
        if spent > ITERATIONS:
            break
    return Check("definition", True, f"{done} pixels counted again in plain Python")


def _inside(p: Parameters, read: Read) -> Check:
    counts, inside, good = read("iterations"), 0, True
    rows = max(1, BAND // p.shape[1])
    for first in range(0, p.shape[0], rows):
        band = counts[first : first + rows]
        inside += int(np.count_nonzero(band == p.max_iterations))
        good &= bool((band >= 0).all() and (band <= p.max_iterations).all())
    told = int(read("inside")[()])
    text = f"{inside} pixels did not escape, the run says {told}"
    return Check("range of the counts", good and inside == told, text)


def _area(p: Parameters, plane: Plane, read: Read) -> Check:
    """Compare with the known area, up to pixels at the edge and late escapes."""
    rows = max(1, BAND // p.shape[1])
    inside = edge = 0
    for first in range(0, p.shape[0], rows):
        held = read("iterations")[first : first + rows] == p.max_iterations
        inside += int(held.sum())
        edge += int((held[:, 1:] != held[:, :-1]).sum())
    pixel = plane.spacing**2
    # points near the edge escape late: their share falls like 1 / iterations
    bound = edge * pixel + 10 / p.max_iterations
    return near("known area", inside * pixel, AREA, bound, "Foerstemann 2012")
