# SPDX-License-Identifier: MIT
"""How pieces of arrays on a GPU get into messages and out of them. No MPI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.gpu.device import CudaDevice
from hpcapp.gpu.views import cut
from hpcapp.mpi.packing import ON_HOST, Slot

__all__ = ["GpuSlot", "OnGpu", "copy_piece"]


@dataclass(frozen=True)
class GpuSlot(Slot):
    """A piece of an array on a GPU.

    Parameters
    ----------
    staged : device array
        Contiguous, of the piece's shape.
    """

    staged: Any


class OnGpu:
    """Arrays in the memory of a GPU; pieces of arrays on the host may be among them.

    A piece is copied into a contiguous array on the GPU. That is the message where the
    device says that MPI takes it (`direct`); else it is copied into a pinned buffer on
    the host, which is the message.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    main : stream
        Where kernels that use the arrays are queued. Copies have a queue of their own:
        it waits for what was queued there before `begin`, and what is queued there
        after `finish` waits for it. In between both go on side by side.
    """

    prompt: bool = False

    def __init__(self, device: CudaDevice, main: Any) -> None:
        self._device, self._main = device, main
        # a rank that waits for messages must not wait for the interior's kernel first
        self._aside = device.stream(urgent=True)

    def warm_up(self) -> None:
        """Compile the kernels for views and for whole arrays, of both types."""
        double, single = np.float64, np.float32
        for shape, kind in (((3, 3), double), ((3, 3), single), ((3, 3, 3), double)):
            whole = self._device.to_device(np.zeros(shape, kind))
            small = np.zeros(tuple(n - 1 for n in shape), kind)
            other = self._device.to_device(small)
            view = whole[tuple(slice(0, 2) for _ in shape)]
            for out in (other, view):
                for piece in (other, view):
                    copy_piece(self._device, out, piece, self._aside)

    def cut(self, array: Any, index: tuple[slice, ...]) -> Any:
        """Return a piece of an array, a view."""
        return cut(array, index)

    def slot(self, piece: Any) -> Slot:
        """Return a piece with a buffer for its messages."""
        if isinstance(piece, np.ndarray):
            return ON_HOST.slot(piece)
        if self._device.direct:
            staged = self._device.empty(tuple(piece.shape), piece.dtype)
            return GpuSlot(piece, staged, int(staged.nbytes), staged)
        return self._slot(piece)

    def _slot(self, piece: Any) -> GpuSlot:
        shape = tuple(piece.shape)
        message = self._device.pinned(shape, piece.dtype)
        staged = self._device.empty(shape, piece.dtype)
        return GpuSlot(piece, message, message.nbytes, staged)

    def begin(self) -> None:
        """Let copies wait for the kernels queued up to now, and for no later ones."""
        self._device.order(self._main, self._aside)

    def pack(self, slots: Sequence[Slot]) -> None:
        """Queue the copying of pieces into their buffers."""
        for slot in slots:
            if isinstance(slot, GpuSlot):
                self._pack(slot)
            else:
                ON_HOST.pack([slot])

    def _pack(self, slot: GpuSlot) -> None:
        copy_piece(self._device, slot.staged, slot.piece, self._aside)
        if slot.message is not slot.staged:
            self._device.copy_out(slot.staged, slot.message, self._aside)

    def wait(self) -> None:
        """Wait until the buffers are filled, and free; kernels elsewhere go on."""
        self._device.wait(self._aside)

    def unpack(self, slots: Sequence[Slot]) -> None:
        """Queue the copying of buffers into their pieces."""
        for slot in slots:
            if isinstance(slot, GpuSlot):
                self._unpack(slot)
            else:
                ON_HOST.unpack([slot])

    def _unpack(self, slot: GpuSlot) -> None:
        if slot.message is not slot.staged:
            self._device.put(slot.staged, slot.message, self._aside)
        copy_piece(self._device, slot.piece, slot.staged, self._aside)

    def pair(self, source: Any, target: Any) -> Any:
        """Return source, target and a buffer where one is on the host, one is not."""
        slot = None
        if isinstance(source, np.ndarray) != isinstance(target, np.ndarray):
            there = target if isinstance(source, np.ndarray) else source
            slot = self._slot(there)
        return source, target, slot

    def copy(self, pairs: Sequence[Any]) -> None:
        """Copy pieces into others; returns when those on the host are written."""
        for source, target, slot in pairs:
            if slot is None and isinstance(source, np.ndarray):
                np.copyto(target, source)
            elif slot is None:
                copy_piece(self._device, target, source, self._aside)
            elif isinstance(source, np.ndarray):
                # an earlier transfer from the buffer may not be over
                self.wait()
                np.copyto(slot.message, source)
                self._unpack(slot)
            else:
                self._pack(slot)
                self.wait()
                np.copyto(target, slot.message)

    def finish(self) -> None:
        """Let kernels that are queued from now on wait for the new values."""
        self._device.order(self._aside, self._main)


def copy_piece(device: CudaDevice, out: Any, piece: Any, stream: Any) -> None:
    """Queue the copying of a piece of two or three dimensions.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    out, piece : device array of float64, or of float32 in two dimensions
        Of the same shape; views too.
    stream : stream
        Where to queue it.
    """
    from hpcapp.gpu.copy_cuda_kernels import copy_planes_gpu, copy_rows_gpu

    points = int(np.prod(piece.shape))
    if points:
        copy = copy_rows_gpu if piece.ndim == 2 else copy_planes_gpu
        device.start(copy, device.cover(points), out, piece, stream=stream)
