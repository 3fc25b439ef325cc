# SPDX-License-Identifier: MIT
"""From a trace to words: imbalance, waiting, shared cores, distance from the limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.clock import PHASES
from hpcapp.log import duration
from hpcapp.planning import show_bytes
from hpcapp.studies.timeline import resample
from hpcapp.trace import Trace

__all__ = ["Balance", "limit_rows", "phase_rows", "shared_cores", "turns"]

COMPUTE, HALO, REDUCE = (PHASES.index(name) for name in ("compute", "halo", "reduce"))


def phase_rows(trace: Trace) -> list[tuple[str, ...]]:
    """Return min, mean, max over ranks, and mean waiting, of each phase that took time.

    Parameters
    ----------
    trace : Trace
        Of the run.

    Returns
    -------
    list of tuple of str
        For a table.
    """
    rows: list[tuple[str, ...]] = []
    for number, phase in enumerate(PHASES):
        seconds = trace.seconds[:, number]
        if seconds.max() > 0:
            waited = trace.waited[:, number].mean()
            figures = (seconds.min(), seconds.mean(), seconds.max(), waited)
            rows.append((phase, *(duration(float(figure)) for figure in figures)))
    return rows


@dataclass(frozen=True)
class Balance:
    """How evenly the ranks worked.

    Parameters
    ----------
    trace : Trace
        Of the run.
    """

    trace: Trace

    @property
    def imbalance(self) -> float:
        """Computing seconds of the slowest rank over their mean; 1 is perfect."""
        compute = self.trace.seconds[:, COMPUTE]
        return float(compute.max() / compute.mean()) if compute.mean() > 0 else 1.0

    @property
    def slowest(self) -> int:
        """The rank that computed longest."""
        return int(self.trace.seconds[:, COMPUTE].argmax())

    @property
    def talking(self) -> float:
        """Share of the steps that ranks spent on messages and on waiting for them."""
        steps = self.trace.seconds[:, [COMPUTE, HALO, REDUCE]].sum()
        talk = self.trace.seconds[:, [HALO, REDUCE]].sum()
        return float(talk / steps) if steps > 0 else 0.0

    def lines(self) -> list[str]:
        """Return sentences."""
        trace = self.trace
        if trace.ranks == 1:
            return ["One rank: nothing to balance, nobody to wait for."]
        lost = 1 - 1 / self.imbalance
        return [
            f"Imbalance: rank {self.slowest} computed {self.imbalance:.2f} times as "
            f"long as the mean; with perfect balance computing would take {lost:.0%} "
            "less.",
            f"Of the steps {self.talking:.0%} went into messages and into waiting for "
            "them (halo, reduce): a rank that is early waits there for one that is "
            "late.",
            f"Halo exchanges: {int(trace.messages.sum())} messages, "
            f"{show_bytes(float(trace.sent.sum()))} in all; the busiest rank sent "
            f"{int(trace.messages.max())}, {show_bytes(float(trace.sent.max()))}.",
        ]


def shared_cores(layout: Mapping[str, Any]) -> str:
    """Return where a run had fewer cores than its ranks and threads, or "".

    Parameters
    ----------
    layout : mapping
        Of the run, as its result tells it.

    Returns
    -------
    str
        The first node where that is so.
    """
    threads, hosts = int(layout["threads"]), list(layout["hosts"])
    for host, cores in (layout.get("cores") or {}).items():
        ranks = hosts.count(host)
        if ranks * threads > cores:
            return (
                f"{ranks} rank{'s' * (ranks > 1)} x {threads} "
                f"thread{'s' * (threads > 1)} shared {cores} core{'s' * (cores > 1)} "
                f"of {host}"
            )
    return ""


def turns(trace: Trace, layout: Mapping[str, Any]) -> tuple[float, float]:
    """Return how long ranks that computed must have waited for a core.

    Parameters
    ----------
    trace : Trace
        Of the run.
    layout : mapping
        Of the run, as its result tells it.

    Returns
    -------
    (float, float)
        Seconds of all ranks with a timeline in computing; those of them when more
        ranks of a node computed than it has cores: at least so many were waiting.
    """
    ends = trace.begin + trace.width * trace.pieces.shape[1]
    edges = np.linspace(0, float(ends.max()), 2 * trace.pieces.shape[1] + 1)
    hosts = np.array(layout["hosts"])[trace.traced]
    spent = waited = 0.0
    for host, cores in layout["cores"].items():
        busy = np.zeros(len(edges) - 1)
        for place in np.flatnonzero(hosts == host):
            busy += resample(trace, int(place), edges)[:, COMPUTE]
        spent += float(busy.sum())
        waited += float(np.maximum(0, busy - cores * np.diff(edges)).sum())
    return spent, waited


def limit_rows(
    limits: Mapping[str, Any],
    trace: Trace | None,
    timings: Mapping[str, Mapping[str, float]],
    work: tuple[float, str, float],
    size: int,
) -> list[tuple[str, ...]]:
    """Compare a run with what the machine can do at most.

    Parameters
    ----------
    limits : mapping
        As the doctor tells them; empty if they were not measured.
    trace : Trace or None
        Of the run.
    timings : mapping
        Seconds by phase: min, mean and max over ranks.
    work : (float, str, float)
        Done by all ranks, its unit, and the bytes that a unit moves through memory at
        least (0 where arithmetic is the limit).
    size : int
        Bytes of the result file.

    Returns
    -------
    list of tuple of str
        For a table: what, the run, the machine, share.
    """
    if not limits:
        return []
    rows = []
    amount, unit, traffic = work
    spent = sum(timings[name]["max"] for name in ("compute", "halo", "reduce"))
    if traffic and amount and spent:
        rate = amount * traffic / spent
        name = f"memory: {traffic:g} bytes for each of the {unit}"
        rows.append(_row(name, rate, float(limits["memory"])))
    exchange = limits.get("exchange")
    if exchange and trace is not None and trace.messages.max() > 0:
        best = trace.messages * exchange["latency"] + trace.sent / exchange["rate"]
        at = int(np.argmax(best))
        took, model = float(trace.seconds[at, HALO]), float(best[at])
        share = f"{model / took:.0%}" if took else ""
        name = f"halo exchange of rank {at}: bare messages of that number and size"
        rows.append((name, duration(took), duration(model), share))
    written = timings["io"]["max"]
    if limits.get("file") and written:
        name = f"files: the result of {show_bytes(size)}, with all that io does"
        rows.append(_row(name, size / written, float(limits["file"])))
    return rows


def _row(name: str, rate: float, limit: float) -> tuple[str, ...]:
    share = f"{rate / limit:.0%}" if limit else ""
    return (name, f"{show_bytes(rate)}/s", f"{show_bytes(limit)}/s", share)
