# SPDX-License-Identifier: MIT
"""What the doctor says: as text or as one object, with nothing personal in it."""

import getpass
import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hpcapp.device import share_threads
from hpcapp.doctor.findings import Finding, ranges
from hpcapp.doctor.limits import Limits
from hpcapp.doctor.survey import Rank

__all__ = ["Report", "Row", "impersonal", "tabulate"]

WIDTH = 100

# where batch systems tell what is charged
ACCOUNTS = ("SLURM_JOB_ACCOUNT", "SBATCH_ACCOUNT", "PBS_ACCOUNT", "LSB_PROJECT_NAME")

# a table longer than this is told by host
ROWS = 24


@dataclass(frozen=True)
class Row:
    """Ranks with the same place.

    Parameters
    ----------
    ranks : str
        Their numbers as ranges.
    host : str
        Their node.
    cores : str
        Those that each may use.
    threads : int
        Of each rank, by ``threads: auto``.
    """

    ranks: str
    host: str
    cores: str
    threads: int


def tabulate(ranks: Sequence[Rank]) -> list[Row]:
    """Return where the ranks are, equal ones together.

    Parameters
    ----------
    ranks : sequence of Rank
        All of them.

    Returns
    -------
    list of Row
        By host where ranks have too many places.
    """
    masks = [(rank.host, rank.cores) for rank in ranks]
    exact: dict[tuple[str, str, int], list[int]] = {}
    coarse: dict[tuple[str, int, int], list[int]] = {}
    for number, (host, cores) in enumerate(masks):
        threads = share_threads("auto", masks, number)
        exact.setdefault((host, ranges(cores), threads), []).append(number)
        coarse.setdefault((host, len(cores), threads), []).append(number)
    if len(exact) <= ROWS:
        return [Row(ranges(group), *place) for place, group in exact.items()]
    rows = []
    for (host, count, threads), group in coarse.items():
        together = sorted({core for number in group for core in masks[number][1]})
        told = f"{ranges(together)} ({count} a rank)"
        rows.append(Row(ranges(group), host, told, threads))
    return rows


@dataclass(frozen=True)
class Report:
    """All that the doctor found.

    Parameters
    ----------
    size : int
        Number of ranks.
    versions : mapping
        Of the program and its libraries.
    rows : sequence of Row
        Where the ranks are; empty if MPI did not start.
    findings : sequence of Finding
        In the order of the checks.
    limits : Limits or None
        Of the machine; None if MPI did not start.
    """

    size: int
    versions: Mapping[str, str]
    rows: Sequence[Row]
    findings: Sequence[Finding]
    limits: Limits | None = None

    @property
    def faults(self) -> int:
        """How many findings are faults."""
        return self._count("fault")

    def _count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def as_json(self) -> str:
        """Return one JSON object."""
        facts: dict[str, Any] = {
            "ranks": self.size,
            "hosts": len({row.host for row in self.rows}),
            "versions": dict(self.versions),
            "places": [asdict(row) for row in self.rows],
            "findings": [asdict(finding) for finding in self.findings],
            "limits": None if self.limits is None else asdict(self.limits),
            "warnings": self._count("warning"),
            "faults": self.faults,
        }
        return impersonal(json.dumps(facts, ensure_ascii=False))

    def text(self) -> str:
        """Return the report in a form to read."""
        told = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = _wrap(told, "versions  ", " " * 10)
        if self.rows:
            lines += ["", *self._table()]
        lines.append("")
        for finding in self.findings:
            lines += self._lines(finding)
        warnings, faults = self._count("warning"), self.faults
        total = f"{faults} fault{'s' * (faults != 1)}, {warnings} warning"
        lines += ["", total + "s" * (warnings != 1)]
        return impersonal("\n".join(lines))

    def _table(self) -> list[str]:
        cells = [("ranks", "host", "cores", "threads")]
        cells += [(r.ranks, r.host, r.cores, str(r.threads)) for r in self.rows]
        widths = [max(len(cell[k]) for cell in cells) for k in range(3)]
        lines = []
        for cell in cells:
            padded = [f"{cell[k]:<{widths[k]}}" for k in range(3)]
            lines.append("  ".join([*padded, cell[3]]))
        return lines

    def _lines(self, finding: Finding) -> list[str]:
        head = f"{finding.level:<9}{finding.name:<11}"
        indent = " " * len(head)
        # the MPI library's messages have lines of their own
        text = " ".join(finding.text.split())
        lines = _wrap(text, head, indent)
        if finding.fix:
            lines += _wrap(f"fix: {finding.fix}", indent, indent + "     ")
        return lines


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def impersonal(text: str) -> str:
    """Return a text with the home directory and the user's name taken out.

    Parameters
    ----------
    text : str
        To be shown, and perhaps sent to a support team.

    Returns
    -------
    str
        With ``~`` for the home directory, ``$USER`` for a folder so named, and
        ``$ACCOUNT`` for the project that the batch system charges.
    """
    for name in ACCOUNTS:
        account = os.environ.get(name, "")
        if account:
            text = re.sub(rf"(?<!\w){re.escape(account)}(?!\w)", "$ACCOUNT", text)
    home = os.path.expanduser("~").rstrip("/")
    if home:
        text = re.sub(rf"(?<![\w/.-]){re.escape(home)}(?![\w.-])", "~", text)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        return text
    # a path's component, or part of one as in /tmp/cache-NAME
    return re.sub(rf"(?<=[/_-]){re.escape(user)}(?![\w.])", "$USER", text)
