# SPDX-License-Identifier: MIT
"""Pictures: what is chosen, how it is scaled, and that little is read of much."""

import json
import os
import subprocess
import sys
import tracemalloc

import h5py
import netCDF4
import numpy as np
import pytest

from hpcapp.errors import ConfigError, ResultError
from hpcapp.studies import plot as module
from hpcapp.studies.panels import MOST, Curve, Image, choose_panels
from hpcapp.studies.plot import plot_result

X, Y = np.linspace(0, 1, 30), np.linspace(0, 1, 20)
LAYOUT = {
    "ranks": 4,
    "grid": [2, 2],
    "shape": [20, 30],
    "dims": ["y", "x"],
    "dealt": False,
}


def write(path, variables, **attributes):
    """Write name -> (dims, values, units, long_name) as NetCDF-4."""
    with netCDF4.Dataset(path, "w") as file:
        for dims, values, *_ in variables.values():
            for dim, length in zip(dims, np.shape(values), strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, length)
        for name, (dims, values, *texts) in variables.items():
            values = np.asarray(values)
            kind = str if values.dtype == object else values.dtype
            variable = file.createVariable(name, kind, dims)
            variable[...] = values
            variable.setncatts(dict(zip(("units", "long_name"), texts, strict=False)))
        file.setncatts(attributes)
    return str(path)


def field(values, x=X, y=Y):
    return {
        "y": (("y",), y, "m", "height"),
        "x": (("x",), x, "m", "length"),
        "u": (("y", "x"), values, "K", "temperature"),
    }


def history(values):
    values = np.asarray(values)
    return {
        "step": (("step",), np.arange(len(values)), "1", "steps done"),
        "r": (("step",), values, "1", "residual"),
    }


def draw(path):
    """Return the axes that a picture of a file has."""
    with h5py.File(path) as file:
        panels = choose_panels(file)
        figure = module._draw(panels, module.read_attributes(file))
    figure.canvas.draw()
    return figure


SMOOTH = np.sin(3 * X) * Y[:, None]


@pytest.fixture(scope="module")
def run(hpcapp, tmp_path_factory):
    """Return the directory of a small run of one rank."""
    folder = tmp_path_factory.mktemp("plot") / "run"
    done = hpcapp("run", "configs/small/laplace.yaml", "-o", folder, "-q")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_gives_a_picture_beside_its_result(run, hpcapp):
    done = hpcapp("plot", run)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{run}/plot.png: shows u and residual\n"
    from matplotlib.image import imread

    picture = imread(run / "plot.png")
    assert picture.shape[1] / picture.shape[0] == pytest.approx(16 / 9, abs=0.01)
    assert 1200 <= picture.shape[1] <= 1920
    # not blank: many colours of the map
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 200


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.PDF", b"%PDF"), ("a.png", b"\x89PNG")]
)
def test_format_follows_the_suffix(tmp_path, name, start):
    path = write(tmp_path / "r.nc", field(SMOOTH))
    line = plot_result(path, str(tmp_path / name))
    assert line == f"{tmp_path / name}: shows u"
    assert (tmp_path / name).read_bytes().startswith(start)


def test_other_suffixes_are_refused_before_anything_is_read(tmp_path):
    path = write(tmp_path / "r.nc", field(SMOOTH))
    with pytest.raises(
        ConfigError, match=r"--output: must end in \.png, \.svg, \.pdf, got"
    ):
        plot_result(path, "picture.jpg")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    path = write(tmp_path / "r.nc", field(SMOOTH))
    with pytest.raises(ConfigError, match=r"x\.png: cannot be written: No such file"):
        plot_result(path, str(tmp_path / "none" / "x.png"))


def test_missing_result_is_told(tmp_path):
    with pytest.raises(ResultError, match=r"none\.nc: cannot be opened"):
        plot_result(str(tmp_path / "none.nc"), None)
    with pytest.raises(ResultError, match=r"has no result\.nc"):
        plot_result(str(tmp_path), None)


