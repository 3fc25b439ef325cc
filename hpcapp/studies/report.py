# SPDX-License-Identifier: MIT
"""One page on a finished run: what ran, where the time went, whether it is right.

The page needs nothing but itself: no network, no other file.
"""

import base64
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

from hpcapp.clock import PHASES
from hpcapp.device import cores
from hpcapp.errors import ConfigError, HpcappError, ResultError
from hpcapp.log import duration
from hpcapp.run_directory import REPORT
from hpcapp.store.reader import load_attributes
from hpcapp.studies.balance import (
    Balance,
    limit_rows,
    phase_rows,
    shared_cores,
    turns,
)
from hpcapp.studies.launching import launch
from hpcapp.studies.plot import plot_result
from hpcapp.studies.results import result_path
from hpcapp.studies.timeline import draw_bars, draw_timeline, legend, shown_ranks
from hpcapp.studies.validation import Verdict, problem_of, validate
from hpcapp.trace import Trace, earlier_traces, read_trace

__all__ = ["Facts", "measure", "page", "write_report"]

# (limits of the machine as the doctor tells them, or {}; a sentence on that)
Measured = tuple[Mapping[str, Any], str]


@dataclass(frozen=True)
class Facts:
    """All that a page is made of.

    Parameters
    ----------
    path : str
        The result.
    attributes : mapping
        Of the result.
    trace : Trace or None
        Of the last start of the run; None where it has left none.
    earlier : mapping of str to Trace
        Those of earlier starts, by the name of the file.
    verdict : Verdict
        On the result.
    measured : (mapping, str)
        Limits of the machine and how they were found.
    picture : str
        PNG in base 64, or "".
    """

    path: str
    attributes: Mapping[str, Any]
    trace: Trace | None
    earlier: Mapping[str, Trace]
    verdict: Verdict
    measured: Measured
    picture: str

    def json(self, name: str) -> Any:
        """Return the value of an attribute that holds JSON."""
        return json.loads(self.attributes[name])


