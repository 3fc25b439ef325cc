# SPDX-License-Identifier: MIT
"""Climate: means against xarray, points against a search by hand, bad input."""

import glob
import hashlib
import json
import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcapp.errors import ConfigError, Exit
from hpcapp.problem import parse_problem
from hpcapp.workloads.climate.classic import classic_length
from hpcapp.workloads.climate.inputs import find_files, read_header
from hpcapp.workloads.climate.means import RunningMean, nearest
from hpcapp.workloads.climate.units import find_conversion

ROOT = Path(__file__).parent.parent
SMALL = str(ROOT / "data" / "climate" / "tas*.nc")
REAL = Path(os.environ.get("HPCAPP_TEST_DATA", ROOT / ".." / "shared" / "data"))


def configure(inputs, **parameters):
    """Return the problem of a workload climate."""
    values = {"inputs": [str(path) for path in inputs], **parameters}
    text = f"workload: climate\nparameters: {json.dumps(values)}\n"
    return parse_problem(text, "c.yaml", environ={})


def reference(pattern, offset, lon, lat):
    """Return what xarray makes of the files, in float64."""
    data = xarray.open_mfdataset(
        sorted(glob.glob(pattern)),
        combine="nested",
        concat_dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        decode_times=xarray.coders.CFDatetimeCoder(use_cftime=True),
    )
    values = data["tas"].astype("float64").load()
    point = values.sel(lon=lon % 360, lat=lat, method="nearest")
    weighted = values.weighted(np.cos(np.deg2rad(values.lat)))
    found = {
        "time_mean": values.mean("time"),
        "annual_mean": values.groupby("time.year").mean(),
        "global_mean": weighted.mean(("lat", "lon")),
        "point_series": point,
        "point_annual": point.groupby("time.year").mean(),
    }
    return {name: value.values + offset for name, value in found.items()}


@pytest.mark.parametrize(
    ("pattern", "lon", "lat"),
    [
        (SMALL, 78.75, 28.1),
        (SMALL, -135.0, -50.7),
        (str(REAL / "climate" / "tas18*.nc"), 18.1, 59.3),
    ],
)
def test_all_means_are_those_of_xarray(hpcapp, tmp_path, pattern, lon, lat):
    if not glob.glob(pattern):
        pytest.skip(f"no real data: {pattern} (or set HPCAPP_TEST_DATA)")
    config = tmp_path / "c.yaml"
    point = f"{{lon: {lon}, lat: {lat}}}"
    config.write_text(
        "workload: climate\nparameters: "
        f"{{inputs: ['{pattern}'], point: {point}, units: degC}}\n"
    )
    done = hpcapp("run", config, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    expected = reference(pattern, -273.15, lon, lat)
    with xarray.open_dataset(tmp_path / "run" / "result.nc", decode_times=False) as got:
        for name, values in expected.items():
            found = got[name].values
            assert got[name].units == "degC"
            assert (np.isnan(found) == np.isnan(values)).all()
            # relative to the temperature: differences from 0 degC have no meaning
            apart = np.abs(found - values) / (values + 273.15)
            assert np.nanmax(apart, initial=0.0) < 1e-12, name
        assert got["time"].size == len(expected["global_mean"])
        inputs = json.loads(got.attrs["hpcapp_inputs"])
    paths = sorted(glob.glob(pattern))
    assert [entry["path"] for entry in inputs] == paths
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
    assert [entry["sha256"] for entry in inputs] == digests


def test_running_mean_keeps_what_rounding_loses():
    mean = RunningMean.zeros((1,))
    for value in (1e16, 1.0, np.nan, 1.0, -1e16):
        mean.add(np.array([value]))
    assert mean.mean() == 0.5
    mean.clear()
    assert np.isnan(mean.mean()).all()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 12),
    st.integers(2, 24),
    st.floats(-90, 90),
    st.floats(-360, 360),
    st.booleans(),
)
def test_nearest_point_is_the_one_with_the_smallest_angles(ny, nx, lat, lon, down):
    lats = -90 + 180 / ny * (np.arange(ny) + 0.5)
    lats = lats[::-1] if down else lats
    lons = 360 / nx * np.arange(nx) - (180 if down else 0)
    if ny == 1 and abs(lat) > 0.5:
        return
    j, i = nearest(lats, lons, (lat, lon))
    assert abs(lats[j] - lat) <= min(abs(lats - lat)) + 1e-12
    angles = np.abs(np.angle(np.exp(1j * np.deg2rad(lons - lon))))
    assert angles[i] <= angles.min() + 1e-9