def test_numbers_alone_are_told_with_the_answer(tmp_path):
    path = write(
        tmp_path / "r.nc",
        {"pi": ((), 3.1), "word": (("n",), np.array(["a", "b"], object))},
        hpcapp_answer="pi is 3.14 +- 0.01",
    )
    with pytest.raises(ConfigError) as caught:
        plot_result(path, None)
    assert str(caught.value) == (
        f"{path}: nothing to plot: it holds only numbers; "
        "its answer: pi is 3.14 +- 0.01"
    )


def test_field_has_extents_aspect_labels_contours_and_map(tmp_path):
    path = write(tmp_path / "r.nc", field(SMOOTH))
    axes, bar = draw(path).axes
    (image,) = axes.images
    # pixels are centred on the points, the view ends at the outer points
    assert image.get_extent() == pytest.approx(
        (-0.5 / 29, 1 + 0.5 / 29, -0.5 / 19, 1 + 0.5 / 19)
    )
    assert axes.get_xlim() == (0, 1) and axes.get_ylim() == (0, 1)
    assert axes.get_aspect() == 1.0
    assert image.origin == "lower" and image.get_cmap().name == "viridis"
    assert axes.get_xlabel() == "length (m)" and axes.get_ylabel() == "height (m)"
    assert bar.get_ylabel() == "temperature (K)"
    assert len(axes.collections) == 1


def test_unit_one_is_left_out_and_name_stands_in_for_a_missing_meaning(tmp_path):
    variables = field(SMOOTH)
    variables["u"] = (("y", "x"), SMOOTH, "1", "solution")
    assert draw(write(tmp_path / "a.nc", variables)).axes[1].get_ylabel() == "solution"
    variables["u"] = (("y", "x"), SMOOTH)
    assert draw(write(tmp_path / "b.nc", variables)).axes[1].get_ylabel() == "u"


def test_other_units_or_long_domains_are_not_drawn_to_scale(tmp_path):
    long = write(tmp_path / "long.nc", field(SMOOTH, x=X * 50))
    assert draw(long).axes[0].get_aspect() == "auto"
    variables = field(SMOOTH)
    variables["x"] = (("x",), X, "s", "time")
    assert draw(write(tmp_path / "time.nc", variables)).axes[0].get_aspect() == "auto"


def test_uneven_points_are_drawn_where_they_are(tmp_path):
    path = write(tmp_path / "r.nc", field(SMOOTH, x=X**2))
    axes = draw(path).axes[0]
    assert not axes.images
    assert axes.get_xlim() == (0, 1)


def test_noise_constants_and_whole_numbers_have_no_contours(tmp_path):
    noise = np.random.default_rng(1).random((20, 30))
    for values in (noise, np.ones((20, 30)), (SMOOTH * 50).astype(int)):
        axes = draw(write(tmp_path / "r.nc", field(values))).axes[0]
        assert len(axes.images) == 1 and not axes.collections


def test_counts_with_a_long_tail_get_a_logarithmic_map(tmp_path):
    counts = np.ones((20, 30), "i4")
    counts[5:8] = 5000
    counts[0, 0] = 0
    image = draw(write(tmp_path / "r.nc", field(counts))).axes[0].images[0]
    assert type(image.norm).__name__ == "LogNorm"
    assert (image.norm.vmin, image.norm.vmax) == (1, 5000)


def test_values_that_are_not_finite_are_left_out(tmp_path):
    values = SMOOTH.copy()
    values[:, 0], values[0, 5] = np.nan, np.inf
    image = draw(write(tmp_path / "a.nc", field(values))).axes[0].images[0]
    assert image.norm.vmax == SMOOTH[:, 1:].max()
    hopeless = write(tmp_path / "b.nc", field(np.full((20, 30), np.nan)))
    with pytest.raises(ConfigError, match="nothing to plot"):
        plot_result(hopeless, None)


