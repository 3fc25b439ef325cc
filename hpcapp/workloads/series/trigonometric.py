# SPDX-License-Identifier: MIT
"""The series of cos(k theta) / k, which is -ln(2 |sin(theta / 2)|)."""

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hpcapp import reduction
from hpcapp.decomposition import part_of
from hpcapp.device import Device
from hpcapp.workloads.series import on_gpu
from hpcapp.workloads.series.angles import BITS, cosines_and_sines, turn_of
from hpcapp.workloads.series.summation import Share, Summation, collect_bins

__all__ = ["Trigonometric"]

# a multiple of the blocks of the kernel
PIECE = 1 << 14

# unit of the terms with 2**j <= k < 2**(j+1): 2**-(j + 51)
SHIFT = 51

# error of a term times k, see docs/series.md
TERM_ERROR = 12 * 2.0**-53


class Trigonometric(Summation):
    """Add cos(k theta) / k by blocks of angles.

    Parameters
    ----------
    theta : float
        Radian, not near a multiple of 2 pi.

    Notes
    -----
    What a term is says `kernels.add_cosines_cpu`; below k = 256 it is the double
    nearest to cos(k theta), divided by k. No term depends on what else is added.
    """

    chunk = gpu_chunk = 1 << 29
    memory = 3 * 8 * 256

    def __init__(self, theta: float) -> None:
        self.theta = theta

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        from hpcapp.workloads.series.kernels import BLOCK

        return np.array([*cosines_and_sines(self.theta, BLOCK), range(BLOCK)], float)

    def add(self, device: Device, share: Share) -> NDArray[np.int64]:
        """Return the exact sum of a share of the terms."""
        from hpcapp.workloads.series.kernels import BINS, add_cosines_cpu

        if device.name == "cuda":
            facts = self._table, self._angles(device, share), share.numbers(PIECE)
            total = collect_bins(on_gpu.add_cosines(device, *facts), SHIFT)
            return reduction.merge(total, self._add_first(share))
        shares = share.split(device.threads)
        bins = np.zeros((len(shares), BINS, 2), np.int64)
        calls = [
            (bins[n], self._table, self._turns(part), part.numbers(PIECE))
            for n, part in enumerate(shares)
        ]
        device.launch(add_cosines_cpu, calls)
        total = collect_bins(bins.sum(axis=0), SHIFT)
        return reduction.merge(total, self._add_first(share))

    def gpu_memory(self, terms: int) -> int:
        """Return bytes of tables, and of two numbers for each block of a share."""
        pieces = min(terms, self.chunk) // PIECE + 2
        # 16 bytes for 256 terms
        return super().gpu_memory(terms) + pieces * PIECE // 16

    def _angles(self, device: Device, share: Share) -> NDArray[np.float64]:
        """Return cosine and sine of all blocks of a share, made by the CPU's threads.

        A GPU has a cosine of its own, with other bits. 16 bytes for 256 terms.
        """
        from hpcapp.workloads.series.kernels import BLOCK, fill_angles_cpu

        span, step = share.end - share.first(PIECE) * PIECE, share.parts * PIECE
        pieces, blocks = max(0, -(-span // step)), PIECE // BLOCK
        angles = np.empty((pieces * blocks, 2))
        turns = self._turns(share)
        calls = []
        for n in range(device.threads):
            first, last = part_of(pieces, device.threads, n)
            part = angles[first * blocks : last * blocks]
            calls.append((part, turns, first, blocks))
        device.launch(fill_angles_cpu, calls)
        return angles

    def _turns(self, share: Share) -> NDArray[np.int64]:
        from hpcapp.workloads.series.kernels import BLOCK, TURN_BITS

        one = turn_of(self.theta)
        multiples = (share.first(PIECE) * PIECE, BLOCK, share.parts * PIECE)
        turns = [k * one % (1 << BITS) >> (BITS - 2 * TURN_BITS) for k in multiples]
        halves = [(turn >> TURN_BITS, turn % (1 << TURN_BITS)) for turn in turns]
        return np.array(halves, np.int64)

    def _add_first(self, share: Share) -> NDArray[np.int64]:
        """Add the terms before the first block that the kernel does."""
        total = reduction.zeros()
        for begin, end in share.pieces(PIECE):
            part = self._table[:, begin:end]
            reduction.add(total, part[0] / part[2])
            break
        return total

    def warm_up(self, device: Device) -> None:
        """Compile the kernels."""
        self.add(device, Share(1, 2, 0, 1))

    def limit(self) -> float:
        """Return the sum of the whole series."""
        return -math.log(2.0 * abs(math.sin(self.theta / 2)))

    def error_bound(self, value: float, terms: int) -> float:
        """Return a bound of what is still to come, and of all rounding.

        The sum of cos(k theta) over any range of k is at most 1 / |sin(theta / 2)|,
        and 1/k falls: by Abel's summation the terms from N + 1 on are at most
        1 / ((N + 1) |sin(theta / 2)|) in sum.
        """
        rest = 1.0 / ((terms + 1) * abs(math.sin(self.theta / 2)))
        rounding = TERM_ERROR * (1.0 + math.log(terms))
        return rest + rounding + 2.0**-52 * (1.0 + abs(value))
