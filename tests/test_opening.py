# SPDX-License-Identifier: MIT
"""hpcapp.open: a result as a lazy dataset."""

import numpy as np
import pytest
import xarray

import hpcapp
from hpcapp.errors import ResultError


def test_open_reads_nothing_until_asked(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    xarray.Dataset({"u": (("y", "x"), values)}).to_netcdf(tmp_path / "result.nc")
    with hpcapp.open(str(tmp_path)) as data:
        assert isinstance(data, xarray.Dataset)
        assert not data["u"].variable._in_memory
        assert float(data["u"][1, 2]) == 6.0
    with hpcapp.open(str(tmp_path / "result.nc"), chunks={"y": 1}) as data:
        assert data["u"].chunks == ((1, 1, 1), (4,))


def test_what_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(ResultError, match=r"has no result.nc: no run of hpcapp has"):
        hpcapp.open(str(tmp_path))
    (tmp_path / "result.nc").write_text("hello")
    message = rf"{tmp_path}/result.nc: cannot be opened as NetCDF-4: "
    with pytest.raises(ResultError, match=message):
        hpcapp.open(str(tmp_path))


def snapshot(path, numbers):
    """Write what a run leaves after each of these steps."""
    path.parent.mkdir(exist_ok=True)
    values = np.array(numbers)[:, np.newaxis] + np.array([0.0, 0.5])
    xarray.Dataset(
        {"u": (("snapshot", "x"), values)},
        {"snapshot": list(numbers), "x": [1.0, 2.0]},
        {"hpcapp_state": path.name},
    ).to_netcdf(path)


def test_snapshots_of_a_run_under_way_are_one_dataset(tmp_path):
    # of an end before the run was extended, and since then
    snapshot(tmp_path / "snapshots.nc", (2, 4))
    with hpcapp.open_snapshots(str(tmp_path)) as data:
        assert data["snapshot"].values.tolist() == [2, 4]
    for number in (10, 6, 8):
        path = tmp_path / "snapshots" / f"snapshot-{number:06d}.nc"
        snapshot(path, [number])
    (tmp_path / "snapshots" / ".snapshot-000012.nc.part").write_text("half of one")
    with hpcapp.open_snapshots(str(tmp_path)) as data:
        assert data["snapshot"].values.tolist() == [2, 4, 6, 8, 10]
        assert data["u"].dims == ("snapshot", "x")
        assert not data["u"].variable._in_memory
        assert data["u"][:, 1].values.tolist() == [2.5, 4.5, 6.5, 8.5, 10.5]
        assert data["x"].values.tolist() == [1, 2]


def test_snapshots_that_cannot_be_opened_are_told(tmp_path, monkeypatch):
    with pytest.raises(ResultError) as caught:
        hpcapp.open_snapshots(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: has no snapshots: output.every of the run makes them"
    )
    (tmp_path / "snapshots.nc").write_text("hello")
    with pytest.raises(ResultError, match=r"snapshots cannot be opened as NetCDF-4: "):
        hpcapp.open_snapshots(str(tmp_path))
    snapshot(tmp_path / "snapshots.nc", (2, 4))
    snapshot(tmp_path / "snapshots" / "snapshot-000006.nc", [6])

    def refuse(*_arguments, **_options):
        raise ImportError("no dask")

    monkeypatch.setattr(xarray, "open_mfdataset", refuse)
    with pytest.raises(ResultError) as caught:
        hpcapp.open_snapshots(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: 2 files are opened as one by Dask, which is not installed: pip "
        "install dask"
    )
