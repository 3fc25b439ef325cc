# SPDX-License-Identifier: MIT
"""Laws of the comparison: bits, tolerance, the first difference and its owner."""

import json

import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcapp.errors import ConfigError, ResultError
from hpcapp.studies import compare as module
from hpcapp.studies.compare import compare_results, show
from hpcapp.studies.difference import Difference, Rule
from hpcapp.studies.results import dimensions, pieces, spread_of, variables

LAYOUT = {
    "ranks": 4,
    "grid": [2, 2],
    "shape": [4, 6],
    "dims": ["y", "x"],
    "dealt": False,
}


def write(path, variables, layout=None, **options):
    """Write name -> (dims, values) as NetCDF-4."""
    with netCDF4.Dataset(path, "w") as file:
        for dims, values in variables.values():
            for dim, length in zip(dims, np.shape(values), strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, length)
        for name, (dims, values) in variables.items():
            values = np.asarray(values)
            text = values.dtype == object
            variable = file.createVariable(
                name, str if text else values.dtype, dims, **options
            )
            variable[...] = values
        if layout:
            file.hpcapp_layout = json.dumps(layout)
    return str(path)


def field():
    u = np.linspace(-1, 1, 24).reshape(4, 6)
    return {
        "u": (("y", "x"), u),
        "x": (("x",), np.arange(6.0)),
        "count": (("y",), np.arange(4)),
        "bound": ((), 0.5),
        "word": (("y",), np.array(["the", "of", "and", "a"], object)),
    }


@pytest.fixture
def pair(tmp_path):
    """Return a function that compares the field with a changed copy."""

    def compare(name, index, value, tolerance=None):
        one, other = field(), field()
        dims, values = other[name]
        values = np.array(values)
        values[index] = value
        other[name] = (dims, values)
        a = write(tmp_path / "a.nc", one, LAYOUT)
        b = write(tmp_path / "b.nc", other, {**LAYOUT, "ranks": 1, "grid": [1, 1]})
        return compare_results(a, b, tolerance)

    return compare


def test_equal_files_are_counted(tmp_path):
    a = write(tmp_path / "a.nc", field())
    b = write(tmp_path / "b.nc", field(), LAYOUT)
    found = compare_results(a, b, None)
    assert found.equal
    assert found.text == "equal: 5 variables, 39 values, same bits"
    assert compare_results(a, b, 1e-9).text == (
        "equal: 5 variables, 39 values, within 1e-09 relative"
    )


def test_first_difference_is_named_with_values_and_owners(pair):
    value = np.nextafter(field()["u"][1][2, 4], 2)
    found = pair("u", (2, 4), value)
    assert not found.equal
    # by hand: of a 2 x 2 grid of ranks on 4 x 6 points, (2, 4) is in the last one
    assert "u[2, 4] (y, x) is the first to differ" in found.text
    assert ", rank 3 of 4\n" in found.text and ", rank 0 of 1\n" in found.text
    assert f"{value:.17g}, rank 0" in found.text
    assert "1 value of 24 differ, by at most" in found.text
    assert "word" not in found.text


def test_first_is_first_in_c_order_and_all_are_counted(pair, monkeypatch):
    wrong = np.zeros(24, bool)
    wrong[[9, 10, 20]] = True
    for limit in (1 << 23, 32):
        # in pieces of four values too
        monkeypatch.setattr(
            module,
            "pieces",
            lambda shape, item, limit=limit: pieces(shape, item, limit),
        )
        found = pair("u", wrong.reshape(4, 6), 7.0)
        assert "u[1, 3] (y, x) is the first" in found.text
        assert ", rank 1 of 4\n" in found.text
        assert "3 values of 24 differ" in found.text


def test_zero_and_minus_zero_differ_in_bits_but_not_within_a_tolerance(tmp_path):
    a = write(tmp_path / "a.nc", {"v": (("n",), [0.0, 1.0])})
    b = write(tmp_path / "b.nc", {"v": (("n",), [-0.0, 1.0])})
    found = compare_results(a, b, None)
    assert not found.equal and "  A  0\n  B  -0\n" in found.text
    assert compare_results(a, b, 0.0).equal


