# SPDX-License-Identifier: MIT
"""Sums of slowly converging series: Kempner's, a trigonometric one, midpoint rules."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hpcapp import reduction
from hpcapp.config import Model
from hpcapp.decomposition import Domain, Layout
from hpcapp.device import Device
from hpcapp.errors import HpcappError
from hpcapp.validity import Check, Read
from hpcapp.workload import Answer, Context, Field, State, Step, Workload
from hpcapp.workloads.series.checks import check_sum
from hpcapp.workloads.series.kempner import Kempner
from hpcapp.workloads.series.midpoint import Midpoint
from hpcapp.workloads.series.parameters import Parameters
from hpcapp.workloads.series.summation import Share, Summation
from hpcapp.workloads.series.trigonometric import Trigonometric

__all__ = ["Series"]


class Series(Workload):
    """Add terms exactly and round the sum once.

    Notes
    -----
    A term is a double that its number and the parameters fix; what the terms are says
    each `Summation`. The sum over all ranks is one of integers, so that ranks, threads
    and the order of pieces change no bit.
    """

    Parameters: ClassVar[type[Model]] = Parameters
    summary: ClassVar[str] = "sum of a slowly converging series"
    unit: ClassVar[str] = "terms"
    watched: ClassVar[str] = "sum"

    def domain(self) -> Domain:
        """Return the terms, which are dealt out in pieces."""
        return Domain(("term",), (self.parameters.terms,), dealt=True)

    def fields(self) -> tuple[Field, ...]:
        """Return the sum, its way there, and what is known of the limit."""
        fields = (
            Field("value", (), "1", "sum of the terms", kind="both"),
            Field("terms", (), "1", "terms added", "int64", "both"),
            Field("mark", ("mark",), "1", "terms added", "int64", "both"),
            Field("partial", ("mark",), "1", "sum of the first terms", kind="both"),
            Field("limbs", ("limb",), "1", "exact sum", "int64", "state"),
        )
        if not self._has_limit:
            return fields
        bound = "bound of the distance to the limit"
        return (
            *fields,
            Field("limit", (), "1", "sum of infinitely many terms"),
            Field("error_bound", (), "1", bound),
        )

    def without_gpu(self) -> str:
        """Return "": there are CUDA kernels for all series."""
        return ""

    def extendable(self) -> frozenset[str]:
        """Return the number of terms, where that changes none of them."""
        return frozenset({"terms"} if self._has_limit else ())

    def grown(self, factor: float) -> Mapping[str, Any]:
        """Return more terms."""
        return {"terms": max(1, round(self.parameters.terms * factor))}

    def memory(self, layout: Layout, rank: int) -> int:  # noqa: ARG002
        """Return the bytes of tables, or of a piece of points."""
        return self._summation.memory

    def gpu_memory(self, layout: Layout, rank: int) -> tuple[int, int]:  # noqa: ARG002
        """Return bytes of tables and of a piece; there are no messages."""
        return self._summation.gpu_memory(self.parameters.terms), 0

    @property
    def _has_limit(self) -> bool:
        return self.parameters.name in ("kempner", "trigonometric")

    @cached_property
    def _summation(self) -> Summation:
        p = self.parameters
        if p.name == "kempner":
            return Kempner(p.digits)
        if p.name == "trigonometric":
            return Trigonometric(p.theta)
        return Midpoint(p.integrand, p.bounds, p.terms)

    def checks(self, read: Read) -> Iterator[Check]:
        """Compare with terms added one by one, and with limits."""
        return check_sum(self.parameters, read)

    def warm_up(self, device: Device) -> None:
        """Compile the kernels of the series."""
        self._summation.warm_up(device)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Add the terms up to the next mark, or a chunk of them, at each step."""
        n, state, series = self.parameters.terms, ctx.state, self._summation
        total = np.array(state.get("limbs", reduction.zeros()))
        done = int(state.get("terms", 0))
        marks = np.array(state.get("mark", ()), np.int64)
        partial = np.array(state.get("partial", ()), np.float64)
        if done:
            self._record(state, total, done)
        chunk = series.gpu_chunk if ctx.device.name == "cuda" else series.chunk
        while done < n:
            stop = _next_stop(done, n, chunk)
            share = Share(done + 1, stop + 1, ctx.comm.rank, ctx.comm.size)
            found = ctx.comm.sum(series.add(ctx.device, share))
            if not reduction.finite(found):
                raise self._broken(ctx, share)
            total = reduction.merge(total, found)
            count, done = stop - done, stop
            self._record(state, total, done)
            if _is_mark(done):
                marks = np.append(marks, done)
                partial = np.append(partial, state["value"])
            state["mark"], state["partial"] = marks, partial
            value = float(state["value"])
            yield Step(done / n, f"sum {value:.15g}", float(count), value)

    def _record(self, state: State, total: np.ndarray, done: int) -> None:
        """Make the state complete but for the marks."""
        value = self._summation.value(total)
        state["limbs"], state["terms"] = total, np.int64(done)
        state["value"] = np.float64(value)
        if self._has_limit:
            state["limit"] = np.float64(self._summation.limit())
            bound = self._summation.error_bound(value, done)
            state["error_bound"] = np.float64(bound)

    def _broken(self, ctx: Context, share: Share) -> HpcappError:
        """Return the error for the first term that is no finite number; collective."""
        found = self._summation.refuse(share)
        # the largest negative number is that of the first term
        last = np.iinfo(np.int64).max
        mine = np.array([-(found[0] if found else last)], np.int64)
        first = -int(ctx.comm.max(mine)[0])
        if first == last:
            return HpcappError(
                "series: parameters.integrand: must be a finite number at all "
                f"midpoints, is not at one of terms {share.begin} to {share.end - 1}, "
                f"and is at all of them on the CPU; {ctx.device.note} has functions "
                "that differ in the last places: move the bounds, or use device: cpu"
            )
        texts = ctx.comm.all(found[1] if found and found[0] == first else "")
        return HpcappError("series: " + next(text for text in texts if text))

    def answer(self, state: State) -> Answer:
        """Return the sum, and what remains to the limit."""
        value, terms = float(state["value"]), int(state["terms"])
        text = f"sum {value:.15g} of {terms} terms"
        values: dict[str, float] = {"value": value, "terms": terms}
        if self._has_limit:
            limit, bound = float(state["limit"]), float(state["error_bound"])
            text += f", limit {limit:.15g}, distance at most {bound:.2e}"
            values |= {"limit": limit, "error_bound": bound}
        return Answer(text, values)


def _is_mark(terms: int) -> bool:
    return str(terms).rstrip("0") == "1"


def _next_stop(done: int, terms: int, chunk: int) -> int:
    """Return the terms after the next step: a power of ten, or whole chunks."""
    power = 10 ** len(str(done)) if done else 1
    return min(terms, power, (done // chunk + 1) * chunk)
