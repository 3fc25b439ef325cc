# SPDX-License-Identifier: MIT
"""Where the kernels of a solver are queued on a GPU."""

from typing import Any

from hpcapp.gpu.packing import OnGpu
from hpcapp.mpi.packing import Packing

__all__ = ["LINE", "MOST", "Queue"]

Region = tuple[int, int, int, int]

# numbers in a cache line: columns of an array are a multiple, so that rows begin on one
LINE = 16

# blocks of a grid along its second axis
MOST = 65535

# threads of a block in the simulator, where each is one of Python; a power of two
FEW = 4


class Queue:
    """A stream of a GPU, and another one in which pieces of arrays travel.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    """

    def __init__(self, device: Any) -> None:
        self.device, self.stream = device, device.stream()
        self.packing: Packing = OnGpu(device, self.stream)

    def march(
        self,
        kernel: Any,
        region: Region,
        *arguments: Any,
        height: int = 16,
        width: int = 1,
        align: int = LINE,
    ) -> None:
        """Queue a kernel whose threads go down pieces of columns.

        Parameters
        ----------
        kernel : CUDA kernel
            Its last argument is a region; the first thread begins at the column before
            the region's first that is a multiple of `align`.
        region : tuple of int
            Rows and columns; may be empty.
        *arguments : Any
            Of the kernel, but for the region.
        height, width : int
            Rows and columns of a thread.
        align : int
            1, or an even number.
        """
        first, last, start, stop = region
        threads = FEW if self.device.simulated else 128
        across = -(-(stop - start // align * align) // (threads * width))
        for low in range(first, last if start < stop else first, MOST * height):
            high = min(low + MOST * height, last)
            grid = ((across, -(-(high - low) // height)), threads)
            piece = (low, high, start, stop)
            self.device.start(kernel, grid, *arguments, piece, stream=self.stream)
