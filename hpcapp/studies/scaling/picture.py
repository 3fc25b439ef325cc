# SPDX-License-Identifier: MIT
"""The picture of a scaling study: speed-up with the ideal line, and seconds."""

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hpcapp.studies.scaling.figures import Figures, spread_of
from hpcapp.studies.scaling.study import Study
from hpcapp.studies.scaling.tables import About

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_study"]

GREY = "#555555"
LEGEND: dict[str, Any] = {
    "fontsize": 11,
    "framealpha": 0.8,
    "edgecolor": "none",
    "loc": "upper left",
}
# letters of a small line that fit into the width
WIDE = 160
COLOURS = ("#3b528b", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e")
PARTS = (
    ("compute", "#3b528b"),
    ("halo", "#21918c"),
    ("reduce", "#5ec962"),
)


def draw_study(
    path: str, study: Study, figures: Sequence[Figures], about: About
) -> None:
    """Draw a study into a file.

    Parameters
    ----------
    path : str
        A PNG.
    study : Study
        What was measured.
    figures : sequence of Figures
        Of its points; what is not valid is drawn hollow.
    about : About
        For the texts.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.8, 6.4), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0.01, 0.09, 0.98, 0.77), wspace=0.06)
    left, right = figure.subplots(1, 2)
    _draw_speedup(left, figures, study.plan.weak)
    _draw_seconds(right, study, figures)
    plain: dict[str, Any] = {"parse_math": False}
    kind = "weak" if study.plan.weak else "strong"
    title = f"{about.workload}: {kind} scaling"
    config = os.path.basename(study.plan.config)
    below = f"{config}: {about.summary}; medians and range of {study.plan.repeats} runs"
    figure.text(0.02, 0.935, title, fontsize=19, weight="bold", **plain)
    figure.text(0.02, 0.885, below, fontsize=12.5, color=GREY, **plain)
    verdict = _verdict(figures)
    small: dict[str, Any] = {**plain, "fontsize": 10, "color": GREY}
    figure.text(0.02, 0.055, textwrap.shorten(verdict, WIDE), **small)
    where = f"on {about.machine}, {about.date[:10]}"
    figure.text(0.02, 0.02, textwrap.shorten(where, WIDE), **small)
    figure.savefig(path, dpi=105, pil_kwargs={"optimize": True})


def _verdict(figures: Sequence[Figures]) -> str:
    bad = [one for one in figures if one.faults]
    if not bad:
        return "all points valid"
    reasons = dict.fromkeys(one.faults[0] for one in bad)
    return f"hollow: not valid ({'; '.join(reasons)})"


def _series(figures: Sequence[Figures]) -> dict[str, list[Figures]]:
    """Return the points that make a line each, in the order of their cores."""
    found: dict[str, list[Figures]] = {}
    for one in figures:
        point = one.point
        name = f"{point.threads} thread{'s' * (point.threads > 1)} a rank"
        name += "" if point.device == "cpu" else f", {point.device}"
        found.setdefault(name, []).append(one)
    return {name: sorted(ones, key=lambda o: o.cores) for name, ones in found.items()}


def _draw_speedup(axes: "Axes", figures: Sequence[Figures], weak: bool) -> None:
    cores = sorted({one.point.cores for one in figures})
    first = figures[0].point.cores
    ends = [min(cores), max(cores)]
    axes.plot(ends, [n / first for n in ends], "--", color=GREY, label="ideal")
    for number, (name, ones) in enumerate(_series(figures).items()):
        colour = COLOURS[number % len(COLOURS)]
        x = [one.point.cores for one in ones]
        y = [one.speedup.median for one in ones]
        errors = [
            [one.speedup.median - one.speedup.low for one in ones],
            [one.speedup.high - one.speedup.median for one in ones],
        ]
        axes.errorbar(x, y, errors, color=colour, capsize=4, linewidth=1.8, label=name)
        for one in ones:
            axes.plot(
                one.point.cores,
                one.speedup.median,
                "o",
                markersize=8,
                color=colour,
                markerfacecolor="white" if one.faults else colour,
                zorder=3,
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(cores, [str(n) for n in cores])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _finish(
        axes, "cores in use: ranks x threads", "scaled speed-up" if weak else "speed-up"
    )
    axes.legend(fontsize=11, framealpha=0.8, edgecolor="none", loc="upper left")


def _draw_seconds(axes: "Axes", study: Study, figures: Sequence[Figures]) -> None:
    """Draw the seconds of the phases, each of the rank that spent most in it."""
    names = [
        f"{one.point.ranks} x {one.point.threads}"
        + ("" if one.point.device == "cpu" else f"\n{one.point.device}")
        for one in figures
    ]
    bottom = [0.0] * len(figures)
    for phase, colour in PARTS:
        heights = [
            spread_of([sample.phases[phase] for sample in samples]).median
            for samples in study.samples
        ]
        axes.bar(range(len(names)), heights, 0.62, bottom, color=colour, label=phase)
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    axes.set_xticks(range(len(names)), names)
    _finish(axes, "ranks x threads", "seconds, slowest rank of each phase")
    axes.set_ylim(0, 1.25 * max(bottom))
    axes.legend(
        fontsize=11, framealpha=0.8, edgecolor="none", ncols=3, loc="upper left"
    )


def _finish(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=12.5)
    axes.set_ylabel(y, fontsize=12.5)
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
