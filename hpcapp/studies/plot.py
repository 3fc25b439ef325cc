# SPDX-License-Identifier: MIT
"""A picture of any result, fit for a slide. No MPI, no display."""

import os
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Layout
from hpcapp.errors import ConfigError
from hpcapp.run_directory import PICTURE
from hpcapp.store.reader import open_file, read_attributes
from hpcapp.studies.fieldplot import (
    draw_blocks,
    draw_image,
    equal_scales,
    label_axes,
)
from hpcapp.studies.panels import Curve, Image, choose_panels
from hpcapp.studies.results import result_path, spread_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_result"]

SUFFIXES = (".png", ".svg", ".pdf")

# 16:9, about 1340 x 760 pixels: sharp on a slide, small in a README
SIZE, DOTS = (12.8, 7.2), 105

GREY, BLUE = "#555555", "#3b528b"

# lines may run behind it
LEGEND: dict[str, Any] = {"fontsize": 11, "framealpha": 0.8, "edgecolor": "none"}


def plot_result(result: str, output: str | None, ranks: bool = False) -> str:
    """Draw a result into a file.

    Parameters
    ----------
    result : str
        Result file, or run directory.
    output : str or None
        The picture, its format by suffix: png, svg or pdf; by default plot.png
        beside the result. A file that stands there is replaced.
    ranks : bool
        Whether to draw the blocks of the ranks into the field.

    Returns
    -------
    str
        A line that names the picture and what it shows.

    Raises
    ------
    ConfigError
        If the suffix is another one, the picture cannot be written, the
        result holds nothing but numbers, or there are no blocks to draw.
    ResultError
        If there is no result, or it cannot be read.
    """
    path = result_path(result)
    target = output or os.path.join(os.path.dirname(path), PICTURE)
    if os.path.splitext(target)[1].lower() not in SUFFIXES:
        raise ConfigError(f"--output: must end in {', '.join(SUFFIXES)}, got {target}")
    with open_file(path) as file:
        attributes = read_attributes(file)
        panels = choose_panels(file)
    if not panels:
        answer = attributes.get("hpcapp_answer", "")
        told = f"; its answer: {answer}" if answer else ""
        raise ConfigError(f"{path}: nothing to plot: it holds only numbers{told}")
    blocks = _blocks(path, panels, attributes) if ranks else None
    figure = _draw(panels, attributes, blocks)
    options: dict[str, Any] = {"dpi": DOTS}
    if target.lower().endswith(".png"):
        options["pil_kwargs"] = {"optimize": True}
    try:
        figure.savefig(target, **options)
    except OSError as error:
        raise ConfigError(
            f"{target}: cannot be written: {error.strerror or error}; name another "
            "place with --output"
        ) from None
    return f"{target}: shows {' and '.join(panel.name for panel in panels)}"


def _blocks(
    path: str, panels: list[Image | Curve], attributes: dict[str, Any]
) -> Layout:
    """Return the layout of the ranks whose blocks lie in the first panel."""
    spread, first = spread_of(attributes), panels[0]
    if spread is None:
        fault = "does not tell how many ranks computed it"
    elif spread.dealt:
        fault = "its parts were dealt out: no rank owns a block"
    elif not isinstance(first, Image) or first.dims != spread.layout.domain.dims:
        fault = f"{first.name} is not over the axes that were divided"
    else:
        return spread.layout
    raise ConfigError(f"--ranks: {path}: {fault}")


def _draw(
    panels: list[Image | Curve],
    attributes: dict[str, Any],
    blocks: Layout | None = None,
) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    engine: Any = figure.get_layout_engine()
    widths = [_width(panel) for panel in panels]
    # one picture of equal scales does not fill the width: it stands in the middle
    first = panels[0]
    one = len(panels) == 1 and isinstance(first, Image) and equal_scales(first)
    share = min(0.97, 0.13 + 0.78 * widths[0] * SIZE[1] / SIZE[0]) if one else 0.97
    engine.set(rect=((1 - share) / 2, 0.07, share, 0.78), wspace=0.06)
    grid = figure.add_gridspec(1, len(panels), width_ratios=widths)
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(grid[0, number])
        if isinstance(panel, Image):
            draw_image(figure, axes, panel)
            if blocks is not None:
                draw_blocks(axes, panel, blocks)
        else:
            _draw_curve(axes, panel)
    _write_texts(figure, panels, attributes)
    return figure


def _width(panel: Image | Curve) -> float:
    if isinstance(panel, Curve) or not equal_scales(panel):
        return 1.0
    span_x, span_y = np.ptp(panel.x.values), np.ptp(panel.y.values)
    # a colour bar stands beside the field
    return float(np.clip(span_x / span_y, 0.5, 1.6)) + 0.15


def _write_texts(
    figure: "Figure", panels: list[Image | Curve], attributes: dict[str, Any]
) -> None:
    # texts of a file may hold $: they are no formulas
    plain: dict[str, Any] = {"parse_math": False}
    small = {**plain, "fontsize": 10.5, "color": GREY}
    title = str(attributes.get("summary") or attributes.get("title") or "")
    title = title or panels[0].label
    title = textwrap.shorten(title, 90, placeholder=" ...")
    figure.text(0.025, 0.935, title, fontsize=19, weight="bold", **plain)
    figure.text(0.025, 0.885, _about(attributes), fontsize=13, color=GREY, **plain)
    answer = textwrap.shorten(str(attributes.get("hpcapp_answer", "")), 150)
    figure.text(0.025, 0.03, answer, **small)
    figure.text(0.975, 0.03, str(attributes.get("source", "")), ha="right", **small)


