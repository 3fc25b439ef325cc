# SPDX-License-Identifier: MIT
"""What sweeps of a block need of the place where they run; here the cores of a rank."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.device import Device
from hpcapp.mpi.packing import ON_HOST, Packing
from hpcapp.workload import Part

__all__ = ["Engine", "Region", "open_engine"]

Region = tuple[int, int, int, int]


class Engine(Protocol):
    """Arrays of a block and sweeps over them.

    Attributes
    ----------
    packing : Packing
        How the halos of arrays travel.
    """

    packing: Packing

    def warm_up(self, jacobi: bool, kind: np.dtype[Any]) -> None:
        """Compile what the other functions use on larger blocks only.

        Parameters
        ----------
        jacobi : bool
            For Jacobi's method, else for over-relaxation.
        kind : dtype
            Of the values.
        """
        ...

    def array(self, values: np.ndarray, again: bool = False) -> Any:
        """Return an array with these values: float64[ny, nx].

        Parameters
        ----------
        values : float64[ny, nx]
            May become the array.
        again : bool
            Whether there is an array of these values already: no other may share it.
        """
        ...

    def window(self, array: Any, shape: tuple[int, int]) -> Any:
        """Return the rows and columns that are meant, as a view."""
        ...

    def fetch(self, array: Any) -> np.ndarray:
        """Return the values of an array."""
        ...

    def part(
        self, block: Block, array: Any, own: Callable[[np.ndarray], np.ndarray]
    ) -> Part:
        """Return what a function takes out of an array's values, as part of a field."""
        ...

    def jacobi(
        self,
        even: Any,
        odd: Any,
        f: Any,
        stencil: np.ndarray,
        regions: Sequence[Region],
    ) -> int:
        """Sweep by Jacobi's method; return how often values changed the array.

        Parameters
        ----------
        even, odd : array
            Where values are, where they go first.
        f, stencil, regions : object
            As `relax_jacobi_cpu` takes them.
        """
        ...

    def redblack(
        self,
        u: Any,
        f: Any,
        stencil: np.ndarray,
        omega: float,
        parity: int,
        regions: Sequence[Region],
    ) -> int:
        """Over-relax in place, as `relax_redblack_cpu`; return the number of levels."""
        ...

    def residual(
        self, u: Any, f: Any, constant: float, ry: float, rx: float, region: Region
    ) -> np.ndarray:
        """Return what `residual_cpu` does: int64[2]."""
        ...


def open_engine(device: Device) -> Engine:
    """Return the engine of a device."""
    if device.name == "cuda":
        from hpcapp.workloads.laplace.cuda_engine import CudaEngine

        return CudaEngine(device)
    return CpuEngine(device)


class CpuEngine:
    """The cores of a rank; see `Engine`.

    Parameters
    ----------
    device : Device
        Launches kernels. With one thread all levels of a call go through memory
        together; with more, a level after the other, cut into bands of rows.
    """

    packing: Packing = ON_HOST

    def __init__(self, device: Device) -> None:
        self._device = device

    def warm_up(self, jacobi: bool, kind: np.dtype[Any]) -> None:
        """Do nothing: there is no more."""

    def array(self, values: np.ndarray, again: bool = False) -> np.ndarray:
        """Return the values, or a copy."""
        return values.copy() if again else values

    def window(self, array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:  # noqa: ARG002
        """Return the array."""
        return array

    def fetch(self, array: np.ndarray) -> np.ndarray:
        """Return the array."""
        return array

    def part(
        self, block: Block, array: np.ndarray, own: Callable[[np.ndarray], np.ndarray]
    ) -> Part:
        """Return a part that is a view."""
        return Part(block, own(array))

    def jacobi(
        self,
        even: np.ndarray,
        odd: np.ndarray,
        f: np.ndarray,
        stencil: np.ndarray,
        regions: Sequence[Region],
    ) -> int:
        """Sweep with all levels in one pass, or one by one."""
        from hpcapp.workloads.laplace.kernels import relax_jacobi_cpu

        for number, levels in enumerate(self._passes(regions)):
            pair = (odd, even) if number % 2 else (even, odd)
            calls = [(*pair, f, stencil, level) for level in levels]
            self._device.launch(relax_jacobi_cpu, calls)
        return len(regions)

    def redblack(
        self,
        u: np.ndarray,
        f: np.ndarray,
        stencil: np.ndarray,
        omega: float,
        parity: int,
        regions: Sequence[Region],
    ) -> int:
        """Over-relax with all levels in one pass, or one by one."""
        from hpcapp.workloads.laplace.kernels import relax_redblack_cpu

        for number, levels in enumerate(self._passes(regions)):
            head = (u, f, stencil, omega, (parity + number) % 2)
            self._device.launch(relax_redblack_cpu, [(*head, le) for le in levels])
        return len(regions)

    def residual(
        self,
        u: np.ndarray,
        f: np.ndarray,
        constant: float,
        ry: float,
        rx: float,
        region: Region,
    ) -> np.ndarray:
        """Return the largest of the bands."""
        from hpcapp.workloads.laplace.kernels import residual_cpu

        head = (u, f, constant, ry, rx)
        calls = [(*head, np.array(band)) for band in self._bands(region)]
        found = self._device.launch(residual_cpu, calls)
        return np.array(np.max(found, axis=0), np.int64)

    def _passes(self, regions: Sequence[Region]) -> list[list[np.ndarray]]:
        """Return for each pass the regions of its calls: int64[levels, 4]."""
        if self._device.threads == 1:
            return [[np.array(regions, np.int64)]]
        return [
            [np.array([band], np.int64) for band in self._bands(region)]
            for region in regions
        ]

    def _bands(self, region: Region) -> list[Region]:
        first, last, start, stop = region
        threads = min(self._device.threads, max(1, last - first))
        cuts = [first + (last - first) * t // threads for t in range(threads + 1)]
        return [(a, b, start, stop) for a, b in pairwise(cuts)]
