# SPDX-License-Identifier: MIT
"""Sweeps of a block on a GPU."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.fields import LatePart
from hpcapp.gpu.packing import copy_piece
from hpcapp.gpu.views import cut
from hpcapp.mpi.packing import Packing
from hpcapp.workload import Part
from hpcapp.workloads.laplace.cuda_queue import LINE, MOST, Queue
from hpcapp.workloads.laplace.engine import Region

__all__ = ["CudaEngine"]


class CudaEngine:
    """A GPU; see `Engine`.

    Parameters
    ----------
    device : CudaDevice
        The GPU.

    Notes
    -----
    Kernels are queued in a stream and nobody waits for them, but for `residual`,
    `fetch` and whoever wants the values of a part.
    """

    def __init__(self, device: Any) -> None:
        self._device, self._queue = device, Queue(device)
        # the array that is over-relaxed, and one for passes of several levels
        self._pair: tuple[Any, Any] | None = None
        self.packing: Packing = self._queue.packing

    def warm_up(self, jacobi: bool, kind: np.dtype[Any]) -> None:
        """Compile the tiled sweeps and what carries halos."""
        from hpcapp.workloads.laplace.tile_cuda_kernels import JACOBI

        if kind == np.float64:
            u, other = (self.array(np.zeros((4, 4))) for _ in range(2))
            f = self.array(np.empty((0, 0)))
            weights, regions = tuple(np.zeros(4)), [(1, 2, 1, 2)] * 4
            if jacobi:
                self._sweep_tiles(other, u, f, (*weights, 0.0), JACOBI, regions)
            else:
                self._colour_tiles(u, f, (*weights, 0.0), 0, [regions])
                self._pair = None
        self.packing.warm_up()

    def array(self, values: np.ndarray, again: bool = False) -> Any:  # noqa: ARG002
        """Return a copy on the GPU, its columns rounded up."""
        ny, nx = values.shape
        wide = np.zeros((ny, -(-nx // LINE) * LINE), values.dtype)
        wide[:, :nx] = values
        return self._device.to_device(wide)

    def window(self, array: Any, shape: tuple[int, int]) -> Any:
        """Return the columns that are meant."""
        return cut(array, (slice(None), slice(shape[1])))

    def fetch(self, array: Any) -> np.ndarray:
        """Return a copy, as wide as the array."""
        found: np.ndarray = self._device.from_device(array)
        return found

    def part(
        self, block: Block, array: Any, own: Callable[[np.ndarray], np.ndarray]
    ) -> Part:
        """Return a part that is copied when it is wanted."""
        return LatePart(block, lambda: own(self.fetch(array)))

    def jacobi(
        self,
        even: Any,
        odd: Any,
        f: Any,
        stencil: np.ndarray,
        regions: Sequence[Region],
    ) -> int:
        """Sweep with some levels in one pass where that pays, else one by one."""
        from hpcapp.workloads.laplace.cuda_kernels import relax_jacobi_gpu
        from hpcapp.workloads.laplace.tile_cuda_kernels import DEEP, JACOBI

        # numbers of the type of the arrays
        weights = tuple(stencil)
        passes = done = 0
        while done < len(regions):
            out, u = (even, odd) if passes % 2 else (odd, even)
            tile = regions[done : done + DEEP]
            single = stencil.dtype == np.float32
            if len(tile) == DEEP and not single and self._pays(tile[-1]):
                self._sweep_tiles(out, u, f, (*weights, 0.0), JACOBI, tile)
                done += DEEP
            else:
                region = regions[done]
                self._queue.march(relax_jacobi_gpu, region, out, u, f, weights)
                done += 1
            passes += 1
        return passes

    def _tiles(self, region: Region) -> tuple[int, int]:
        """Return the blocks of a tiled sweep along both axes."""
        from hpcapp.workloads.laplace.tile_cuda_kernels import DEEP, TALL

        first, last, start, stop = region
        wide = self._wide - 2 * DEEP
        return max(0, -(-(stop - start) // wide)), max(0, -(-(last - first) // TALL))

    @property
    def _wide(self) -> int:
        from hpcapp.workloads.laplace.tile_cuda_kernels import DEEP, WIDE

        return 2 * DEEP + 8 if self._device.simulated else WIDE

    def _pays(self, region: Region) -> bool:
        # with fewer blocks parts of the GPU are idle, and the values fit into its cache
        across, down = self._tiles(region)
        busy = self._device.gpu.multiprocessors <= across * down
        return busy and down <= MOST

    def _sweep_tiles(
        self,
        out: Any,
        u: Any,
        f: Any,
        weights: Any,
        colour: int,
        regions: Sequence[Region],
    ) -> None:
        from hpcapp.workloads.laplace.tile_cuda_kernels import relax_tile_gpu

        grid = (self._tiles(regions[-1]), self._wide)
        numbers = tuple(number for region in regions for number in region)
        head = (out, u, f, weights, colour, numbers)
        self._device.start(relax_tile_gpu, grid, *head, stream=self._queue.stream)

    def redblack(
        self,
        u: Any,
        f: Any,
        stencil: np.ndarray,
        omega: float,
        parity: int,
        regions: Sequence[Region],
    ) -> int:
        """Over-relax with some levels in one pass where that pays, else one by one."""
        from hpcapp.workloads.laplace.cuda_kernels import relax_redblack_gpu
        from hpcapp.workloads.laplace.tile_cuda_kernels import DEEP

        weights, done = tuple(stencil), 0
        while done < len(regions):
            colour = (parity + done) % 2
            tile = regions[done : done + DEEP]
            single = stencil.dtype == np.float32
            if len(tile) == DEEP and not single and self._pays(tile[-1]):
                # an even number of passes ends where it began
                more = regions[done + DEEP : done + 2 * DEEP]
                tiles = [tile, more] if len(more) == DEEP else [tile]
                self._colour_tiles(u, f, (*weights, omega), colour, tiles)
                done += DEEP * len(tiles)
            else:
                head = (u, f, weights, omega, colour)
                self._queue.march(relax_redblack_gpu, tile[0], *head, width=2)
                done += 1
        return len(regions)

    def _colour_tiles(
        self,
        u: Any,
        f: Any,
        weights: Any,
        colour: int,
        tiles: Sequence[Sequence[Region]],
    ) -> None:
        """Over-relax in one or two passes, from the array to another one and back."""
        pair = (u, self._other(u))
        for number, regions in enumerate(tiles):
            source, out = pair[number], pair[1 - number]
            self._sweep_tiles(out, source, f, weights, colour, regions)
        if len(tiles) == 1:
            first, last, start, stop = tiles[0][-1]
            index = slice(first, last), slice(start, stop)
            back, there = (cut(array, index) for array in pair)
            copy_piece(self._device, back, there, self._queue.stream)

    def _other(self, u: Any) -> Any:
        """Return an array with the boundary of another; its other values may be old."""
        if self._pair is None or self._pair[0] is not u:
            other = self._device.empty(tuple(u.shape), u.dtype)
            self._device.put(other, u, self._queue.stream)
            self._pair = u, other
        return self._pair[1]

    def residual(
        self, u: Any, f: Any, constant: float, ry: float, rx: float, region: Region
    ) -> np.ndarray:
        """Wait for the maxima."""
        from hpcapp.workloads.laplace.norm_cuda_kernels import residual_gpu

        largest = self._device.to_device(np.zeros(2, np.int64))
        head = (largest, u, f, constant, ry, rx)
        self._queue.march(residual_gpu, region, *head)
        found: np.ndarray = self._device.from_device(largest)
        return found