def test_nan_equals_itself_but_not_other_bits_nor_a_number(tmp_path):
    nan, other = np.array([0x7FF8000000000000, 0x7FF8000000000001], "u8").view("f8")
    files = [
        write(tmp_path / f"{k}.nc", {"v": (("n",), [value, 1.0])}, fill_value=False)
        for k, value in enumerate([nan, other, 2.0])
    ]
    assert compare_results(files[0], files[0], None).equal
    found = compare_results(files[0], files[1], None)
    assert not found.equal
    assert "nan (bits 0x7ff8000000000000)" in found.text
    assert "nan (bits 0x7ff8000000000001)" in found.text
    assert compare_results(files[0], files[1], 1e-9).equal
    assert not compare_results(files[0], files[2], 1e9).equal


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("x", 9.0, "x[1] (x) is the first"),
        ("count", 7, "  A  1\n  B  7\n  1 value of 4 differ, by at most 6 absolute"),
        ("word", "OF", "  A  'of'\n  B  'OF'\n  1 value of 4 differ"),
    ],
)
def test_coordinates_integers_and_texts_are_compared(pair, name, value, text):
    for tolerance in (None, 1e-9):
        found = pair(name, 1, value, tolerance)
        assert not found.equal and text in found.text


def test_scalars_are_compared(pair):
    assert (
        "bound is the first to differ:\n  A  0.5\n  B  0.75\n"
        in pair("bound", (), 0.75).text
    )


@pytest.mark.parametrize(
    ("tolerance", "equal"), [(1.1e-6, True), (0.9e-6, False), (0.0, False)]
)
def test_tolerance_is_relative_to_the_larger_of_two_values(pair, tolerance, equal):
    x = field()["u"][1][0, 0]
    found = pair("u", (0, 0), x * (1 + 1e-6), tolerance)
    assert found.equal is equal
    assert "1e-06 absolute, 1e-06 relative" in found.text


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_bad_tolerance_is_refused(tmp_path, tolerance):
    with pytest.raises(ConfigError, match="--tolerance: must be a number >= 0, got"):
        compare_results("a", "b", tolerance)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"u": (("y", "x"), np.zeros((4, 6), "f4"))}, "u: type <f8 in A, <f4 in B"),
        (
            {"u": (("y", "z"), np.zeros((4, 6)))},
            "u: dimensions (y, x) in A, (y, z) in B",
        ),
        ({"u": (("y",), np.zeros(4))}, "u: dimensions (y, x) in A, (y) in B"),
        ({"v": (("n",), np.zeros(2))}, "v: only in B"),
        ({"x": None}, "x: only in A"),
        ({"word": (("y",), np.zeros(4))}, "word: type text in A, <f8 in B"),
    ],
)
def test_other_form_is_named(tmp_path, change, text):
    other = {**field(), **change}
    other = {name: value for name, value in other.items() if value}
    a = write(tmp_path / "a.nc", field())
    b = write(tmp_path / "b.nc", other)
    found = compare_results(a, b, 1e-3)
    assert not found.equal and text in found.text


def test_other_shape_is_named(tmp_path):
    a = write(tmp_path / "a.nc", {"v": (("n",), np.zeros(3))})
    b = write(tmp_path / "b.nc", {"v": (("n",), np.zeros(4))})
    assert "v: shape (3) in A, (4) in B" in compare_results(a, b, None).text


def test_many_differing_variables_are_counted(tmp_path):
    a = write(tmp_path / "a.nc", {f"v{k:02}": ((), 0.0) for k in range(13)})
    b = write(tmp_path / "b.nc", {f"v{k:02}": ((), 1.0) for k in range(13)})
    text = compare_results(a, b, None).text
    assert text.count("is the first to differ") == 10
    assert text.endswith("and 3 more variables")