def test_history_over_decades_is_logarithmic_beside_the_field(tmp_path):
    path = write(tmp_path / "r.nc", {**field(SMOOTH), **history(0.1 ** np.arange(9))})
    figure = draw(path)
    image, _, curve = figure.axes
    assert image.images and curve.get_yscale() == "log"
    assert curve.get_xscale() == "linear"
    assert curve.get_xlabel() == "steps done" and curve.get_ylabel() == "residual"
    (line,) = curve.lines
    np.testing.assert_array_equal(line.get_ydata(), 0.1 ** np.arange(9))


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 0.5, 0.2], "linear"),
        ([1, 1e-3, 0], "log"),
        ([1, 1e-3, -1e-9], "linear"),
        ([0, 0, 0], "linear"),
        ([1e-5, np.nan, 1], "log"),
    ],
)
def test_scale_of_values(tmp_path, values, scale):
    path = write(tmp_path / "r.nc", history(values))
    assert draw(path).axes[0].get_yscale() == scale


def test_marks_at_powers_of_ten_give_a_logarithmic_axis(tmp_path):
    marks = {"mark": (("mark",), 10 ** np.arange(1, 8), "1", "terms")}
    marks["partial"] = (("mark",), np.arange(7.0), "1", "sum")
    assert draw(write(tmp_path / "r.nc", marks)).axes[0].get_xscale() == "log"


def test_standard_errors_of_a_few_points_are_bars(tmp_path):
    marks = 10 ** np.arange(5)
    values, errors = np.array([4.0, 3.2, 3.1, 3.15, 3.14]), 1 / np.sqrt(marks)
    errors[0] = np.nan
    known = {
        "mark": (("mark",), marks, "1", "samples"),
        "partial": (("mark",), values, "1", "estimate"),
        "partial_error": (("mark",), errors, "1", "standard error"),
    }
    (axes,) = draw(write(tmp_path / "r.nc", known)).axes
    ((bars,),) = (container[2] for container in axes.containers)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    # the first point's is not known
    errors[0] = 0.0
    assert ends == pytest.approx(np.stack((values - errors, values + errors), axis=1))
    assert axes.get_xscale() == "log"
    # an error of another shape is none
    known["partial_error"] = (("other",), errors[:3], "1", "standard error")
    assert draw(write(tmp_path / "s.nc", known)).axes[0].containers == []


def test_counts_in_bins_are_bars_from_zero(tmp_path):
    places, counts = np.arange(-6, 8, 2), [1, 400, 9000, 20000, 9100, 0, 1]
    known = {
        "bin": (("bin",), places, "1", "centre of bin"),
        "histogram": (("bin",), counts, "1", "walkers"),
    }
    (axes,) = draw(write(tmp_path / "r.nc", known)).axes
    (bars,) = axes.containers
    assert [bar.get_height() for bar in bars] == counts
    assert [bar.get_x() + 1 for bar in bars] == places.tolist()
    assert {bar.get_width() for bar in bars} == {2.0}
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0


def test_table_of_few_rows_is_lines_with_names_that_are_no_formulas(tmp_path):
    table = {
        "book": (("book",), np.array(["pg99", r"$\bad{$"], object)),
        "acf": (("book", "lag"), np.outer([1, 2], np.linspace(1, 0.5, 12)), "1", "acf"),
    }
    axes = draw(write(tmp_path / "r.nc", table)).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "pg99",
        r"$\bad{$",
    ]
    assert len(axes.lines) == 2 and axes.get_xlabel() == "lag"


def test_rows_without_names_are_numbered(tmp_path):
    table = {"acf": (("book", "lag"), np.ones((2, 12)) * [[1], [2]])}
    axes = draw(write(tmp_path / "r.nc", table)).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["book 0", "book 1"]


