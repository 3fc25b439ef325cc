# SPDX-License-Identifier: MIT
"""Levels of a multigrid cycle on a GPU, and the ways between them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.fields import LatePart
from hpcapp.gpu.packing import copy_piece
from hpcapp.gpu.views import cut
from hpcapp.workload import Context, Part, State
from hpcapp.workloads.laplace.cuda_queue import Queue
from hpcapp.workloads.laplace.level import (
    GROWN,
    POST,
    PRE,
    Level,
    load_right_side,
    local_unknowns,
    natural_view,
    padded,
)
from hpcapp.workloads.laplace.levels import LevelShape
from hpcapp.workloads.laplace.poisson import Poisson
from hpcapp.workloads.laplace.transfer import Transfer

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["CudaLevel", "CudaTransfer", "build_on_gpu"]

# levels after the first with fewer unknowns stay on the host, where a half-sweep of
# them takes less time than it takes to queue a kernel
ON_HOST_BELOW = 5000


def build_on_gpu(
    ctx: Context, shapes: Sequence[LevelShape], constants: Sequence[float | None]
) -> tuple[list[Level], list[Transfer]]:
    """Return the levels and the ways between them.

    Parameters
    ----------
    ctx : Context
        Communicator and device.
    shapes : sequence of LevelShape
        The levels; the last one, which is solved directly, and small ones are made on
        the host.
    constants : sequence of (float or None)
        Right-hand side of each where it is the same everywhere.

    Returns
    -------
    levels : list of Level
        As many as shapes.
    transfers : list of Transfer
        Between them.
    """
    device: Any = ctx.device
    queue, below = Queue(device), 0 if device.simulated else ON_HOST_BELOW
    levels: list[Level] = []
    for number, (shape, constant) in enumerate(zip(shapes, constants, strict=True)):
        small = number > 0 and shape.unknowns < below
        if small or number + 1 == len(shapes):
            levels.append(Level(ctx.comm, device, shape, constant))
        else:
            levels.append(CudaLevel(ctx.comm, queue, shape, constant))
    transfers: list[Transfer] = []
    for fine, coarse in pairwise(levels):
        if isinstance(fine, CudaLevel):
            transfers.append(CudaTransfer(ctx.comm, fine, coarse))
        else:
            transfers.append(Transfer(ctx.comm, fine, coarse))
    return levels, transfers


class CudaLevel(Level):
    """A level whose arrays are on a GPU; rows are always split there.

    Parameters
    ----------
    comm : Comm
        The ranks.
    queue : Queue
        Of the GPU.
    shape : LevelShape
        The level.
    constant : float or None
        Right-hand side where it is the same everywhere: needs no array.
    """

    def __init__(
        self, comm: "Comm", queue: Queue, shape: LevelShape, constant: float | None
    ) -> None:
        self.queue, self.packing = queue, queue.packing
        super().__init__(comm, queue.device, shape, constant)
        if not self.active:
            return
        if constant is not None:
            self.f = queue.device.empty((0, 0, 0))
        rows, columns, across, first, last, shift = self.place
        down, up = rows[:, 0], rows[:, 1]
        inverse = 1.0 / (down + up + 2.0 * across)
        scaled = (down, up, down * inverse, up * inverse, across * inverse, inverse)
        self._tables = [
            queue.device.to_device(np.ascontiguousarray(table))
            for table in (np.stack(scaled, axis=1), columns)
        ]
        self._rest = (float(across), (int(first), int(last), int(shift)))
        self._sides: list[tuple[Any, Any]] = []

    def head(self) -> tuple[Any, ...]:
        """Return the arguments that the kernels begin with."""
        return (self.u, self.f, float(self.constant), *self._tables, *self._rest)

    # --- values

    def zeros(self, block: Block) -> Any:
        """Return an array on the GPU."""
        array = self.queue.device.empty(padded(block))
        self.fill(array, 0.0)
        return array

    def fill(self, array: Any, value: float) -> None:
        """Set all values of an array."""
        from hpcapp.workloads.laplace.cycle_cuda_kernels import HEIGHT, fill_gpu

        region = (0, array.shape[0], 0, 2 * array.shape[2])
        self.queue.march(
            fill_gpu, region, array, value, height=HEIGHT, width=2, align=2
        )

    def fetch(self, array: Any) -> np.ndarray:
        """Return a copy."""
        found: np.ndarray = self.queue.device.from_device(array)
        return found

    def restore(self, state: State) -> bool:
        """Set the block's values to saved ones, if there are any."""
        return self.read(state, "u", self.u)

    def read(self, state: State, name: str, array: Any) -> bool:
        """Set an array of the block to a saved field, if there is one."""
        if not self.active:
            return state.read(name, self.block, np.zeros((0, 0)))
        host = np.zeros(padded(self.block))
        if not state.read(name, self.block, natural_view(host, self.block)):
            return False
        rows = host.reshape((len(host), -1))
        split = np.stack([rows[:, 0::2], rows[:, 1::2]], axis=1)
        self.queue.device.put(array, split)
        return True

    def part(self) -> Part:
        """Return the block's values, to be copied when they are wanted."""
        return self.part_of(self.u)

    def part_of(self, array: Any) -> Part:
        """Return `part` of an array of the block."""

        def fetch() -> np.ndarray:
            """Copy, and bring rows into natural order."""
            rows = self.fetch(array).transpose((0, 2, 1))
            return natural_view(np.ascontiguousarray(rows), self.block)

        return LatePart(self.block, fetch)

    def split(self) -> None:
        """Do nothing: rows are split."""

    def clear(self) -> None:
        """Set all values to 0."""
        if self.active:
            self.fill(self.u, 0.0)

    def load(self, problem: Poisson) -> None:
        """Set right-hand side and given boundary values; nothing else is meant."""
        if not self.active:
            return
        if self.f.size and problem.constant is not None:
            self.fill(self.f, problem.constant)
        elif self.f.size:
            host = np.empty(padded(self.block))
            load_right_side(host, problem, self.shape.axes, self.start)
            self.queue.device.put(self.f, host)
        self.load_sides(problem)

    def load_sides(self, problem: Poisson, natural: bool = False) -> None:  # noqa: ARG002
        """Set the given boundary values.

        Parameters
        ----------
        problem : Poisson
            With the values.
        natural : bool
            Without a meaning here.
        """
        if not self.active:
            return
        ny, _, half = self.u.shape
        if not self._sides:
            for axis, at, values in problem.sides(
                self.shape.axes, self.start, (ny, 2 * half)
            ):
                if axis == 0:
                    index = (slice(at, at + 1), slice(None), slice(None))
                    found = np.stack([values[0::2], values[1::2]])[np.newaxis]
                else:
                    p, k = at % 2, at // 2
                    index = (slice(None), slice(p, p + 1), slice(k, k + 1))
                    found = values[:, np.newaxis, np.newaxis]
                found = np.ascontiguousarray(found, np.float64)
                target = cut(self.u, index)
                self._sides.append((target, self.queue.device.to_device(found)))
        for target, found in self._sides:
            copy_piece(self.queue.device, target, found, self.queue.stream)

    # --- norms

    def norms(self, join: bool = False) -> np.ndarray:  # noqa: ARG002
        """Return bit patterns of the largest residual and value: int64[2].

        Parameters
        ----------
        join : bool
            Without a meaning here.
        """
        from hpcapp.workloads.laplace.norm_cuda_kernels import norm_gpu

        if not self.active:
            return np.zeros(2, np.int64)
        found = self.queue.device.to_device(np.zeros(2, np.int64))
        self.queue.march(norm_gpu, self.region(), found, *self.head(), width=2, align=2)
        return self.fetch(found)

    def rim_norms(self) -> np.ndarray:
        """Return `norms`, and the right-hand side where it is larger."""
        constant = abs(self.constant) if self.active else 0.0
        found = self.norms()
        np.maximum(found, np.array([constant, 0.0]).view(np.int64), out=found)
        return found

    def largest_of(self, array: Any) -> np.ndarray:
        """Return the bit pattern of the largest value of an array: int64[1]."""
        from hpcapp.workloads.laplace.norm_cuda_kernels import largest_gpu

        if not self.active:
            return np.zeros(1, np.int64)
        found = self.queue.device.to_device(np.zeros(1, np.int64))
        self.queue.march(largest_gpu, self.region(), found, array, width=2, align=2)
        return self.fetch(found)


