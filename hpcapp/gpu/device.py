# SPDX-License-Identifier: MIT
"""A GPU as the place where kernels run. No MPI.

The CUDA target of Numba is imported in functions: a run on the CPU never pays for it.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hpcapp.device import Device
from hpcapp.errors import HpcappError
from hpcapp.gpu.hardware import SIMULATED, Gpu
from hpcapp.gpu.launching import Launcher

__all__ = ["CudaDevice", "Device", "GpuError"]

# blocks of a multiprocessor where a kernel walks over its points
WAVES = 8

# threads and blocks in the simulator, where each is a thread of Python
FEW_THREADS, FEW_BLOCKS = 4, 2


class GpuError(HpcappError):
    """A GPU that has run out of memory, or a kernel that failed on it.

    After a kernel that failed the driver refuses everything: each array that is given
    back would be another error.
    """

    sound = False


class CudaDevice(Device):
    """A GPU, with the cores of the rank for what stays on the CPU.

    Parameters
    ----------
    threads : int
        Of the rank, for `launch`.
    gpu : Gpu
        Without fault.
    users : int
        Ranks that share it.
    direct : bool
        Whether MPI gets arrays on the GPU as messages, else buffers of the host.
    """

    name = "cuda"

    def __init__(
        self, threads: int, gpu: Gpu, users: int = 1, direct: bool = False
    ) -> None:
        shared = f", shared by {users} ranks" if users > 1 else ""
        size = f", {gpu.memory / 2**30:.0f} GiB" if gpu.memory else ""
        super().__init__(threads, f"cuda ({gpu.name}{size}{shared})")
        self.gpu, self.users, self.direct = gpu, users, direct
        self.simulated = gpu.uuid == SIMULATED
        self._launcher = Launcher()

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> Any:
        """Make an array on the GPU; its values are not set.

        Raises
        ------
        GpuError
            If its memory does not do.
        """
        from numba import cuda

        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        with self._told(size):
            return cuda.device_array(shape, dtype)

    def to_device(self, array: NDArray[Any]) -> Any:
        """Return a copy of a contiguous array on the GPU.

        Raises
        ------
        GpuError
            If its memory does not do.
        """
        from numba import cuda

        with self._told(array.nbytes):
            return cuda.to_device(array)

    def put(self, out: Any, array: NDArray[Any], stream: Any = 0) -> None:
        """Copy a contiguous array into one on the GPU.

        Parameters
        ----------
        out : device array
            Written, contiguous; of the same size.
        array : ndarray
            Free to be changed when this returns, but where it is queued.
        stream : stream, optional
            Where to queue it, from a pinned array, which stays as it is until then.

        Raises
        ------
        GpuError
            If it, or a kernel before it, has failed.
        """
        with self._told(0):
            out.copy_to_device(array, stream=stream)
        self.beat()

    def from_device(self, found: Any, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Wait for an array on the GPU and return a copy of it.

        Parameters
        ----------
        found : device array
            What `empty` or `to_device` gave, contiguous.
        out : ndarray, optional
            Where to put it, contiguous.

        Returns
        -------
        ndarray
            The copy.

        Raises
        ------
        GpuError
            If a kernel before it has failed.
        """
        with self._told(0):
            copied: NDArray[Any] = found.copy_to_host(out)
        self.beat()
        return copied

    def copy_out(self, found: Any, out: NDArray[Any], stream: Any) -> None:
        """Queue the copying of an array on the GPU into a pinned array.

        Parameters
        ----------
        found : device array
            Contiguous.
        out : ndarray
            From `pinned`, of the same shape; to be read after `wait`.
        stream : stream
            Where to queue it.

        Raises
        ------
        GpuError
            If it, or a kernel before it, has failed.
        """
        with self._told(0):
            found.copy_to_host(out, stream=stream)

    def pinned(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Make an array on the host that the GPU reads and writes by itself.

        Raises
        ------
        GpuError
            If the memory does not do.
        """
        from numba import cuda

        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        with self._told(size):
            array: NDArray[Any] = cuda.pinned_array(shape, dtype)
        return array

    def stream(self, urgent: bool = False) -> Any:
        """Make a queue of work beside the usual one.

        Parameters
        ----------
        urgent : bool
            Whether its kernels go before those of other queues that have not begun:
            else a small kernel waits until a large one has no block left to begin.

        Raises
        ------
        GpuError
            If the driver makes none.
        """
        from numba import cuda

        with self._told(0):
            if self.simulated or not urgent:
                return cuda.stream()
            from numba.cuda.cudadrv.driver import driver

            # opens the GPU, if nobody has
            cuda.current_context()
            _, first = driver.cuCtxGetStreamPriorityRange()
            # 0: it waits for the usual queue and that for it, as all others do
            found = driver.cuStreamCreateWithPriority(0, first)
            made = cuda.external_stream(int(found))
            end = weakref.finalize(made, driver.cuStreamDestroy, int(found))
            # the driver has gone by then
            end.atexit = False
            return made

    def start(
        self,
        kernel: Any,
        grid: tuple[Any, Any],
        *arguments: Any,
        stream: Any = 0,
        shared: int = 0,
    ) -> None:
        """Queue a kernel; returns at once.

        Parameters
        ----------
        kernel : CUDA kernel
            As `hpcapp.gpu.kernels.kernel` makes it.
        grid : (blocks, threads)
            Numbers or tuples of them, such as `cover` gives.
        *arguments : Any
            Arrays of the GPU and numbers.
        stream : stream, optional
            Where to queue it.
        shared : int
            Bytes of dynamic shared memory of a block.

        Raises
        ------
        GpuError
            If it, or one before it, has failed.
        """
        with self._told(0):
            place = (grid[0], grid[1], stream, shared)
            if self.simulated:
                kernel[place](*arguments)
            else:
                self._launcher.start(kernel, place, *arguments)
        self.beat()

    def synchronise(self) -> None:
        """Wait until all that is queued is done.

        Raises
        ------
        GpuError
            If a kernel has failed.
        """
        from numba import cuda

        with self._told(0):
            cuda.synchronize()
        self.beat()

    def wait(self, stream: Any) -> None:
        """Wait until what is queued in a stream is done.

        Raises
        ------
        GpuError
            If a kernel has failed.
        """
        with self._told(0):
            stream.synchronize()
        self.beat()

    def order(self, first: Any, then: Any) -> None:
        """Let what is queued in a stream from now on wait for what another one has."""
        from numba import cuda

        with self._told(0):
            event = cuda.event()
            event.record(first)
            event.wait(then)

    def cover(
        self, points: int, threads: int = 256, waves: int = WAVES
    ) -> tuple[int, int]:
        """Return blocks and threads for a kernel that walks over its points.

        Enough blocks to fill the GPU, no more than there are points: the rest is the
        kernel's loop (``for k in range(cuda.grid(1), n, cuda.gridsize(1))``).

        Parameters
        ----------
        points : int
            What there is to do.
        threads : int
            Of a block, on hardware.
        waves : int
            Blocks of a multiprocessor at most.

        Returns
        -------
        (int, int)
            Both at least 1; in the simulator a few.
        """
        if self.simulated:
            threads, most = min(threads, FEW_THREADS), FEW_BLOCKS
        else:
            most = waves * self.gpu.multiprocessors
        return max(1, min(most, -(-points // threads))), threads

    def cover_blocks(self, tasks: int, threads: int = 256) -> tuple[int, int]:
        """Return blocks and threads for a kernel whose blocks take tasks in turn.

        Parameters
        ----------
        tasks : int
            What there is to do for blocks.
        threads : int
            Of a block, on hardware.

        Returns
        -------
        (int, int)
            As from `cover`.
        """
        return self.cover(tasks * threads, threads)

    @property
    def free_memory(self) -> int:
        """Bytes that are free on the GPU, for all who share it."""
        if self.simulated:
            return 2**63 - 1
        from numba import cuda

        return int(cuda.current_context().get_memory_info().free)

    @contextmanager
    def _told(self, size: int) -> Iterator[None]:
        """Turn errors of the driver into ours."""
        try:
            yield
        except Exception as error:
            if not _is_of_driver(error):
                raise
            raise GpuError(self._refusal(error, size)) from None

    def _refusal(self, error: BaseException, size: int) -> str:
        text = " ".join(str(error).split())
        if size and ("OUT_OF_MEMORY" in text or isinstance(error, MemoryError)):
            share = f" shared by {self.users} ranks" if self.users > 1 else ""
            asked, free, whole = (
                f"{number / 2**20:.1f}"
                for number in (size, self.free_memory, self.gpu.memory)
            )
            return (
                f"run.device: {self.gpu.name}{share}: out of memory: {asked} MiB asked "
                f"for, {free} of {whole} MiB free; use more GPUs, fewer ranks on each, "
                "a smaller problem, or device: cpu"
            )
        return (
            f"run.device: {self.gpu.name}: a kernel or a copy failed: {text}; if it "
            "fails again, device: cpu does without the GPU"
        )


def _is_of_driver(error: Exception) -> bool:
    """Tell whether the driver or a library of CUDA has failed, or memory is short."""
    from numba.cuda.cudadrv.driver import CudaAPIError
    from numba.cuda.cudadrv.error import CudaSupportError

    if isinstance(error, (CudaAPIError, CudaSupportError, MemoryError)):
        return True
    # launches and the linker raise errors of CUDA's own packages, which have no name
    # that is public
    return type(error).__module__.partition(".")[0] == "cuda"