def write_report(
    directory: str,
    output: str | None,
    environ: Mapping[str, str],
    limits: bool = True,
    measure_with: Callable[[int, str, Mapping[str, str]], Measured] | None = None,
) -> str:
    """Write the page of a finished run.

    Parameters
    ----------
    directory : str
        The run directory.
    output : str or None
        The page; by default report.html in the directory. One that stands there is
        replaced.
    environ : mapping
        The process environment.
    limits : bool
        Whether to measure the limits of this machine, on as many ranks as it has
        cores for.
    measure_with : callable, optional
        Measures them; default: `measure`.

    Returns
    -------
    str
        A line that names the page and the verdict.

    Raises
    ------
    ResultError
        If no run has finished there, or its result does not tell what is needed.
    ConfigError
        If the page cannot be written.
    """
    path = result_path(directory)
    folder = os.path.dirname(path)
    attributes = load_attributes(path)
    try:
        ranks = int(json.loads(attributes["hpcapp_layout"])["ranks"])
        found: Measured = ({}, "Not measured, as was wished.")
        if limits:
            found = (measure_with or measure)(ranks, folder or ".", environ)
        picture, verdict = _picture(path), validate(path)
        traces = (read_trace(folder), _earlier(folder))
        facts = Facts(path, attributes, *traces, verdict, found, picture)
        text = page(facts)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(
            f"{path}: does not tell what a report needs: {error!r}; it was written by "
            "another version, or damaged"
        ) from None
    target = output or os.path.join(folder, REPORT)
    try:
        with open(target, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(
            f"{target}: cannot be written: {error.strerror}; name another place with "
            "--output"
        ) from None
    failed = [check.name for check in verdict.checks if not check.passed]
    why = f" ({', '.join(failed)})" if failed else ""
    shared = shared_cores(facts.json("hpcapp_layout"))
    times = f"; no times to go by: {shared}" if shared else ""
    return f"{target}: {verdict.word}{why}{times}; open it in a browser"


def _earlier(folder: str) -> dict[str, Trace]:
    names = earlier_traces(folder).values()
    found = {name: read_trace(folder, name) for name in names}
    return {name: trace for name, trace in found.items() if trace is not None}


def measure(ranks: int, directory: str, environ: Mapping[str, str]) -> Measured:
    """Let the doctor measure this machine.

    Parameters
    ----------
    ranks : int
        Of the run; fewer take part where there are fewer cores.
    directory : str
        Where files are written and removed again.
    environ : mapping
        The process environment.

    Returns
    -------
    (mapping, str)
        The limits, empty if that failed; a sentence on how it went.
    """
    count = max(1, min(ranks, len(cores())))
    try:
        done = launch(count, ["doctor", directory, "--json"], environ)
        facts = json.loads(done.stdout)
        limits = facts["limits"]
    except (HpcappError, KeyError, ValueError) as error:
        return {}, f"Not measured: {error}"
    if not limits:
        return {}, "Not measured: the doctor found faults, see hpcapp doctor."
    host = facts["places"][0]["host"]
    many = f"{count} ranks" if count > 1 else "1 rank"
    return limits, f"Measured now by {many} at once, on {host}."


def _picture(path: str) -> str:
    handle, target = tempfile.mkstemp(suffix=".png")
    os.close(handle)
    try:
        plot_result(path, target)
        with open(target, "rb") as stream:
            return base64.b64encode(stream.read()).decode("ascii")
    except HpcappError:
        # some results are numbers alone, which the page tells
        return ""
    finally:
        os.unlink(target)


def page(facts: Facts) -> str:
    """Return the page.

    Parameters
    ----------
    facts : Facts
        What it tells.

    Returns
    -------
    str
        HTML, complete.
    """
    attributes = facts.attributes
    title = f"hpcapp {attributes['hpcapp_workload']}"
    style = resources.files("hpcapp") / "studies" / "report.css"
    word = facts.verdict.word
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title>",
        f"<style>{style.read_text(encoding='utf-8')}</style></head><body>",
        f'<h1>{escape(title)} <b class="{word.lower()}">{word}</b></h1>',
        f'<p class="answer">{escape(str(attributes["hpcapp_answer"]))}</p>',
        *_section("What ran", _table(_what_ran(facts))),
        *_section("Is it right?", _checks(facts.verdict)),
        *_section("Where the time went", _times(facts)),
        *_section("How far from the limits of the machine", _limits(facts)),
        *_picture_section(facts),
        *_configuration(facts),
        "</body></html>",
    ]
    return "\n".join(parts)


def _section(title: str, body: str) -> list[str]:
    return [f"<section><h2>{title}</h2>", body, "</section>"]


def _what_ran(facts: Facts) -> list[tuple[str, str]]:
    attributes, layout = facts.attributes, facts.json("hpcapp_layout")
    hosts = list(dict.fromkeys(layout["hosts"]))
    versions = facts.json("hpcapp_versions")
    grid = " x ".join(str(n) for n in layout["grid"])
    shape = " x ".join(str(n) for n in layout["shape"])
    few = ", ".join(hosts[:4]) + (" ..." if len(hosts) > 4 else "")
    return [
        ("command", str(attributes["history"])),
        ("domain", f"{shape} ({', '.join(layout['dims'])}), process grid {grid}"),
        ("ranks", f"{layout['ranks']} x {layout['threads']} threads"),
        ("hosts", f"{len(hosts)}: {few}"),
        ("device", str(attributes["hpcapp_device"])),
        ("writer", str(attributes["hpcapp_writer"])),
        ("seed", str(attributes["hpcapp_seed"])),
        ("versions", ", ".join(f"{name} {v}" for name, v in versions.items())),
        ("git", str(attributes["hpcapp_git"]) or "not from a checkout"),
        ("checksum of the data", str(attributes["hpcapp_checksum"])),
    ]


def _checks(verdict: Verdict) -> str:
    rows = [
        (check.name, "passed" if check.passed else "FAILED", check.text)
        for check in verdict.checks
    ]
    note = "" if verdict.declared else "<p>The workload declares no checks.</p>"
    return _table(rows, ("check", "", "")) + note


