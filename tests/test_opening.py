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
