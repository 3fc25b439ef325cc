# SPDX-License-Identifier: MIT
"""Kempner's series: 1/k without the k whose digits contain a given string."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.device import Device
from hpcapp.workloads.series import on_gpu
from hpcapp.workloads.series.match import match_table
from hpcapp.workloads.series.summation import Share, Summation, collect_bins

__all__ = ["Kempner"]

PIECE = 1 << 14

# unit of the mantissas of 1/k for k <= 2**j: 2**-(j + 52)
SHIFT = 52


class Kempner(Summation):
    """Add the doubles nearest to 1/k.

    Parameters
    ----------
    digits : str
        What no denominator may contain.

    Notes
    -----
    A denominator is its leading digits and its last four. Leading digits that contain
    the string are skipped, and with them all that begin in the same way. For the
    others the state in which they leave the automaton says which last four digits are
    allowed: one list for each state.
    """

    chunk = gpu_chunk = 1 << 29

    def __init__(self, digits: str) -> None:
        self.digits = digits
        self.memory = 8 * 10_000 * (len(digits) + 1)

    @cached_property
    def _tables(self) -> tuple[NDArray[Any], ...]:
        from hpcapp.workloads.series.kernels import LAST_DIGITS

        follow = np.array(match_table(self.digits), np.int64)
        last = np.arange(LAST_DIGITS)
        lists = []
        for state in range(len(follow)):
            states = np.full(LAST_DIGITS, state)
            for unit in (1000, 100, 10, 1):
                digit = last // unit % 10
                states = np.where(states < 0, -1, follow[states, digit])
            lists.append(np.flatnonzero(states >= 0))
        whole = [k for k in range(1, LAST_DIGITS) if self.digits not in str(k)]
        lists.append(np.array(whole))
        offsets = np.zeros((len(lists), LAST_DIGITS))
        for row, numbers in zip(offsets, lists, strict=True):
            row[: len(numbers)] = numbers
        return offsets, np.array([len(n) for n in lists]), follow

    def add(self, device: Device, share: Share) -> NDArray[np.int64]:
        """Return the exact sum of a share of the terms."""
        from hpcapp.workloads.series.kernels import BINS, add_reciprocals_cpu

        if device.name == "cuda":
            numbers = share.numbers(PIECE)
            return collect_bins(
                on_gpu.add_reciprocals(device, self._tables, numbers), SHIFT
            )
        shares = share.split(device.threads)
        bins = np.zeros((len(shares), BINS, 2), np.int64)
        calls = [
            (bins[n], *self._tables, part.numbers(PIECE))
            for n, part in enumerate(shares)
        ]
        device.launch(add_reciprocals_cpu, calls)
        return collect_bins(bins.sum(axis=0), SHIFT)

    def warm_up(self, device: Device) -> None:
        """Compile the kernel."""
        self.add(device, Share(1, 2, 0, 1))

    def limit(self) -> float:
        """Return the sum of the whole series."""
        from hpcapp.workloads.series.limit import kempner_limit

        return kempner_limit(self.digits)

    def error_bound(self, value: float, terms: int) -> float:  # noqa: ARG002
        """Return what is still to come, and the rounding of the terms and the sum.

        Each term is off by 2**-53 of itself at most, so their sum is too, and then it
        is rounded: 2**-52 of it in all. The limit is rounded as well.
        """
        limit = self.limit()
        return abs(limit - value) + 2.0**-52 * value + 2.0**-53 * limit