class CudaTransfer(Transfer):
    """The way from a level on a GPU to the next one, there or on the host, and back.

    Parameters
    ----------
    comm : Comm
        The ranks.
    fine : CudaLevel
        On the GPU.
    coarse : Level
        On either.
    """

    def __init__(self, comm: "Comm", fine: CudaLevel, coarse: Level) -> None:
        self._queue, self._level = fine.queue, fine
        super().__init__(comm, fine, coarse)

    def _tables(self, fine: Any, coarse: Any) -> None:
        super()._tables(fine, coarse)

        def there(table: np.ndarray) -> Any:
            """Copy a table to the GPU, of the type that the kernels take."""
            kind = np.int64 if table.ndim == 1 else np.float64
            found = np.ascontiguousarray(table, kind)
            return self._queue.device.to_device(found)

        down, beside, rows, columns = self._rest
        ways = _integers((*rows, *columns))
        self._rest = (there(down), there(beside), ways)
        self._lift = (*map(there, self._lift[:4]), _integers(self._lift[4]))
        self._rise = (*map(there, self._rise[:4]), _integers(self._rise[4]))

    def _relax(self, stages: range) -> None:
        """Do half-sweeps, red ones first, on regions grown by these numbers."""
        from hpcapp.workloads.laplace.cycle_cuda_kernels import HEIGHT, relax_gpu

        for stage, grow in enumerate(stages):
            region, head = self._level.region(grow), self._level.head()
            self._queue.march(
                relax_gpu, region, *head, stage & 1, height=HEIGHT, width=2, align=2
            )

    def descend(self) -> None:
        """Sweep on the fine level and restrict what is left to the coarse one."""
        from hpcapp.workloads.laplace.cycle_cuda_kernels import restrict_gpu

        if self._level.active:
            self._relax(range(GROWN + 2 * PRE - 1, GROWN - 1, -1))
            area = local_unknowns(self._axes, self._block)
            head = (self._f, *self._level.head(), *self._rest, self._level.limits())
            self._queue.march(restrict_gpu, area, *head, height=1, align=1)
        if self._moves:
            self._moves[0].run()

    def ascend(self) -> None:
        """Correct the fine level by the coarse one and sweep."""
        from hpcapp.workloads.laplace.cycle_cuda_kernels import HEIGHT
        from hpcapp.workloads.laplace.lift_cuda_kernels import correct_gpu

        if self._level.active:
            head = (self._level.u, self._u, *self._lift, int(self._level.place[-1]))
            region = self._level.region(2 * POST)
            self._queue.march(
                correct_gpu, region, *head, height=HEIGHT, width=2, align=2
            )
            self._relax(range(2 * POST - 1, -1, -1))

    def prolong(self) -> None:
        """Interpolate the coarse solution to the fine level by cubics."""
        from hpcapp.workloads.laplace.lift_cuda_kernels import prolong_gpu

        if self._level.active:
            head = (self._level.u, self._u, *self._rise)
            region = self._level.region()
            self._queue.march(prolong_gpu, region, *head, height=1, align=1)


def _integers(numbers: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)