def _about(attributes: dict[str, Any]) -> str:
    """Return shape and ranks in words."""
    spread = spread_of(attributes)
    parts = [str(attributes.get("hpcapp_workload", ""))]
    if spread is not None:
        shape, grid = spread.layout.domain.shape, spread.layout.grid
        # what is handed out along one axis is counted by its name: bytes, samples
        alone = spread.dealt and len(shape) == 1
        what = f"{spread.layout.domain.dims[0]}s" if alone else "points"
        parts.append(f"{_times(shape)} {what}")
        ranks = f"{spread.ranks} rank{'s' * (spread.ranks > 1)}"
        several = len(grid) > 1 and not spread.dealt
        parts.append(f"{ranks} ({_times(grid)})" if several else ranks)
    return ", ".join(part for part in parts if part)


def _times(numbers: tuple[int, ...]) -> str:
    return " x ".join(f"{number}" for number in numbers)


def _draw_curve(axes: "Axes", curve: Curve) -> None:
    if curve.bins:
        _draw_bins(axes, curve)
    elif curve.power:
        _draw_power_laws(axes, curve)
    else:
        _draw_lines(axes, curve)
        if _log_values(curve.rows):
            axes.set_yscale("log")
        if _log_places(curve.x.values):
            axes.set_xscale("log")
        elif curve.x.label == "year":
            _mark_years(axes, float(np.ptp(curve.x.values)))
    if curve.names:
        look = _make_room(axes, len(curve.names)) if curve.power else LEGEND
        for text in axes.legend(**look).get_texts():
            text.set_parse_math(False)
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    label_axes(axes, curve.x.label, curve.label)


def _mark_years(axes: "Axes", span: float) -> None:
    """Name few years, whole ones where there are some: more would run together."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4, integer=span >= 2))
    axes.ticklabel_format(axis="x", useOffset=False)


def _draw_bins(axes: "Axes", curve: Curve) -> None:
    """Draw counts as bars that touch, on a scale that starts at 0."""
    width = float(np.diff(curve.x.values).min())
    axes.bar(curve.x.values, curve.rows[0], width, color=BLUE, alpha=0.85)


def _draw_power_laws(axes: "Axes", curve: Curve) -> None:
    """Draw points on logarithmic axes, and through each row the line of its logs."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for number, row in enumerate(curve.rows):
        there = ~np.ma.getmaskarray(row) & (curve.x.values > 0)
        x, y = curve.x.values[there], row[there]
        name = curve.names[number] if curve.names else None
        points = axes.plot(x, y, "o", markersize=4.5, label=name)[0]
        if x.size < 2:
            continue
        slope, shift = np.polyfit(np.log(x), np.log(y), 1)
        line = np.exp(shift) * x**slope
        axes.plot(x, line, "--", linewidth=1.2, color=points.get_color())
        points.set_label(f"{name or curve.name}, exponent {slope:.2f}")


def _make_room(axes: "Axes", names: int) -> dict[str, Any]:
    """Make room below for a legend: lines that fall side by side leave none."""
    columns = 1 + (names > 3)
    share = 0.03 + 0.055 * -(-names // columns)
    low, high = axes.get_ylim()
    axes.set_ylim(low * (low / high) ** (share / (1 - share)), high)
    return {**LEGEND, "loc": "lower left", "ncols": columns, "columnspacing": 1.0}


def _draw_lines(axes: "Axes", curve: Curve) -> None:
    few = curve.rows.shape[1] <= 40
    for number, row in enumerate(curve.rows):
        look: dict[str, Any] = {"color": None if curve.names else BLUE}
        look |= {"linewidth": 2, "marker": "o" if few else None, "markersize": 4.5}
        look["label"] = curve.names[number] if curve.names else None
        errors = None if curve.errors is None else curve.errors[number].filled(0.0)
        if few and errors is not None:
            axes.errorbar(curve.x.values, row, errors, capsize=4, **look)
            continue
        (line,) = axes.plot(curve.x.values, row, **look)
        if errors is not None:
            # so many bars would hide the line
            shade: dict[str, Any] = {"color": line.get_color(), "alpha": 0.25}
            ends = row - errors, row + errors
            axes.fill_between(curve.x.values, *ends, linewidth=0, **shade)


def _log_values(rows: Any) -> bool:
    present = rows.compressed()
    positive = present[present > 0]
    # exactly 0 is where a residual may end
    return bool((present >= 0).all() and positive.size and _decades(positive) > 2)


def _log_places(values: np.ndarray) -> bool:
    # marks at 1, 10, 100, ... rather than an even count that starts at 1
    if values.min() <= 0 or _decades(values) <= 2:
        return False
    return bool(np.median(values) < 0.1 * values.max())


def _decades(values: np.ndarray) -> float:
    return float(np.log10(values.max()) - np.log10(values.min()))