def _times(facts: Facts) -> str:
    trace = facts.trace
    if trace is None:
        timings = facts.json("hpcapp_timings")
        rows = [(p, *(duration(timings[p][k]) for k in SPREAD)) for p in PHASES]
        note = "<p>The run has left no trace: there are no timelines.</p>"
        return _crowding(facts) + _table(rows, ("phase", *SPREAD)) + note
    some, balance = "", Balance(trace)
    if len(shown_ranks(trace)) < trace.ranks:
        some = f" {len(shown_ranks(trace))} of {trace.ranks} ranks are drawn."
    return "\n".join(
        [
            _crowding(facts),
            legend(),
            f"<h3>Ranks over time</h3><p>Since the last start of the run.{some}</p>",
            draw_timeline(trace),
            "<h3>Seconds of each rank</h3>",
            draw_bars(trace),
            _table(phase_rows(trace), ("phase", *SPREAD, "of it waiting, mean")),
            *(f"<p>{escape(line)}</p>" for line in balance.lines()),
            _starts(facts.earlier),
        ]
    )


def _starts(earlier: Mapping[str, Trace]) -> str:
    """Return what the starts before the last one took, where there were any."""
    if not earlier:
        return ""
    rows = [
        (name, str(one.ranks), *(duration(float(s)) for s in one.seconds.max(axis=0)))
        for name, one in earlier.items()
    ]
    note = (
        "<h3>Earlier starts</h3><p>The run was stopped and went on: all above is of "
        "its last start alone. Before that the slowest rank of each phase took:</p>"
    )
    return note + _table(rows, ("trace", "ranks", *PHASES))


SPREAD = ("min", "mean", "max")


def _crowding(facts: Facts) -> str:
    """Return a warning where ranks shared cores, and what that does to the times."""
    layout = facts.json("hpcapp_layout")
    shared = shared_cores(layout)
    if not shared:
        return ""
    text = (
        f"These times are not those of {layout['ranks']} ranks with a core for each "
        f"thread: {shared}. Ranks took turns. The seconds of a phase contain those in "
        "which another rank had the core; in halo and reduce ranks waited for others "
        "that had not had their turn."
    )
    if facts.trace is not None:
        spent, waited = turns(facts.trace, layout)
        if waited > 0.01 * spent:
            text += (
                f" Of {duration(spent)} in compute, all ranks together, at least "
                f"{duration(waited)} ({waited / spent:.0%}) passed without a core."
            )
    return f'<p class="warning">{escape(text)}</p>'


def _limits(facts: Facts) -> str:
    limits, how = facts.measured
    try:
        traffic = problem_of(dict(facts.attributes), facts.path).workload.traffic
    except HpcappError:
        traffic = 0.0
    numbers = facts.json("hpcapp_numbers")
    rows = limit_rows(
        limits,
        facts.trace,
        facts.json("hpcapp_timings"),
        (float(numbers["work"]), str(numbers["unit"]), traffic),
        os.path.getsize(facts.path),
    )
    heads = ("", "the run", "this machine", "share")
    return f"<p>{escape(how)}</p>" + (_table(rows, heads) if rows else "")


def _picture_section(facts: Facts) -> list[str]:
    if not facts.picture:
        return []
    image = f'<img alt="the result" src="data:image/png;base64,{facts.picture}">'
    return _section("The result", image)


def _configuration(facts: Facts) -> list[str]:
    text = escape(str(facts.attributes["hpcapp_config"]))
    body = f"<details><summary>as used</summary><pre>{text}</pre></details>"
    return _section("Configuration", body)


def _table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...] = ()) -> str:
    lines = ["<table>"]
    if any(heads):
        cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
        lines.append(f"<tr>{cells}</tr>")
    for row in rows:
        cells = "".join(
            f'<td class="{escape(cell.lower())}">{escape(cell)}</td>'
            if cell in ("passed", "FAILED")
            else f"<td>{escape(cell)}</td>"
            for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</table>"])
