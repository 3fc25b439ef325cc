# SPDX-License-Identifier: MIT
"""Where the time went, as vector graphics inside of a page: bars and timelines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpcapp.clock import PHASES
from hpcapp.log import duration
from hpcapp.trace import Trace

__all__ = ["COLOURS", "draw_bars", "draw_timeline", "legend", "resample", "shown_ranks"]

COLOURS = {
    "setup": "#adb5bd",
    "compile": "#ffd43b",
    "compute": "#2f9e44",
    "halo": "#f76707",
    "reduce": "#c2255c",
    "io": "#1c7ed6",
}
"""Of the phases; told apart without red and green alone."""

# columns of a timeline, rows of ranks at most, and how finely shares are drawn
COLUMNS, ROWS, LEVELS = 300, 32, 20

# of the picture, in pixels
LEFT, WIDTH = 70, 900


def shown_ranks(trace: Trace) -> NDArray[np.int64]:
    """Return the places in `trace.traced` of the ranks that are drawn.

    Parameters
    ----------
    trace : Trace
        Of the run.

    Returns
    -------
    int64[n]
        All, or evenly many with the fastest and the slowest in computing among them.
    """
    count = len(trace.traced)
    if count <= ROWS:
        return np.arange(count)
    compute = trace.seconds[trace.traced, PHASES.index("compute")]
    some = np.linspace(0, count - 1, ROWS - 2).astype(np.int64)
    return np.unique([*some, compute.argmin(), compute.argmax()])


def resample(
    trace: Trace, place: int, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the seconds of each phase between given times.

    Parameters
    ----------
    trace : Trace
        Of the run.
    place : int
        Of the rank in `trace.traced`.
    edges : float64[n + 1]
        Times in s, ascending; 0 is the first rank's beginning.

    Returns
    -------
    float64[n, phases]
        Pieces that an edge cuts count for both sides by their length.
    """
    pieces = trace.pieces[place].astype(np.float64)
    times = trace.begin[place] + trace.width[place] * np.arange(len(pieces) + 1)
    total = np.vstack((np.zeros(pieces.shape[1]), np.cumsum(pieces, axis=0)))
    at = [np.interp(edges, times, total[:, phase]) for phase in range(total.shape[1])]
    return np.diff(np.array(at).T, axis=0)


def draw_timeline(trace: Trace) -> str:
    """Return an SVG of the ranks over time.

    Parameters
    ----------
    trace : Trace
        Of the run.

    Returns
    -------
    str
        A row for each rank; in each column phases stand on one another by their share.
    """
    end = max(
        float(trace.begin[place] + trace.pieces[place].sum())
        for place in range(len(trace.traced))
    )
    edges = np.linspace(0, max(end, 1e-9), COLUMNS + 1)
    places = shown_ranks(trace)
    row = 22 if len(places) <= 16 else 14
    parts = []
    for number, place in enumerate(places):
        top = number * row
        parts.append(_name(trace.traced[place], top + row / 2))
        shares = resample(trace, place, edges) / (edges[1] - edges[0])
        parts += _strip(shares, top + 1, row - 2)
    height = len(places) * row
    parts += _axis(end, height)
    return _svg(parts, height + 26)


def _strip(shares: NDArray[np.float64], top: float, height: float) -> list[str]:
    """Return a path for each phase, equal neighbours drawn as one."""
    levels = np.rint(np.clip(np.cumsum(shares, axis=1), 0, 1) * LEVELS).astype(int)
    levels = np.hstack((np.zeros((len(levels), 1), int), levels))
    step, paths = WIDTH / len(levels), []
    for phase, colour in enumerate(COLOURS.values()):
        path = ""
        low, high = levels[:, phase], levels[:, phase + 1]
        cuts = np.flatnonzero((np.diff(low) != 0) | (np.diff(high) != 0)) + 1
        for a, b in zip([0, *cuts], [*cuts, len(levels)], strict=True):
            if high[a] > low[a]:
                y = top + height * (1 - high[a] / LEVELS)
                tall = height * (high[a] - low[a]) / LEVELS
                x, wide = LEFT + step * a, step * (b - a)
                path += f"M{x:.5g} {y:.5g}h{wide:.4g}v{tall:.4g}h-{wide:.4g}z"
        if path:
            paths.append(f'<path fill="{colour}" d="{path}"/>')
    return paths


def draw_bars(trace: Trace) -> str:
    """Return an SVG with the seconds of each phase of each rank, one bar a rank.

    Parameters
    ----------
    trace : Trace
        Of the run.

    Returns
    -------
    str
        Bars that begin at 0.
    """
    places, row, parts = shown_ranks(trace), 18, []
    end = max(1e-9, float(trace.seconds.sum(axis=1).max()))
    for number, place in enumerate(places):
        rank, x = trace.traced[place], float(LEFT)
        parts.append(_name(rank, number * row + row / 2))
        for seconds, (phase, colour) in zip(
            trace.seconds[rank], COLOURS.items(), strict=True
        ):
            wide = WIDTH * seconds / end
            title = f"<title>rank {rank}: {phase} {duration(seconds)}</title>"
            box = f'x="{x:.5g}" y="{number * row + 2}" width="{wide:.4g}"'
            parts.append(
                f'<rect {box} height="{row - 4}" fill="{colour}">{title}</rect>'
            )
            x += wide
    height = len(places) * row
    return _svg([*parts, *_axis(end, height)], height + 26)


def legend() -> str:
    """Return the names of the phases with their colours, as HTML."""
    items = (
        f'<span><i style="background:{colour}"></i>{phase}</span>'
        for phase, colour in COLOURS.items()
    )
    return f'<p class="legend">{"".join(items)}</p>'


def _name(rank: int, y: float) -> str:
    return f'<text x="{LEFT - 8}" y="{y + 4:.4g}" text-anchor="end">rank {rank}</text>'


def _axis(end: float, top: float) -> list[str]:
    parts = [f'<path stroke="#868e96" d="M{LEFT} {top + 2}h{WIDTH}"/>']
    for number in range(6):
        x, anchor = LEFT + WIDTH * number / 5, "end" if number == 5 else "middle"
        text = f'<text x="{x}" y="{top + 18}" text-anchor="{anchor}">'
        parts.append(f"{text}{duration(end * number / 5)}</text>")
    return parts


def _svg(parts: Sequence[str], height: float) -> str:
    box = f'viewBox="0 0 {LEFT + WIDTH + 10} {height:.4g}"'
    inside = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n{inside}\n</svg>'