def test_place_outside_a_regional_grid_is_refused():
    lat, lon = np.arange(40.0, 51), np.arange(350.0, 371)
    assert nearest(lat, lon, (50.4, 3.2)) == (10, 13)
    assert nearest(lat, lon, (40, -10.4)) == (0, 0)
    for point, message in (
        ((50.6, 0), "lat must be from 39.5 to 50.5, got 50.6"),
        ((45, 12), r"lon must be from 349.5 to 370.5 \(modulo 360\), got 12"),
    ):
        with pytest.raises(ValueError, match=message):
            nearest(lat, lon, point)


def test_units_are_converted_as_defined():
    for given_, wanted, value, result in (
        ("K", "degC", 273.15, 0.0),
        ("degC", "K", 0.0, 273.15),
        ("kelvin", "degF", 273.15, 32.0),
        ("Pa", "hPa", 101325.0, 1013.25),
        ("kg m-2 s-1", "mm day-1", 1e-5, 0.864),
    ):
        by = find_conversion(given_, wanted)
        assert value * by.factor + by.offset == pytest.approx(result, abs=1e-12)


# --- input that cannot be used


def make(path, year=2001, time=None, **changes):
    """Write a small file; changes are made to the plain one."""
    plain = {
        "lat": [-45.0, 45.0],
        "lon": [0.0, 120.0, 240.0],
        "calendar": "noleap",
        "since": "days since 1850-01-01",
        "units": "K",
        "name": "tas",
        "dims": ("time", "lat", "lon"),
        "fill": None,
        "lat_units": "degrees_north",
        "values": 280.0,
        "format": "NETCDF4",
        "unlimited": False,
    }
    plain |= changes
    time = [365.0 * (year - 1850) + 30 * k for k in range(3)] if time is None else time
    with netCDF4.Dataset(path, "w", format=plain["format"]) as file:
        lengths = (len(time), len(plain["lat"]), len(plain["lon"]))
        for name, length in zip(("time", "lat", "lon"), lengths, strict=True):
            record = name == "time" and plain["unlimited"]
            file.createDimension(name, None if record else length)
        for name, values, units in (
            ("time", time, plain["since"]),
            ("lat", plain["lat"], plain["lat_units"]),
            ("lon", plain["lon"], "degrees_east"),
        ):
            variable = file.createVariable(name, "f8", (name,))
            variable.units = units
            variable[:] = values
        file["time"].calendar = plain["calendar"]
        variable = file.createVariable(
            plain["name"], "f4", plain["dims"], fill_value=plain["fill"]
        )
        variable.units = plain["units"]
        variable[:] = plain["values"]
    return str(path)


def refusal(inputs, **parameters):
    """Return the message with which a problem is refused before anything is written."""
    with pytest.raises(ConfigError) as caught:
        configure(inputs, **parameters).check()
    message = str(caught.value)
    assert caught.value.code == Exit.USAGE
    assert "\n" not in message
    return message.removeprefix("c.yaml:2: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lat": [-40.0, 40.0]},
            "{b}: tas: must be on the grid of {a}, but has other latitudes",
        ),
        (
            {"lon": [0.0, 90.0, 180.0, 270.0]},
            "{b}: tas: must be on the grid of {a}, but has other longitudes",
        ),
        (
            {"calendar": "360_day"},
            "{b}: tas: must have the calendar 'noleap' as {a}, got '360_day'",
        ),
        (
            {"units": "degC"},
            "{b}: tas: must have the units 'K' as {a}, got 'degC'",
        ),
        (
            {"year": 2000},
            "{b}: time: must increase, within files and from one to the next, got "
            "54750 days since 1850-01-01 after 55175",
        ),
        (
            {"time": [56000.0, 56001.0, 56001.0]},
            "{b}: time: must increase, within files and from one to the next, got "
            "56001 days since 1850-01-01 after 56001",
        ),
        (
            {"since": "days since forever"},
            "{b}: time: cannot be decoded as CF time ('days since forever', calendar "
            "'noleap'): ",
        ),
        (
            {"since": "K"},
            "{b}: time: must have CF units such as 'days since 1850-01-01' (dimensions "
            "in the order time, latitude, longitude), got 'K'",
        ),
        (
            {"lat_units": "m"},
            "{b}: lat: must have CF units such as 'degrees_north' (dimensions in the "
            "order time, latitude, longitude), got 'm'",
        ),
        (
            {"dims": ("lat", "lon")},
            "{b}: tas: must be numbers over (time, lat, lon), got float32 over (lat, "
            "lon)",
        ),
        (
            {"name": "pr"},
            "{b}: has no variable tas; those of three dimensions: pr",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, changes, message):
    a = make(tmp_path / "a.nc")
    b = make(tmp_path / "b.nc", **{"year": 2002, **changes})
    got = refusal([a, b])
    key = "variable" if "tas: must be numbers" in got or "has no" in got else "inputs"
    assert got.startswith(f"parameters.{key}: " + message.format(a=a, b=b))