def test_title_and_footer_come_from_the_file_and_are_no_formulas(tmp_path):
    path = write(
        tmp_path / "r.nc",
        field(SMOOTH),
        summary=r"Heat in $\bad{$ cases",
        hpcapp_workload="heat",
        hpcapp_layout=json.dumps(LAYOUT),
        hpcapp_answer="residual 1e-9",
        source="hpcapp 9.9",
    )
    texts = [text.get_text() for text in draw(path).texts]
    assert texts == [
        r"Heat in $\bad{$ cases",
        "heat, 20 x 30 points, 4 ranks (2 x 2)",
        "residual 1e-9",
        "hpcapp 9.9",
    ]


def test_what_is_dealt_out_along_an_axis_is_counted_by_its_name(tmp_path):
    layout = {**LAYOUT, "grid": [4], "shape": [9063954], "dims": ["byte"]}
    told = json.dumps({**layout, "dealt": True})
    known = {"hpcapp_workload": "words", "hpcapp_layout": told}
    path = write(tmp_path / "r.nc", field(SMOOTH), **known)
    assert "words, 9063954 bytes, 4 ranks" in [t.get_text() for t in draw(path).texts]


def test_at_most_a_field_and_a_curve_or_two_curves(tmp_path):
    many = {f"u{k}": (("y", "x"), SMOOTH) for k in range(3)}
    many |= {f"c{k}": ((f"n{k}",), np.arange(5.0)) for k in range(3)}
    with h5py.File(write(tmp_path / "a.nc", many)) as file:
        assert [type(panel) for panel in choose_panels(file)] == [Image, Curve]
    curves = {"c0": many["c0"], "same": (("n0",), np.ones(5)), "c1": many["c1"]}
    curves["c2"] = many["c2"]
    with h5py.File(write(tmp_path / "b.nc", curves)) as file:
        assert [panel.name for panel in choose_panels(file)] == ["c0", "c1"]


def test_large_fields_are_sampled_in_bounded_memory(tmp_path):
    n = 3 * MOST
    path = tmp_path / "big.h5"
    with h5py.File(path, "w") as file:
        for name in ("y", "x"):
            file.create_dataset(name, data=np.arange(n, dtype=float)).make_scale(name)
        # 162 MB that are never on the disk, but for one row
        big = file.create_dataset("u", (n, n), "f8")
        for axis, name in enumerate(("y", "x")):
            big.dims[axis].attach_scale(file[name])
        big[30] = np.arange(n)
    tracemalloc.start()
    with h5py.File(path) as file:
        (panel,) = choose_panels(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        panel.values.shape == (MOST, MOST) == (panel.y.values.size, panel.x.values.size)
    )
    np.testing.assert_array_equal(panel.values[10], np.arange(0, n, 3))
    np.testing.assert_array_equal(panel.x.values, np.arange(0, n, 3))
    assert peak < 4 * panel.values.nbytes


def test_no_global_state_of_pyplot_is_touched(tmp_path, root):
    path = write(tmp_path / "r.nc", field(SMOOTH))
    code = (
        "import sys; from hpcapp.studies.plot import plot_result\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"plot_result({path!r}, None)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(root)}
    environ.pop("DISPLAY", None)
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60)


# --- blocks, maps, angles, snapshots


