# SPDX-License-Identifier: MIT
"""Integrals over an interval. Sums of f and of squares are exact."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp import reduction
from hpcapp.device import Device
from hpcapp.errors import HpcappError
from hpcapp.evaluation import evaluate_points
from hpcapp.expression import parse
from hpcapp.fields import Field, State
from hpcapp.gpu import values
from hpcapp.workload import Context
from hpcapp.workloads.montecarlo import on_gpu
from hpcapp.workloads.montecarlo.estimator import Estimator, Outcome, root

__all__ = ["Integral", "StratifiedIntegral"]

# samples evaluated at a time: arrays of 0.4 MB, in the second cache; a multiple of 6
PIECE = 6 << 13

# samples that tell the size of f - c
PILOT = 64


class Integral(Estimator):
    """Mean of f at independent points, times the length of the interval.

    Notes
    -----
    The variance is that of d = (f - c) s, with c = f at sample 0 and s a power of two
    that brings d at a few samples to about 1: constants of f do not cancel, squares
    neither overflow nor vanish. c and s depend on the configuration alone.
    """

    meaning = "the integral"
    # 11 ns a sample
    most = 3 << 24

    def __init__(self, parameters: Any, seed: int) -> None:
        super().__init__(parameters, seed)
        self.program = parse(parameters.function, ("x",))
        self._centre, self._scale = 0.0, 1.0

    def fields(self) -> tuple[Field, ...]:
        """Return the exact sums of f, d and d^2."""
        text = "exact sums of f, d and d^2"
        return (Field("sums", ("moment", "limb"), "1", text, "int64", "state"),)

    def start(self, state: State) -> None:
        """Start with empty sums."""
        state["sums"] = np.array([reduction.zeros() for _ in range(3)])

    def prepare(self, state: State) -> None:  # noqa: ARG002
        """Find c and s from a few samples, on every rank alike."""
        f = self._pilot()
        f = f[np.isfinite(f)]
        if not f.size:
            return
        self._centre = float(f[0])
        with np.errstate(over="ignore"):
            span = float(np.abs(f - self._centre).max()) or abs(self._centre)
        if 0 < span < math.inf:
            # at most 2^1023, also for subnormal spans
            self._scale = math.ldexp(1.0, min(1023, -math.frexp(span)[1]))

    def advance(self, ctx: Context, first: int, last: int) -> None:
        """Add the samples of a range."""
        calls = self.mine(ctx, first, last)
        if ctx.device.name == "cuda":
            found = self._empty()
            for call in calls:
                self._add_on_gpu(ctx.device, found, *call)
        else:
            found = sum(ctx.device.launch(self._sums, calls), self._empty())
        for limbs in found:
            reduction.normalise(limbs)
        total = ctx.comm.sum(found)
        sums = ctx.state["sums"] + total
        for limbs in sums:
            reduction.normalise(limbs)
        if sums[0, reduction.LIMBS - 3 :].any():
            raise self._no_number(ctx, first, last)
        ctx.state["sums"] = sums

    def outcome(self, state: State, samples: int) -> Outcome:
        """Return (b - a) mean(f) and (b - a) sqrt(variance / n)."""
        total, first, second = state["sums"]
        if samples < 2 or second[reduction.LIMBS - 3 :].any():
            return Outcome(self._estimate(total, samples), math.nan)
        one, two = reduction.exact(first), reduction.exact(second)
        variance = (two - one * one / samples) / (samples - 1)
        return Outcome(self._estimate(total, samples), self._error(variance / samples))

    def tell(self, estimate: str) -> str:
        """Name the integrand and the interval."""
        a, b = self.parameters.interval
        what = self.parameters.function
        return f"the integral of {what} from {a:g} to {b:g} is {estimate}"

    def warm_up(self, device: Device) -> None:
        """Compile the numbers, the expression and the sum."""
        self._sums(0, 6)
        if device.name == "cuda":
            self._add_on_gpu(device, self._empty(), 0, 6)

    def _add_on_gpu(
        self, device: Device, sums: NDArray[np.int64], first: int, last: int
    ) -> None:
        """Add the sums over a range, made on a GPU."""
        cells = 0 if self.align == 1 else self.parameters.samples
        a, b = self.parameters.interval
        norm = self._centre, self._scale
        for start in range(first, last, values.PIECE):
            place = start, cells, a, b - a, b
            count = min(last - start, values.PIECE)
            facts = self.program, place, norm, self.key, count
            on_gpu.add_samples(device, sums, *facts)

    def memory(self, threads: int) -> int:
        """Return bytes of six arrays of a piece in each thread."""
        return threads * 6 * 8 * PIECE

    def gpu_memory(self) -> int:
        """Return bytes of a piece of values and of its second differences."""
        count: int = min(self.parameters.samples, values.PIECE)
        return 8 * (count + count // 3) + values.count_bytes(self.program)

    def _pilot(self) -> NDArray[np.float64]:
        """Return the values at a few samples that stand for all."""
        return self._values(0, PILOT)

    def _empty(self) -> NDArray[np.int64]:
        return np.array([reduction.zeros() for _ in range(3)])

    def _estimate(self, limbs: NDArray[np.int64], samples: int) -> float:
        a, b = self.parameters.interval
        mean = reduction.exact(limbs) / samples
        return _rounded(mean * (Fraction(b) - Fraction(a)))

    def _error(self, square: Fraction) -> float:
        """Return the error of the integral from the square of that of d."""
        a, b = self.parameters.interval
        size = (Fraction(b) - Fraction(a)) / Fraction(self._scale)
        return root(square * size * size)

    def _points(self, first: int, last: int) -> NDArray[np.float64]:
        from hpcapp.workloads.montecarlo.kernels import fill_uniform_cpu

        a, b = self.parameters.interval
        x = np.empty(last - first)
        fill_uniform_cpu(x, first, *self.key)
        self._place(x, first)
        x *= b - a
        x += a
        # rounding may lead beyond the end
        np.minimum(x, b, out=x)
        return x

    def _place(self, u: NDArray[np.float64], first: int) -> None:
        """Turn uniform numbers into places of samples from 0 to 1."""

    def _values(self, first: int, last: int) -> NDArray[np.float64]:
        f = np.empty(last - first)
        evaluate_points(f, self.program, self._points(first, last))
        return f

    def _sums(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the sums over a range; several threads at a time."""
        sums = self._empty()
        for start in range(first, last, PIECE):
            f = self._values(start, min(last, start + PIECE))
            reduction.add(sums[0], f)
            with np.errstate(all="ignore"):
                self._add_squares(sums, f)
        return sums

    def _add_squares(self, sums: NDArray[np.int64], f: NDArray[np.float64]) -> None:
        d = f
        d -= self._centre
        d *= self._scale
        reduction.add(sums[1], d)
        d *= d
        reduction.add(sums[2], d)

    def _no_number(self, ctx: Context, first: int, last: int) -> HpcappError:
        """Say which is the first sample without a finite value; collective."""
        found = last
        for a, b in self.mine(ctx, first, last):
            for start in range(a, b, PIECE):
                f = self._values(start, min(b, start + PIECE))
                wrong = np.flatnonzero(~np.isfinite(f))
                if wrong.size:
                    found = min(found, start + int(wrong[0]))
        k = -int(ctx.comm.max(np.array([-found], np.int64))[0])
        if k == last:
            return HpcappError(
                "montecarlo: parameters.integrand: must be a finite number at all "
                f"samples, is not at one of samples {first} to {last - 1}, and is at "
                f"all of them on the CPU; {ctx.device.note} has functions that differ "
                "in the last places: move the bounds, or use device: cpu"
            )
        x, value = float(self._points(k, k + 1)[0]), float(self._values(k, k + 1)[0])
        return HpcappError(
            "montecarlo: parameters.integrand: must be a finite number at all samples, "
            f"got {self.parameters.function}, which is {value} at x = {x!r}, "
            f"sample {k}"
        )


