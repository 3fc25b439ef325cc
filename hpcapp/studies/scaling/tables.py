# SPDX-License-Identifier: MIT
"""A scaling study as a table to read, as CSV and as NetCDF."""

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import hpcapp
from hpcapp.studies.scaling.figures import Figures, Spread, spread_of
from hpcapp.studies.scaling.study import Study
from hpcapp.studies.scaling.watching import Watch

if TYPE_CHECKING:
    import xarray

__all__ = ["About", "describe_here", "study_text", "write_csv"]

# CF has no units for ranks and ratios but 1
UNITS = {"seconds": "s", "job_seconds": "s", "compile_seconds": "s", "io_seconds": "s"}


@dataclass(frozen=True)
class About:
    """What a study is of, for titles and attributes.

    Parameters
    ----------
    workload, summary, unit : str
        Of the workload.
    config : str
        The whole configuration as YAML.
    machine : str
        Processor, cores, host, MPI in words.
    date : str
        ISO 8601.
    """

    workload: str
    summary: str
    unit: str
    config: str
    machine: str
    date: str


def describe_here(cores: int, model: str) -> tuple[str, str]:
    """Return a machine in words with this program's versions, and the date."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    python = platform.python_version()
    words = f"{cores} core{'s' * (cores > 1)} of {model}, Python {python}"
    return f"{words}, hpcapp {hpcapp.__version__}", now


def show_seconds(seconds: float) -> str:
    """Return a time with three digits."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 0.9995 or unit == "us":
            return f"{seconds * factor:.3g} {unit}"
    raise ValueError("unreachable")


def study_text(study: Study, figures: Sequence[Figures], about: About) -> str:
    """Return a study in a form to read.

    Parameters
    ----------
    study : Study
        What was measured.
    figures : sequence of Figures
        Of its points.
    about : About
        What it is of.

    Returns
    -------
    str
        Title, table, and what may be said of it.
    """
    plan = study.plan
    kind = "weak" if plan.weak else "strong"
    title = (
        f"{about.workload} ({plan.config}): {kind} scaling, medians of "
        f"{plan.repeats} repeat{'s' * (plan.repeats > 1)} after a warm-up "
        "[smallest - largest]"
    )
    lines = [title, *_table(study, figures), *_notes(study, figures, about)]
    return "\n".join(lines)


def _table(study: Study, figures: Sequence[Figures]) -> list[str]:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table

    weak = study.plan.weak
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    heads = ["ranks", "threads", *(["size"] if weak else []), "seconds", ""]
    heads += ["compile", "io", "job", "speed-up", "", "efficiency"]
    heads += ["serial" if weak else "Karp-Flatt", "valid"]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for one, samples in zip(figures, study.samples, strict=True):
        rest = [
            spread_of([sample.phases[name] for sample in samples]).median
            for name in ("compile", "io")
        ]
        job = spread_of([sample.job for sample in samples]).median
        serial = "-" if one.serial is None else f"{one.serial:.3f}"
        table.add_row(
            str(one.point.ranks),
            str(one.point.threads),
            *([f"{one.point.factor:.3g}"] if weak else []),
            show_seconds(one.seconds.median),
            _range(one.seconds, show_seconds),
            *map(show_seconds, (*rest, job)),
            f"{one.speedup.median:.2f}",
            _range(one.speedup, lambda value: f"{value:.2f}"),
            f"{one.efficiency:.0%}",
            serial,
            "no" if one.faults else "yes",
        )
    stream = StringIO()
    Console(file=stream, width=200, color_system=None).print(table)
    return [line.rstrip() for line in stream.getvalue().rstrip().splitlines()]


def _range(spread: Spread, show: Any) -> str:
    return f"[{show(spread.low)} - {show(spread.high)}]"


def _notes(study: Study, figures: Sequence[Figures], about: About) -> list[str]:
    lines = [""]
    runs = sum(len(samples) for samples in study.samples)
    wrong = study.differing()
    sums = {sample.checksum for samples in study.samples for sample in samples}
    if wrong:
        lines.append(f"answers: DIFFERENT: {wrong}")
    else:
        of = f"checksum {sums.pop()}" if len(sums) == 1 else "for each size"
        lines.append(f"answers: the same data in all {runs} runs ({of})")
    bad = [one for one in figures if one.faults]
    good = [str(one.point) for one in figures if not one.faults]
    if good:
        lines.append(f"VALID: {', '.join(good)}")
    lines += [f"INVALID: {one.point}: {'; '.join(one.faults)}" for one in bad]
    if figures[0].seconds.median < 0.05:
        lines.append(
            f"small problem: {study.plan.points[0]} computes for "
            f"{show_seconds(figures[0].seconds.median)}: what is measured is mostly "
            "how ranks meet and wait; choose a larger one to learn how it scales"
        )
    shared = "seconds: the slowest rank in compute, halo and reduce; "
    lines.append(f"{shared}job: from launch to end, as a user waits")
    machine = study.machines[0]
    if any(other is not machine for other in study.machines):
        lines.append("each point in a job of its own: not at the same time")
    elif machine.cores > 1:
        lines.append(
            f"a core while all {machine.cores} work has {machine.together:.0%} of the "
            "speed of one alone"
        )
    lines.append(f"on {about.machine}, {about.date}")
    return lines


