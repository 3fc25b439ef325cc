# SPDX-License-Identifier: MIT
"""The picture as one rank holds it: chunks of rows, and orbits that go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.decomposition import Block
from hpcapp.device import Device
from hpcapp.fields import Part
from hpcapp.workloads.mandelbrot.parameters import Parameters

__all__ = ["Chunk", "Plane", "chunk_parts", "number_parts", "predict_costs"]

# what the coarse picture may cost of a rank's share, and iterations followed there
SAMPLE_SHARE = 0.03
SAMPLE_LIMIT = 2048


@dataclass(frozen=True)
class Plane:
    """Where pixels lie.

    Parameters
    ----------
    parameters : Parameters
        Validated.
    """

    parameters: Parameters

    @property
    def spacing(self) -> float:
        """Distance of neighbouring pixels, the same along both axes."""
        (ny, nx), (width, height) = self.parameters.shape, self.parameters.extent
        return max(width / nx, height / ny)

    def axis(self, number: int) -> NDArray[np.float64]:
        """Return coordinates: 0 the imaginary axis, 1 the real one."""
        length = self.parameters.shape[number]
        middle = self.parameters.center[1 - number]
        return np.asarray(middle + (np.arange(length) - length // 2) * self.spacing)

    def view(self, columns: int = 0) -> NDArray[np.float64]:
        """Return what the kernels need, with fewer columns if wished for.

        Parameters
        ----------
        columns : int
            0 for all.

        Returns
        -------
        float64[8]
            See `escape_cpu`.
        """
        p, spacing = self.parameters, self.spacing
        (ny, nx), (re, im) = p.shape, p.center
        julia = p.julia or (0.0, 0.0)
        stretch, half = 1.0, float(nx // 2)
        if columns:
            stretch, half = nx / columns, (columns - 1) / 2
        return np.array([re, im, stretch * spacing, spacing, half, ny // 2, *julia])


@dataclass
class Chunk:
    """Rows that were computed together.

    Parameters
    ----------
    rows : int64[r]
        Global rows.
    counts : int32[r, nx]
        Iterations.
    places : int64[p]
        Flat indices in `counts` of orbits that go on.
    z : float64[p, 2]
        Their z after the iterations followed so far.
    """

    rows: NDArray[np.int64]
    counts: NDArray[np.int32]
    places: NDArray[np.int64]
    z: NDArray[np.float64]

    @classmethod
    def compute(cls, rows: NDArray[np.int64], plane: Plane, limit: int) -> "Chunk":
        """Follow all pixels of some rows to a limit."""
        from hpcapp.workloads.mandelbrot.kernels import escape_cpu

        p = plane.parameters
        counts = np.empty((rows.size, p.shape[1]), np.int32)
        places = np.empty(counts.size, np.int64)
        z = np.empty((counts.size, 2))
        held = escape_cpu(
            *(counts, rows, plane.view(), p.julia is not None, p.interior),
            *(limit, p.max_iterations, places, z),
        )
        return cls(rows, counts, places[:held].copy(), z[:held].copy())

    def follow(self, plane: Plane, reached: int, limit: int) -> None:
        """Follow the orbits that go on to a higher limit."""
        from hpcapp.workloads.mandelbrot.kernels import follow_cpu

        p = plane.parameters
        held = follow_cpu(
            *(self.counts, self.rows, plane.view(), p.julia is not None, p.interior),
            *(reached, limit, self.places, self.z),
        )
        self.places, self.z = self.places[:held].copy(), self.z[:held].copy()


def predict_costs(
    bands: Sequence[NDArray[np.int64]], plane: Plane, ranks: int, device: Device
) -> NDArray[np.float64]:
    """Predict the relative cost of bands from a coarse picture of their middle rows.

    Parameters
    ----------
    bands : sequence of int64[n]
        Global rows.
    plane : Plane
        Where pixels lie.
    ranks : int
        How many compute; each makes the whole coarse picture.
    device : Device
        Runs the kernel.

    Returns
    -------
    float64[bands]
        About the iterations that are done; the same on every rank.
    """
    from hpcapp.workloads.mandelbrot.kernels import escape_cpu

    p = plane.parameters
    rows = np.array([band[band.size // 2] for band in bands], np.int64)
    pixels = p.shape[1] * sum(band.size for band in bands)
    columns = int(SAMPLE_SHARE * pixels / ranks / len(bands))
    columns = min(max(16, columns), p.shape[1])
    limit = min(p.max_iterations, SAMPLE_LIMIT)
    counts = np.empty((rows.size, columns), np.int32)
    places, z = np.empty(counts.size, np.int64), np.empty((counts.size, 2))
    arguments: Any = (counts, rows, plane.view(columns), p.julia is not None)
    arguments = (*arguments, p.interior, limit, -1, places, z)
    (held,) = device.launch(escape_cpu, [arguments])
    done = counts.astype(np.float64)
    # -1: recognised after a while, unless the orbit goes on
    done[counts < 0] = 16.0
    done.reshape(-1)[places[:held]] = limit
    heights = np.array([band.size for band in bands])
    # every pixel costs a first burst, its place and its share of a lane's refill
    return np.asarray((done.mean(axis=1) + 24.0) * heights)


def chunk_parts(chunks: Sequence[Chunk]) -> list[Part]:
    """Return the counts as parts: one for each run of consecutive rows."""
    parts = []
    for chunk in chunks:
        nx = chunk.counts.shape[1]
        cuts = np.flatnonzero(np.diff(chunk.rows) != 1) + 1
        bounds = [0, *cuts.tolist(), chunk.rows.size]
        for first, last in pairwise(bounds):
            start = int(chunk.rows[first])
            block = Block((start, 0), (start + last - first, nx))
            parts.append(Part(block, chunk.counts[first:last]))
    return parts


def number_parts(arrays: Sequence[NDArray[Any]]) -> list[Part]:
    """Return arrays as the parts of a listed field."""
    parts, count = [], 0
    for array in arrays:
        parts.append(Part(Block((count,), (count + array.size,)), array))
        count += array.size
    return parts