def test_run_directory_stands_for_its_result(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(ResultError, match=r"has no result\.nc"):
        compare_results(str(folder), str(folder), None)
    write(folder / "result.nc", field())
    assert compare_results(str(folder), str(folder / "result.nc"), None).equal


def test_missing_foreign_empty_and_odd_files_are_refused(tmp_path):
    good = write(tmp_path / "a.nc", field())
    with pytest.raises(ResultError, match="cannot be opened as NetCDF-4"):
        compare_results(good, str(tmp_path / "none.nc"), None)
    (tmp_path / "text").write_text("not a result")
    with pytest.raises(ResultError, match="text: cannot be opened as NetCDF-4"):
        compare_results(str(tmp_path / "text"), good, None)
    empty = write(tmp_path / "empty.nc", {})
    with pytest.raises(ResultError, match=r"empty\.nc: holds no variables to compare"):
        compare_results(good, empty, None)
    odd = tmp_path / "odd.h5"
    with h5py.File(odd, "w") as file:
        file["v"] = np.zeros(2, [("a", "f8"), ("b", "i4")])
    with pytest.raises(ResultError, match=r"odd\.h5: v: values of type .* cannot be"):
        compare_results(str(odd), str(odd), None)


def test_damaged_data_are_told(tmp_path):
    path = tmp_path / "a.nc"
    write(path, {"v": (("n",), np.arange(1000.0))}, fletcher32=True)
    raw = bytearray(path.read_bytes())
    at = raw.index(np.arange(500.0, 503.0).tobytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ResultError, match=r"a\.nc: v: cannot be read: .*damaged"):
        compare_results(str(path), str(path), None)


def test_command_exits_0_1_and_2(hpcapp, tmp_path):
    a = write(tmp_path / "a.nc", {"v": ((), 1.0)})
    b = write(tmp_path / "b.nc", {"v": ((), 1.0 + 1e-12)})
    assert hpcapp("compare", a, a).returncode == 0
    differs = hpcapp("compare", a, b)
    assert differs.returncode == 1 and "v is the first to differ" in differs.stdout
    assert hpcapp("compare", a, b, "--tolerance", "1e-9").returncode == 0
    missing = hpcapp("compare", a, "none")
    assert missing.returncode == 2 and "none: cannot be opened" in missing.stderr


# --- the parts


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 7), max_size=4), st.integers(1, 40))
def test_pieces_follow_one_another_in_c_order_and_are_bounded(shape, limit):
    index = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    boxes = [index[box] for box in pieces(tuple(shape), 1, limit)]
    assert all(box.size <= limit for box in boxes)
    np.testing.assert_array_equal(
        np.concatenate([[], *map(np.ravel, boxes)]), index.ravel()
    )


def test_integers_are_measured_exactly_where_floats_cannot():
    a = np.array([2**63 - 1, -(2**63), 2**53], "i8")
    b = np.array([2**63 - 2, 2**63 - 1, 2**53 + 1], "i8")
    for one, other in ((a, b), (b, a)):
        found = Rule().measure(one, other)
        assert (found.differing, found.absolute) == (3, 2.0**64 - 1)
        assert Rule().measure(one[:1], other[:1]).absolute == 1


def test_relative_means_relative_to_the_larger():
    for a, b in ((1.0, 2.0), (2.0, 1.0), (-2.0, -1.0)):
        found = Rule(0.5).measure(np.array([a]), np.array([b]))
        assert (found.differing, found.relative) == (0, 0.5)


def test_infinity_is_like_no_number_but_itself():
    a, b = np.array([np.inf, 1.0]), np.array([np.inf, -np.inf])
    assert Rule(1.0).measure(a[:1], b[:1]).differing == 0
    found = Rule(1e300).measure(a, b)
    assert (found.differing, found.absolute, found.index) == (1, np.inf, (1,))


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "f4", "f8", "c8", "c16", "S3"])
def test_every_type_is_compared_bit_by_bit(dtype):
    a = np.zeros(5, dtype)
    b = a.copy()
    assert Rule().measure(a, b) == Difference(5)
    b[3] = 1
    assert Rule().measure(a, b).index == (3,)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.1), "0.10000000000000001"),
        (np.float32(0.1), "0.10000000149011612"),
        (np.complex128(1 - 2j), "1 + -2 i"),
        (np.int32(-3), "-3"),
        (b"caf\xc3\xa9\xff", r"'café\\xff'"),
    ],
)
def test_values_are_shown_in_full(value, text):
    assert show(value) == text


@pytest.mark.parametrize(
    "layout",
    [
        None,
        "no json",
        "[]",
        json.dumps({**LAYOUT, "grid": [9, 9]}),
        json.dumps({"ranks": 1}),
    ],
)
def test_layout_that_makes_no_sense_names_no_owner(layout):
    assert spread_of({} if layout is None else {"hpcapp_layout": layout}) is None


def test_nobody_owns_parts_that_were_dealt_out(tmp_path):
    changed = {**field(), "u": (("y", "x"), field()["u"][1] + 1)}
    a = write(tmp_path / "a.nc", field(), {**LAYOUT, "dealt": True})
    b = write(tmp_path / "b.nc", changed, {**LAYOUT, "dealt": True})
    found = compare_results(a, b, None)
    assert not found.equal
    assert "rank" not in found.text


def test_dimensions_without_coordinates_are_no_variables(tmp_path):
    path = write(tmp_path / "a.nc", field())
    with h5py.File(path) as file:
        found = variables(file)
        assert set(found) == set(field())
        for name, (dims, _) in field().items():
            assert dimensions(found[name]) == dims
    with h5py.File(tmp_path / "b.h5", "w") as file:
        assert dimensions(file.create_dataset("v", (2, 3), "f8")) == ("?", "?")