def test_outlines_of_blocks_lie_halfway_between_points(tmp_path):
    layout = json.dumps({**LAYOUT, "grid": [2, 2]})
    path = write(tmp_path / "r.nc", field(SMOOTH), hpcapp_layout=layout)
    with h5py.File(path) as file:
        panels, attributes = choose_panels(file), module.read_attributes(file)
    blocks = module._blocks(path, panels, attributes)
    axes = module._draw(panels, attributes, blocks).axes[0]
    corners = {patch.get_bbox().extents.round(9).tobytes() for patch in axes.patches}
    dx, dy = 1 / 29, 1 / 19
    expected = {
        np.array([x0, y0, x1, y1]).round(9).tobytes()
        for x0, x1 in ((-dx / 2, 14.5 * dx), (14.5 * dx, 1 + dx / 2))
        for y0, y1 in ((-dy / 2, 9.5 * dy), (9.5 * dy, 1 + dy / 2))
    }
    assert corners == expected
    assert sorted(text.get_text() for text in axes.texts) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("layout", "variables", "message"),
    [
        (None, field(SMOOTH), "does not tell how many ranks computed it"),
        (
            {**LAYOUT, "dealt": True},
            field(SMOOTH),
            "its parts were dealt out: no rank owns a block",
        ),
        (LAYOUT, history([1.0, 2.0]), "r is not over the axes that were divided"),
    ],
)
def test_blocks_that_cannot_be_drawn_are_told(tmp_path, layout, variables, message):
    attributes = {} if layout is None else {"hpcapp_layout": json.dumps(layout)}
    path = write(tmp_path / "r.nc", variables, **attributes)
    with pytest.raises(ConfigError) as caught:
        plot_result(path, None, ranks=True)
    assert str(caught.value) == f"--ranks: {path}: {message}"


def test_longitude_and_latitude_make_a_map_with_the_place_marked(tmp_path):
    lon, lat = np.arange(0, 360, 10.0), np.arange(-85, 86, 10.0)
    variables = {
        "lat": (("lat",), lat, "degrees_north"),
        "lon": (("lon",), lon, "degrees_east"),
        "t": (("lat", "lon"), 280 + np.outer(lat, np.cos(lon)), "K"),
        "place_lon": ((), 20.0, "degrees_east"),
        "place_lat": ((), 60.0, "degrees_north"),
    }
    path = write(tmp_path / "r.nc", variables)
    with netCDF4.Dataset(path, "a") as file:
        file["place_lon"].standard_name = "longitude"
        file["place_lat"].standard_name = "latitude"
    axes = draw(path).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        *("0°", "60°E", "120°E", "180°", "120°W", "60°W")
    ]
    assert axes.get_images()[0].get_cmap().name == "RdYlBu_r"
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[20.0, 60.0]]]
    assert axes.get_aspect() == 1


@pytest.mark.parametrize(
    ("low", "high", "ends"), [(0, 350, (0, 360)), (-170, 170, (-180, 180))]
)
def test_angles_get_colours_that_meet_where_they_begin_again(tmp_path, low, high, ends):
    variables = field(low + (high - low) * X * Y[:, None])
    variables["u"] = (*variables["u"][:2], "degree", "direction")
    image = draw(write(tmp_path / "r.nc", variables)).axes[0].get_images()[0]
    assert image.get_cmap().name == "twilight"
    assert image.get_clim() == ends


def test_times_are_drawn_as_years(tmp_path):
    variables = {
        "time": (("time",), np.array([0.0, 365.0, 730.0]), "days since 2001-01-01"),
        "m": (("time",), np.array([1.0, 2.0, 3.0]), "K", "mean"),
    }
    axes = draw(write(tmp_path / "r.nc", variables)).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [2001.0, 2002.0, 2003.0]
    assert axes.get_xlabel() == "year"


@pytest.mark.parametrize("months", [7, 36, 1200])
def test_years_are_few_and_whole_where_there_are_some(tmp_path, months):
    time = 30.4375 * np.arange(float(months))
    variables = {
        "time": (("time",), time, "days since 2001-01-01"),
        "m": (("time",), np.sin(time / 100), "K", "mean"),
    }
    figure = draw(write(tmp_path / "r.nc", variables))
    figure.draw_without_rendering()
    marks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert 2 <= len(marks) <= 6
    # written out, not as what is to be added to a number at the end of the axis;
    # one of them may lie beyond each end
    assert all(1900 <= float(mark) <= 2200 for mark in marks)
    assert all(mark.isdigit() for mark in marks) or months < 24


