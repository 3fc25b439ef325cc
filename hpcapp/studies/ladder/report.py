# SPDX-License-Identifier: MIT
"""A climb as a table to read, as CSV and as a picture."""

import csv
import textwrap
from collections.abc import Sequence
from io import StringIO
from typing import Any

from hpcapp.studies.ladder.climb import Climb, Measured
from hpcapp.studies.scaling.figures import Spread, spread_of
from hpcapp.studies.scaling.tables import About, show_seconds

__all__ = ["climb_text", "draw_climb", "whole_seconds", "write_climb"]

GREY, BLUE, GREEN = "#555555", "#3b528b", "#21918c"


def whole_seconds(one: Measured) -> Spread:
    """Return the seconds for the whole work: extrapolated where a part was done."""
    return spread_of([seconds / one.share for seconds in one.seconds])


def climb_text(
    plan: Climb, climbed: Sequence[Measured], reason: str, about: About
) -> str:
    """Return a climb in a form to read.

    Parameters
    ----------
    plan : Climb
        What was climbed.
    climbed : sequence of Measured
        The rungs.
    reason : str
        Why there are only rungs of hpcapp, or "".
    about : About
        What it is of.

    Returns
    -------
    str
        Title, table and what belongs to it.
    """
    lines = [
        f"{about.workload} ({plan.config}): from plain Python to hpcapp, medians of "
        f"{plan.repeats} repeat{'s' * (plan.repeats > 1)} [smallest - largest]",
        *_table(climbed),
        "",
    ]
    done = [one for one in climbed if not one.missing]
    wrong = [one.name for one in done if not one.right]
    if wrong:
        lines.append(f"answers: DIFFERENT from hpcapp's: {', '.join(wrong)}")
    else:
        largest = max((one.difference for one in done), default=0.0)
        lines.append(
            "answers: all the same numbers as hpcapp's"
            if largest == 0
            else f"answers: all hpcapp's, to {largest:.1e} (allowed: "
            f"{max(one.tolerance for one in done):.0e})"
        )
    lines += [f"not done: {one.name}: {one.missing}" for one in climbed if one.missing]
    lines += [f"only hpcapp: {reason}"] if reason else []
    parts = [one for one in done if one.share < 1]
    for one in parts:
        took = show_seconds(spread_of(one.seconds).median)
        lines.append(
            f"extrapolated: {one.name} did {one.part} of {one.units} {one.unit} "
            f"({one.share:.2g} of the work) in {took}"
        )
    lines.append(
        "seconds: without compiler and start-up, which are in 'first'; hpcapp: the "
        "slowest rank in compute, halo and reduce"
    )
    lines.append(f"on {about.machine}, {about.date}")
    return "\n".join(lines)


def _table(climbed: Sequence[Measured]) -> list[str]:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("rung", no_wrap=True)
    for head in ("cores", "seconds", "", "times as fast", "first", "answer"):
        table.add_column(head, justify="right", no_wrap=True)
    base = next((one for one in climbed if not one.missing), None)
    for one in climbed:
        if one.missing or base is None:
            table.add_row(one.name, str(one.cores), "-", "", "-", "-", "not done")
            continue
        spread = whole_seconds(one)
        mark = " *" if one.share < 1 else ""
        times = whole_seconds(base).median / spread.median
        table.add_row(
            one.name,
            str(one.cores),
            show_seconds(spread.median) + mark,
            f"[{show_seconds(spread.low)} - {show_seconds(spread.high)}]",
            f"{times:.3g}",
            show_seconds(one.first),
            _answer(one),
        )
    stream = StringIO()
    Console(file=stream, width=160, color_system=None).print(table)
    lines = [line.rstrip() for line in stream.getvalue().rstrip().splitlines()]
    starred = any(one.share < 1 for one in climbed)
    return [*lines, "* of a part of the work, extrapolated"] if starred else lines


def _answer(one: Measured) -> str:
    if one.difference == 0:
        return "the same"
    return f"to {one.difference:.0e}" if one.right else "DIFFERENT"


def write_climb(path: str, climbed: Sequence[Measured]) -> None:
    """Write a line for each rung; seconds are those of the whole work."""
    names = ["rung", "cores", "seconds", "seconds_low", "seconds_high", "share"]
    names += ["first_seconds", "difference", "not_done"]
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for one in climbed:
            times: tuple[Any, ...] = ("", "", "")
            if not one.missing:
                spread = whole_seconds(one)
                times = (spread.median, spread.low, spread.high)
            numbers = (one.share, one.first, one.difference)
            rest = ("", "", "") if one.missing else numbers
            writer.writerow((one.name, one.cores, *times, *rest, one.missing))


def draw_climb(
    path: str, plan: Climb, climbed: Sequence[Measured], about: About
) -> None:
    """Draw the seconds of all rungs as bars on a logarithmic scale.

    Parameters
    ----------
    path : str
        A PNG.
    plan : Climb
        What was climbed.
    climbed : sequence of Measured
        The rungs; those that were not done are named below.
    about : About
        For the texts.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    done = [one for one in climbed if not one.missing]
    figure = Figure(
        figsize=(12.8, 2.6 + 0.45 * len(done)), facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    inch = 1 / (2.6 + 0.45 * len(done))
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0.01, 0.6 * inch, 0.98, 1 - 1.55 * inch))
    axes = figure.subplots()
    base = whole_seconds(done[0]).median
    for row, one in enumerate(done):
        spread = whole_seconds(one)
        look: dict[str, Any] = {"color": GREEN if "hpcapp" in one.name else BLUE}
        look |= {"hatch": "//", "edgecolor": "white"} if one.share < 1 else {}
        errors = [[spread.median - spread.low], [spread.high - spread.median]]
        axes.barh(row, spread.median, xerr=errors, capsize=3, height=0.68, **look)
        mark = ", extrapolated" if one.share < 1 else ""
        text = f"  {show_seconds(spread.median)}, {base / spread.median:.3g} x{mark}"
        axes.text(spread.high, row, text, va="center", fontsize=11.5)
    low = min(whole_seconds(one).low for one in done)
    high = max(whole_seconds(one).high for one in done)
    axes.set_xscale("log")
    # room for the texts at the right
    axes.set_xlim(low / 3, high * (high / low * 3) ** 0.35)
    names = [f"{one.name} ({one.cores})" for one in done]
    axes.set_yticks(range(len(done)), names, fontsize=12)
    axes.invert_yaxis()
    axes.set_xlabel("seconds for the whole work (in brackets: cores)", fontsize=12.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    plain: dict[str, Any] = {"parse_math": False}
    title = f"{about.workload}: from plain Python to hpcapp"
    top = 1 - 0.42 * inch
    figure.text(0.02, top, title, fontsize=19, weight="bold", **plain)
    times = f"{plan.repeats} repeat{'s' * (plan.repeats > 1)}"
    below = f"{plan.config}; medians and range of {times}"
    figure.text(0.02, top - 0.33 * inch, below, fontsize=12.5, color=GREY, **plain)
    left = [one.name for one in climbed if one.missing]
    notes = f"on {about.machine}, {about.date[:10]}"
    notes += f"; not done: {', '.join(left)}" if left else ""
    short = textwrap.shorten(notes, 180)
    figure.text(0.02, 0.2 * inch, short, fontsize=10, color=GREY, **plain)
    figure.savefig(path, dpi=105, pil_kwargs={"optimize": True})
