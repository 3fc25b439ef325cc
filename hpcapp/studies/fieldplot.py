# SPDX-License-Identifier: MIT
"""A field drawn over its axes: colours, scales, contours, maps, blocks of ranks."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Layout
from hpcapp.studies.panels import Axis, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_blocks", "draw_image", "equal_scales", "label_axes"]

# lines of equal value over a smooth field
CONTOURS = 8

# blocks that are numbered
NUMBERED = 64

# units of angles, and the value at which they begin again
TURNS = {"degree": 360.0, "degrees": 360.0, "rad": 2 * np.pi, "radian": 2 * np.pi}

# units of temperature: on maps blue is cold
WARM = ("K", "degC", "degF", "celsius", "kelvin")


def draw_image(figure: "Figure", axes: "Axes", image: Image) -> None:
    """Draw a field with its colour bar.

    Parameters
    ----------
    figure : Figure
        The picture.
    axes : Axes
        The panel.
    image : Image
        The field.
    """
    values = image.values
    options = _colours(image)
    if _uniform(image.x) and _uniform(image.y):
        extent = (*_edges(image.x), *_edges(image.y))
        drawn: Any = axes.imshow(
            values, origin="lower", extent=extent, aspect="auto", **options
        )
    else:
        drawn = axes.pcolormesh(
            image.x.values, image.y.values, values, rasterized=True, **options
        )
    if not image.whole and image.units not in TURNS and _smooth(values):
        levels = np.linspace(values.min(), values.max(), CONTOURS + 2)[1:-1]
        look: dict[str, Any] = {"colors": "white", "linestyles": "solid"}
        look |= {"linewidths": 0.6, "alpha": 0.7}
        axes.contour(image.x.values, image.y.values, values, levels, **look)
    axes.set_xlim(image.x.values[0], image.x.values[-1])
    axes.set_ylim(image.y.values[0], image.y.values[-1])
    axes.set_aspect("equal" if equal_scales(image) else "auto")
    label_axes(axes, image.x.label, image.y.label)
    if image.is_map:
        _dress_map(axes, image)
    bar = figure.colorbar(drawn, ax=axes, pad=0.03, aspect=28)
    bar.set_label(image.label, fontsize=12, parse_math=False)
    bar.ax.tick_params(labelsize=11)
    bar.outline.set_visible(False)


def _colours(image: Image) -> dict[str, Any]:
    """Return the colour map and how values lie on it."""
    from matplotlib.colors import LogNorm

    values = image.values
    if image.whole and _heavy_tailed(values):
        low = max(1.0, values.min())
        return {"cmap": "viridis", "norm": LogNorm(low, values.max(), clip=True)}
    if image.units in TURNS:
        turn = TURNS[image.units]
        low = 0.0 if values.min() >= 0 else -turn / 2
        if low <= values.min() and values.max() <= low + turn:
            return {"cmap": "twilight", "vmin": low, "vmax": low + turn}
    warm = image.is_map and image.units in WARM
    return {"cmap": "RdYlBu_r" if warm else "viridis"}


def _dress_map(axes: "Axes", image: Image) -> None:
    """Label degrees as on maps, and mark the place that the file speaks of."""
    x, y = image.x.values, image.y.values
    step = 60 if np.ptp(x) > 180 else 30 if np.ptp(x) > 90 else None
    if step:
        places = np.arange(np.ceil(x.min() / step) * step, x.max() + 1, step)
        axes.set_xticks(places, [_east(place) for place in places])
        rows = np.arange(np.ceil(y.min() / 30) * 30, y.max() + 1, 30)
        axes.set_yticks(rows, [_north(row) for row in rows])
        axes.grid(color="white", linewidth=0.5, alpha=0.5)
        label_axes(axes, "", "")
    if image.point is not None:
        look: dict[str, Any] = {"markersize": 8, "markeredgecolor": "black"}
        axes.plot(*image.point, "o", color="white", zorder=3, **look)


def _east(degrees: float) -> str:
    turned = (degrees + 180) % 360 - 180
    side = "" if turned in (0, -180) else "W" if turned < 0 else "E"
    return f"{abs(turned):g}\N{DEGREE SIGN}{side}"


def _north(degrees: float) -> str:
    side = "" if degrees == 0 else "S" if degrees < 0 else "N"
    return f"{abs(degrees):g}\N{DEGREE SIGN}{side}"


def draw_blocks(axes: "Axes", image: Image, layout: Layout) -> None:
    """Draw the outlines of the ranks' blocks, with their numbers if they are few.

    Parameters
    ----------
    axes : Axes
        The panel.
    image : Image
        The field, over the axes of the domain.
    layout : Layout
        The blocks.
    """
    from matplotlib.patches import Rectangle

    for rank in range(layout.used):
        block = layout.block(rank)
        (low, left), (high, right) = block.start, block.stop
        x, y = image.x.edge(left), image.y.edge(low)
        width, height = image.x.edge(right) - x, image.y.edge(high) - y
        # white on black: seen on any colour
        for colour, line in (("black", 2.6), ("white", 1.3)):
            look: dict[str, Any] = {"fill": False, "edgecolor": colour, "zorder": 4}
            axes.add_patch(Rectangle((x, y), width, height, linewidth=line, **look))
        if layout.used <= NUMBERED:
            place = x + width / 2, y + height / 2
            axes.text(
                *place,
                str(rank),
                color="white",
                ha="center",
                va="center",
                fontsize=13,
                weight="bold",
                zorder=5,
                clip_on=True,
            )
    axes.set_xlim(image.x.edge(0), image.x.edge(layout.domain.shape[1]))
    axes.set_ylim(image.y.edge(0), image.y.edge(layout.domain.shape[0]))


def label_axes(axes: "Axes", x: str, y: str) -> None:
    """Write meaning and unit at both axes.

    Parameters
    ----------
    axes : Axes
        The panel.
    x, y : str
        Texts, no formulas.
    """
    axes.set_xlabel(x, fontsize=12, parse_math=False)
    axes.set_ylabel(y, fontsize=12, parse_math=False)
    axes.tick_params(labelsize=11)


def _edges(axis: Axis) -> tuple[float, float]:
    # pixels are centred on their points
    half = (axis.values[-1] - axis.values[0]) / (len(axis.values) - 1) / 2
    return float(axis.values[0] - half), float(axis.values[-1] + half)


def _uniform(axis: Axis) -> bool:
    steps = np.diff(axis.values)
    return bool(np.ptp(steps) <= 1e-3 * abs(steps.mean()))


def equal_scales(image: Image) -> bool:
    """Tell whether both axes measure the same and neither is much longer.

    Parameters
    ----------
    image : Image
        The field.

    Returns
    -------
    bool
        Then a unit is as long in x as in y.
    """
    span_x, span_y = np.ptp(image.x.values), np.ptp(image.y.values)
    same = image.x.units == image.y.units or image.is_map
    if not same or not span_x > 0 or not span_y > 0:
        return False
    return bool(0.25 <= span_x / span_y <= 4)


def _heavy_tailed(values: Any) -> bool:
    usual = max(1.0, float(np.median(values.compressed())))
    return bool(values.min() >= 0 and values.max() > 8 * usual)


def _smooth(values: Any) -> bool:
    """Tell whether neighbours are so alike that contours are lines, not noise."""
    span = float(values.max() - values.min())
    if min(values.shape) < 3 or not span > 0:
        return False
    bends = [np.abs(np.diff(values, 2, axis)).mean() for axis in (0, 1)]
    return bool(max(bends) < 0.02 * span)