def test_last_snapshot_is_shown(tmp_path):
    variables = field(SMOOTH)
    stack = np.stack([SMOOTH, 2 * SMOOTH])
    variables["u"] = (("snapshot", "y", "x"), stack, "K", "temperature")
    path = write(tmp_path / "r.nc", variables)
    with h5py.File(path) as file:
        panel = choose_panels(file)[0]
    np.testing.assert_array_equal(panel.values, 2 * SMOOTH)


def test_many_standard_errors_are_a_shade(tmp_path):
    values = np.linspace(1, 2, 200)
    variables = {
        "step": (("step",), np.arange(200.0), "1", "steps"),
        "r": (("step",), values, "1", "value"),
        "r_error": (("step",), 0.1 * values, "1", "standard error"),
    }
    axes = draw(write(tmp_path / "r.nc", variables)).axes[0]
    (shade,) = axes.collections
    corners = shade.get_paths()[0].get_extents()
    assert (corners.ymin, corners.ymax) == pytest.approx((0.9, 2.2))


@pytest.mark.parametrize("snapshot", [False, True])
def test_fields_in_chunks_are_sampled_row_by_row_of_chunks(tmp_path, snapshot):
    n = 2 * MOST + 3
    path = tmp_path / "big.h5"
    values = np.arange(n, dtype=np.float32)[:, None] + np.arange(n, dtype=np.float32)
    with h5py.File(path, "w") as file:
        dims = ("snapshot", "y", "x") if snapshot else ("y", "x")
        for name in dims:
            length = 1 if name == "snapshot" else n
            data = np.arange(length, dtype=float)
            file.create_dataset(name, data=data).make_scale(name)
        stack = values[np.newaxis] if snapshot else values
        chunks = (1, 500, 700) if snapshot else (500, 700)
        big = file.create_dataset("u", data=stack, chunks=chunks)
        for axis, name in enumerate(dims):
            big.dims[axis].attach_scale(file[name])
    with h5py.File(path) as file:
        panel = choose_panels(file)[0]
    np.testing.assert_array_equal(panel.values, values[::3, ::3])


def test_variables_with_a_view_are_shown_as_their_workload_asks(tmp_path):
    place = np.arange(1, 17)
    counts = np.array([1000 * k / place ** (k / 4) for k in range(1, 9)])
    counts[0, 9:] = 0
    books = np.array([f"b{k}" for k in range(1, 9)], object)
    variables = {
        "book": (("book",), books),
        "place": (("place",), place, "1", "place"),
        "acf": (("book", "lag"), np.ones((8, 30)), "1", "correlation"),
        "count": (("book", "place"), counts, "1", "count"),
        "field": (("y", "x"), np.ones((20, 30)), "1", "field"),
    }
    path = write(tmp_path / "r.nc", variables)
    with netCDF4.Dataset(path, "a") as file:
        file["acf"].hpcapp_view = "curves"
        file["count"].hpcapp_view = "power law"
    with h5py.File(path) as file:
        power, curves = choose_panels(file)
    assert (power.name, power.power, curves.name, curves.power) == (
        *("count", True),
        *("acf", False),
    )
    # a few rows are enough, and counts of 0 have no logarithm
    assert power.names == ("b1", "b2", "b3", "b4", "b5", "b6")
    assert power.rows.shape == (6, 16)
    assert power.rows.count() == 6 * 16 - 7
    told = plot_result(path, str(tmp_path / "p.svg"))
    assert told.endswith("p.svg: shows count and acf")
    text = (tmp_path / "p.svg").read_text()
    # the exponents that the counts were made with
    for k in range(1, 7):
        assert f"b{k}, exponent {-k / 4:.2f}" in text
    axes = draw(path).axes[0]
    # below the lowest point, however many the books are
    renderer = axes.figure.canvas.get_renderer()
    legend = axes.get_legend().get_window_extent(renderer)
    points = [axes.transData.transform(line.get_xydata()) for line in axes.lines[::2]]
    assert legend.y1 <= min(part[:, 1].min() for part in points)