COLUMNS = (
    *("ranks", "threads", "device", "cores", "size", "seconds", "seconds_low"),
    *("seconds_high", "compile_seconds", "io_seconds", "job_seconds", "speedup"),
    *("speedup_low", "speedup_high", "efficiency", "serial_fraction", "valid"),
    "reason",
)


def write_csv(path: str, study: Study, figures: Sequence[Figures]) -> None:
    """Write a line for each point; empty where a number means nothing."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for one, samples in zip(figures, study.samples, strict=True):
            writer.writerow(_row(one, samples))


def _row(one: Figures, samples: Sequence[Any]) -> dict[str, Any]:
    phases = {
        name: spread_of([sample.phases[name] for sample in samples]).median
        for name in ("compile", "io")
    }
    return {
        "ranks": one.point.ranks,
        "threads": one.point.threads,
        "device": one.point.device,
        "cores": one.point.cores,
        "size": one.point.factor,
        "seconds": one.seconds.median,
        "seconds_low": one.seconds.low,
        "seconds_high": one.seconds.high,
        "compile_seconds": phases["compile"],
        "io_seconds": phases["io"],
        "job_seconds": spread_of([sample.job for sample in samples]).median,
        "speedup": one.speedup.median,
        "speedup_low": one.speedup.low,
        "speedup_high": one.speedup.high,
        "efficiency": one.efficiency,
        "serial_fraction": one.serial,
        "valid": int(not one.faults),
        "reason": "; ".join(one.faults),
    }


def make_dataset(
    study: Study, figures: Sequence[Figures], about: About
) -> "xarray.Dataset":
    """Return the whole study: figures by point, and every run.

    Parameters
    ----------
    study : Study
        What was measured.
    figures : sequence of Figures
        Of its points.
    about : About
        For the attributes.

    Returns
    -------
    xarray.Dataset
        Dimensions `point` and `repeat`.
    """
    import numpy as np
    import xarray

    rows = [
        _row(one, samples) for one, samples in zip(figures, study.samples, strict=True)
    ]
    data: dict[str, Any] = {}
    for name in COLUMNS:
        values = [row[name] for row in rows]
        if name == "serial_fraction":
            values = [np.nan if value is None else value for value in values]
        units = "s" if "seconds" in name else "1"
        text = isinstance(values[0], str)
        attributes = {"long_name": name.replace("_", " ")}
        attributes |= {} if text else {"units": units}
        data[name] = ("point", values, attributes)
    each = ("point", "repeat")
    for name in ("seconds", "job", "work"):
        runs = [[getattr(s, name) for s in samples] for samples in study.samples]
        unit = about.unit if name == "work" else "s"
        label = {"long_name": f"{name} of each run", "units": "1"}
        label |= {"units": "s"} if unit == "s" else {"comment": unit}
        data[f"run_{name}"] = (each, runs, label)
    for field in fields(Watch):
        runs = [[getattr(s.watch, field.name) for s in row] for row in study.samples]
        label = {"long_name": f"watch: {field.name}", "units": "1"}
        data[f"run_{field.name}"] = (each, runs, label)
    found = xarray.Dataset(data, attrs=_attributes(study, about))
    return found.set_coords(["ranks", "threads", "device"])


def _attributes(study: Study, about: About) -> dict[str, Any]:
    kind = "weak" if study.plan.weak else "strong"
    facts = [asdict(machine) for machine in study.machines]
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": f"hpcapp {about.workload}: {kind} scaling",
        "summary": about.summary,
        "source": f"hpcapp {hpcapp.__version__}",
        "date_created": about.date,
        "history": f"{about.date}: hpcapp scale {study.plan.config}",
        "hpcapp_config": about.config,
        "hpcapp_machine": about.machine,
        "hpcapp_facts": json.dumps(facts),
        "hpcapp_differing": study.differing(),
    }
