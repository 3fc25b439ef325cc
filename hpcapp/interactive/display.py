# SPDX-License-Identifier: MIT
"""HTML for notebooks: progress with its curve, plans, decompositions. Text to text."""

import math
from collections.abc import Sequence
from html import escape

from hpcapp.decomposition import Layout
from hpcapp.interactive.running import Progress
from hpcapp.log import duration, scaled

__all__ = ["curve_svg", "layout_svg", "progress_html", "table_html"]

# colours that are told apart by everybody: Okabe and Ito (2008)
COLOURS = (
    *("#56b4e9", "#e69f00", "#009e73", "#f0e442"),
    *("#cc79a7", "#d55e00", "#0072b2", "#bbbbbb"),
)
BAR = {"failed": "#d55e00", "stopped": "#e69f00", "finished": "#009e73"}

WIDTH, HEIGHT, EDGE = 420, 130, 34

# blocks that are drawn at most
DRAWN = 1024


def progress_html(progress: Progress, title: str) -> str:
    """Return how a run stands: a bar, a line of numbers, a curve.

    Parameters
    ----------
    progress : Progress
        Of the run.
    title : str
        What runs.

    Returns
    -------
    str
        HTML that needs no script.
    """
    share = 100 * min(max(progress.fraction, 0.0), 1.0)
    colour = BAR.get(progress.state, "#0072b2")
    facts = [progress.state, f"{share:.0f} %"]
    if progress.rate:
        facts.append(f"{scaled(progress.rate)}{progress.unit}/s")
    if progress.eta and progress.state == "running":
        facts.append(f"{duration(progress.eta)} left")
    facts.append(progress.note)
    line = ", ".join(escape(fact) for fact in facts if fact)
    curve = curve_svg(progress.points, progress.watched)
    return (
        f'<div class="hpcapp-progress"><b>{escape(title)}</b>'
        f'<div style="width:{WIDTH}px;background:#ddd;height:12px;margin:4px 0">'
        f'<div class="hpcapp-bar" style="width:{share:.1f}%;height:12px;'
        f'background:{colour}"></div></div><div>{line}</div>{curve}</div>'
    )


def curve_svg(points: Sequence[tuple[int, float]], name: str) -> str:
    """Return a curve of what is watched, on a logarithmic axis where it falls far.

    Parameters
    ----------
    points : sequence of (int, float)
        Number of a step and its value.
    name : str
        Of the value.

    Returns
    -------
    str
        SVG, "" while there are fewer than two finite points.
    """
    good = [(x, y) for x, y in points if math.isfinite(y)]
    if len(good) < 2:
        return ""
    values = [y for _, y in good]
    log = min(values) > 0 and max(values) > 50 * min(values)
    drawn = [math.log10(y) if log else y for y in values]
    low, high = min(drawn), max(drawn)
    first, last = good[0][0], good[-1][0]
    across = (WIDTH - 2 * EDGE) / max(last - first, 1)
    up = (HEIGHT - 30) / ((high - low) or 1.0)
    path = " ".join(
        f"{EDGE + (x - first) * across:.1f},{HEIGHT - 20 - (y - low) * up:.1f}"
        for (x, _), y in zip(good, drawn, strict=True)
    )
    text = 'font-size="10" font-family="sans-serif" fill="currentColor"'
    marks = (
        f'<text x="0" y="14" {text}>{max(values):.3g}</text>'
        f'<text x="0" y="{HEIGHT - 20}" {text}>{min(values):.3g}</text>'
        f'<text x="{EDGE}" y="{HEIGHT - 4}" {text}>step {first}</text>'
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 4}" text-anchor="end" {text}>step '
        f"{last}</text>"
        f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle" {text}>'
        f"{escape(name)}</text>"
    )
    return (
        f'<svg class="hpcapp-curve" width="{WIDTH}" height="{HEIGHT}">{marks}'
        f'<polyline points="{path}" fill="none" stroke="#0072b2" stroke-width="1.5"/>'
        "</svg>"
    )


def table_html(text: str) -> str:
    """Return lines of names and texts, such as those of a plan, as a table.

    Parameters
    ----------
    text : str
        A name, blanks and a text on each line.

    Returns
    -------
    str
        HTML.
    """
    rows = []
    for line in text.splitlines():
        name, _, value = line.partition("  ")
        if len(line) > 14 and not value:
            name, value = line[:13], line[14:]
        cell = 'style="text-align:left"'
        rows.append(
            f"<tr><th {cell}>{escape(name.strip())}</th>"
            f"<td {cell}>{escape(value.strip())}</td></tr>"
        )
    return f'<table class="hpcapp-plan">{"".join(rows)}</table>'


def layout_svg(layout: Layout) -> str:
    """Return a picture of which rank owns what, of the first two axes.

    Parameters
    ----------
    layout : Layout
        The blocks.

    Returns
    -------
    str
        SVG; the first axis downwards, as arrays are printed.
    """
    shape = layout.domain.shape
    ny, nx = (shape[0], shape[1]) if len(shape) > 1 else (1, shape[0])
    width = 320.0
    height = min(320.0, max(40.0, width * ny / max(nx, 1))) if len(shape) > 1 else 40.0
    parts = []
    for rank in range(min(layout.used, DRAWN)):
        block = layout.block(rank)
        start = block.start if len(shape) > 1 else (0, *block.start)
        stop = block.stop if len(shape) > 1 else (1, *block.stop)
        x, y = width * start[1] / nx, height * start[0] / ny
        w = width * (stop[1] - start[1]) / nx
        h = height * (stop[0] - start[0]) / ny
        colour = COLOURS[rank % len(COLOURS)]
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" '
            f'fill="{colour}" stroke="white"><title>rank {rank}: {block}</title></rect>'
        )
        if w > 16 and h > 12:
            parts.append(
                f'<text x="{x + w / 2:.1f}" y="{y + h / 2 + 4:.1f}" font-size="11" '
                f'font-family="sans-serif" text-anchor="middle">{rank}</text>'
            )
    return (
        f'<svg class="hpcapp-layout" width="{width:.0f}" height="{height:.0f}">'
        f"{''.join(parts)}</svg>"
    )