class StratifiedIntegral(Integral):
    """One sample in each of n equal cells; the error from neighbours.

    Notes
    -----
    Sample k lies in the k-th of n cells. Within a cell f is nearly a line, and so it
    is over three cells: then d = f0 - 2 f1 + f2 of three neighbours has the mean 0 and
    the variance 6 v, v being the variance of a sample within its cell, since the trend
    drops out. The error of the mean is sqrt(v / n), with v from the mean of d^2 / 6
    over triples that do not overlap.
    """

    align = 3

    def _place(self, u: NDArray[np.float64], first: int) -> None:
        u += np.arange(first, first + len(u), dtype=np.float64)
        u /= self.parameters.samples

    def _pilot(self) -> NDArray[np.float64]:
        # the first samples lie side by side, where f may be far from its usual size
        chosen = [
            (self.parameters.samples - 1) * i // (PILOT - 1) for i in range(PILOT)
        ]
        return np.concatenate([self._values(k, k + 1) for k in chosen])

    def outcome(self, state: State, samples: int) -> Outcome:
        """Return (b - a) mean(f) and (b - a) sqrt(mean(d^2) / 6 / n)."""
        total, _, second = state["sums"]
        if samples < 3 or second[reduction.LIMBS - 3 :].any():
            return Outcome(self._estimate(total, samples), math.nan)
        square = reduction.exact(second) / (samples // 3 * 6) / samples
        return Outcome(self._estimate(total, samples), self._error(square))

    def _add_squares(self, sums: NDArray[np.int64], f: NDArray[np.float64]) -> None:
        f -= self._centre
        f *= self._scale
        whole = f[: len(f) // 3 * 3]
        d = whole[::3] - 2.0 * whole[1::3] + whole[2::3]
        d *= d
        reduction.add(sums[2], d)


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