def test_files_that_are_none_are_refused(tmp_path):
    good = Path(make(tmp_path / "a.nc"))
    text = tmp_path / "b.nc"
    text.write_text("hello")
    short = tmp_path / "c.nc"
    short.write_bytes(good.read_bytes()[:-200])
    begin = "parameters.inputs: "
    for path in (text, short):
        got = refusal([path])
        assert got.startswith(
            f"{begin}{path}: cannot be read as NetCDF, foreign or truncated: "
        )
    assert refusal([tmp_path / "d.nc"]) == f"{begin}{tmp_path}/d.nc: no such file"
    assert refusal([tmp_path / "d*.nc"]) == f"{begin}no file matches {tmp_path}/d*.nc"
    got = refusal([good, good])
    assert got == f"{begin}must name each file once, got {good} twice"


FORMATS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("unlimited", [False, True])
def test_classic_file_that_ends_early_is_refused(tmp_path, format_, unlimited):
    path = Path(make(tmp_path / "a.nc", format=format_, unlimited=unlimited))
    configure([path]).check()
    # the last variable ends with the file
    assert classic_length(str(path)) == path.stat().st_size
    path.write_bytes(path.read_bytes()[:-4])
    assert refusal([path]) == (
        f"parameters.inputs: {path}: damaged or truncated: 4 bytes are missing at its "
        "end"
    )


def test_dimension_without_coordinate_is_refused(tmp_path):
    path = make(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.renameVariable("lon", "x")
    got = refusal([path])
    assert got == (
        f"parameters.inputs: {path}: lon: must have values, and a coordinate variable "
        "of that name"
    )


def test_only_missing_values_are_refused(tmp_path):
    a = make(tmp_path / "a.nc", values=np.nan)
    assert refusal([a]) == f"parameters.inputs: {a}: tas: has only missing values"
    b = make(tmp_path / "b.nc", year=2002, fill=1e20, values=1e20)
    got = refusal([a, b])
    assert got.endswith(f"{a}: tas: has only missing values, as in the other 1 files")
    configure([a, make(tmp_path / "c.nc", year=2003)]).check()


def test_point_and_units_that_do_not_fit_are_refused(tmp_path):
    a = make(tmp_path / "a.nc", lat=[40.0, 41.0], lon=[5.0, 6.0, 7.0])
    got = refusal([a], point={"lon": 6, "lat": 45})
    assert got == (
        f"parameters.point: must be inside the grid of {a}: lat must be from 39.5 to "
        "41.5, got 45"
    )
    inside = {"lon": 6, "lat": 40}
    got = refusal([a], point=inside, units="hPa")
    assert got == (
        "parameters.units: must be one of K, degC, degF, since the inputs are in K"
    )
    b = make(tmp_path / "b.nc", units="furlong", lat=[40.0, 41.0], lon=[5.0, 6.0, 7.0])
    got = refusal([b], point=inside, units="K")
    assert got == (
        "parameters.units: must be null or 'furlong', the unit of the inputs"
    )


def test_a_gpu_is_refused_with_the_reason():
    assert configure([SMALL]).workload.without_gpu() == (
        "climate reads each value from a file and adds it up: it has kernels for the "
        "CPU only"
    )


def test_bad_input_ends_a_run_with_one_line_and_nothing_written(hpcapp, tmp_path):
    path = tmp_path / "a.nc"
    path.write_text("hello")
    config = tmp_path / "c.yaml"
    config.write_text(f"workload: climate\nparameters:\n  inputs: ['{path}']\n")
    done = hpcapp("run", config, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.startswith(f"hpcapp: {config}:3: parameters.inputs: {path}: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_globs_are_sorted_and_headers_say_what_is_there():
    paths = find_files([SMALL])
    assert [Path(path).name for path in paths] == [
        f"tas{year}.nc" for year in (2001, 2002, 2003)
    ]
    header = read_header(paths[2], "tas")
    assert (len(header.lat), len(header.lon), len(header.time)) == (16, 32, 12)
    assert header.time_units == "hours since 2000-01-01"
