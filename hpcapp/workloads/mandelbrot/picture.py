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
from hpcapp.workloads.mandelbrot import on_gpu
from hpcapp.workloads.mandelbrot.parameters import Parameters

__all__ = [
    "Chunk",
    "Plane",
    "chunk_parts",
    "number_parts",
    "piece_rows",
    "predict_costs",
]

# what the coarse picture may cost of a rank's share, and iterations followed there
SAMPLE_SHARE = 0.03
SAMPLE_LIMIT = 2048

# what a pixel costs that escapes, besides its iterations, and one in a disc (measured)
PIXEL, DISC = 10.0, 6.0


# pixels of one call: what notes its orbits stays in cache
_PIECE = 1 << 17


def piece_rows(nx: int, device: Device | None = None) -> int:
    """Return the rows of one call of the kernel."""
    pixels = on_gpu.ORBITS if device and device.name == "cuda" else _PIECE
    return max(1, pixels // nx)


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

    @property
    def symmetric(self) -> bool:
        """Whether rows at opposite distances from the middle one have equal counts.

        Conjugating z and c changes the sign of zi alone, exactly in IEEE arithmetic;
        about the real axis, rows lie at exactly opposite distances.
        """
        julia = self.parameters.julia
        return self.parameters.center[1] == 0 and (julia is None or julia[1] == 0)

    def mirror(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row opposite to each; the row itself without a symmetry."""
        if not self.symmetric:
            return rows
        opposite = 2 * (self.parameters.shape[0] // 2) - rows
        outside = opposite >= self.parameters.shape[0]
        return np.where(outside, rows, opposite)

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
    def compute(
        cls, rows: NDArray[np.int64], plane: Plane, limit: int, device: Device
    ) -> "Chunk":
        """Follow all pixels of some rows to a limit; of mirrored rows, one."""
        p = plane.parameters
        rows, own, twins = _sort_twins(rows, plane)
        nx = p.shape[1]
        counts = np.empty((rows.size, nx), np.int32)
        height = min(own, piece_rows(nx, device))
        going: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        for first in range(0, own, height):
            piece = slice(first, min(first + height, own))
            places, z = _escape(
                device,
                counts[piece],
                rows[piece],
                plane.view(),
                (p.julia is not None, p.interior),
                (limit, p.max_iterations),
            )
            going.append((places + first * nx, z))
        np.take(counts, twins, axis=0, out=counts[own:], mode="clip")
        every, numbers = zip(*going, strict=True)
        chunk = cls(rows, counts, np.concatenate(every), np.concatenate(numbers))
        chunk._mirror_orbits(own, twins)
        return chunk

    def _mirror_orbits(self, own: int, twins: NDArray[np.int64]) -> None:
        """Let the orbits of mirrored rows go on too."""
        nx = self.counts.shape[1]
        twin = np.full(own, -1, np.int64)
        twin[twins] = np.arange(own, own + twins.size)
        row, column = np.divmod(self.places, nx)
        has = twin[row] >= 0
        mirrored = twin[row[has]] * nx + column[has]
        self.places = np.concatenate([self.places, mirrored])
        self.z = np.concatenate([self.z, self.z[has] * (1.0, -1.0)])

    def follow(self, plane: Plane, reached: int, limit: int, device: Device) -> None:
        """Follow the orbits that go on to a higher limit."""
        from hpcapp.workloads.mandelbrot.kernels import follow_cpu

        p = plane.parameters
        if device.name == "cuda":
            facts = self.counts, self.rows, plane.view()
            rules, limits = (p.julia is not None, p.interior), (reached, limit)
            orbits = self.places, self.z
            self.places, self.z = on_gpu.follow(device, *facts, rules, limits, orbits)
            return
        held = follow_cpu(
            *(self.counts, self.rows, plane.view(), p.julia is not None, p.interior),
            *(reached, limit, self.places, self.z),
        )
        self.places, self.z = self.places[:held].copy(), self.z[:held].copy()


def _sort_twins(
    rows: NDArray[np.int64], plane: Plane
) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
    """Put rows whose mirror image is among them last.

    Returns the rows, how many are computed, and the index of the image of the others.
    """
    rows = np.sort(rows)
    mirror = plane.mirror(rows)
    found = np.minimum(np.searchsorted(rows, mirror), rows.size - 1)
    second = (rows > mirror) & (rows[found] == mirror) if rows.size else rows > mirror
    own = rows[~second]
    twins = np.searchsorted(own, mirror[second])
    return np.concatenate([own, rows[second]]), own.size, twins


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
    p = plane.parameters
    rows = np.array([band[band.size // 2] for band in bands], np.int64)
    pixels = p.shape[1] * sum(band.size for band in bands)
    columns = int(SAMPLE_SHARE * pixels / ranks / len(bands))
    columns = min(max(16, columns), p.shape[1])
    limit = min(p.max_iterations, SAMPLE_LIMIT)
    # what is recognised so soon lies in a disc, the rest has come back after a while
    disc = _sample(rows, columns, plane, min(limit, 16), device) < 0
    done = _sample(rows, columns, plane, limit, device)
    cost = np.where(done < 0, limit / 2, done + PIXEL)
    cost[disc] = DISC
    heights = np.array([band.size for band in bands])
    return np.asarray(cost.mean(axis=1) * heights)


def _sample(
    rows: NDArray[np.int64], columns: int, plane: Plane, limit: int, device: Device
) -> NDArray[np.float64]:
    """Return the iterations of a coarse picture; -1 where one never escapes."""
    p = plane.parameters
    counts = np.empty((rows.size, columns), np.int32)
    rules = p.julia is not None, p.interior
    places, _ = _escape(device, counts, rows, plane.view(columns), rules, (limit, -1))
    counts.reshape(-1)[places] = limit
    return counts.astype(np.float64)


def _escape(
    device: Device,
    counts: NDArray[np.int32],
    rows: NDArray[np.int64],
    view: NDArray[np.float64],
    rules: tuple[bool, bool],
    limits: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Do as `on_gpu.escape`, on a GPU or here."""
    if device.name == "cuda":
        return on_gpu.escape(device, counts, rows, view, rules, limits)
    from hpcapp.workloads.mandelbrot.kernels import escape_cpu

    places, z = np.empty(counts.size, np.int64), np.empty((counts.size, 2))
    held = escape_cpu(counts, rows, view, *rules, *limits, places, z)
    device.beat()
    return places[:held].copy(), z[:held].copy()


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
