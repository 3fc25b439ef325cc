# SPDX-License-Identifier: MIT
"""Laws of files, on one process: runs of bytes against NumPy, and what reads back."""

import itertools
import os
from math import prod

import netCDF4
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.errors import Exit, ResultError
from hpcapp.fields import Field, Part
from hpcapp.store import reader as reader_module
from hpcapp.store.entry import Entry
from hpcapp.store.layout import create, finish, set_attributes
from hpcapp.store.reader import Saved, load_attributes, load_saved
from hpcapp.store.target import Target, cut, runs
from hpcapp.studies.compare import compare_results
from hpcapp.studies.plot import plot_result

SHAPES = st.lists(st.integers(1, 6), max_size=4).map(tuple)
DTYPES = st.sampled_from(["<f8", "<f4", "<i4", "<u2", "|i1"])


@st.composite
def boxes(draw):
    """Draw a shape and a non-empty box inside."""
    shape = draw(SHAPES)
    start = tuple(draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    return shape, Block(start, stop)


def inside(block):
    return tuple(slice(a, b) for a, b in zip(block.start, block.stop, strict=True))


@settings(deadline=None, max_examples=200)
@given(boxes(), DTYPES, st.integers(0, 100))
def test_runs_take_from_the_file_what_numpy_takes_from_the_array(box, dtype, offset):
    shape, block = box
    whole = np.arange(prod(shape)).astype(dtype).reshape(shape)
    file = bytes(offset) + whole.tobytes()
    data = bytearray(whole[inside(block)].nbytes)
    found = runs(Target(offset, shape, dtype), block)
    for at, first, length in found:
        data[first : first + length] = file[at : at + length]
    assert bytes(data) == np.ascontiguousarray(whole[inside(block)]).tobytes()
    assert sum(length for _, _, length in found) == len(data)


@settings(deadline=None, max_examples=100)
@given(boxes())
def test_runs_are_as_long_as_they_can_be(box):
    shape, block = box
    ends = [(at, at + length) for at, _, length in runs(Target(0, shape, "<f8"), block)]
    # two runs that meet would have been one, except at the ends of outer axes
    touching = [a for (_, a), (b, _) in itertools.pairwise(ends) if a == b]
    assert touching == []


def field(name, dims, dtype="float64", kind="both", distributed=False):
    return Field(name, dims, "1", f"the {name}", dtype, kind, distributed)


def round_trip(path, pairs):
    """Write replicated fields and load them."""
    create(str(path), [Entry(f, np.shape(value), value) for f, value in pairs])
    return load_saved(str(path), [f for f, _ in pairs]).values


NUMBERS = [
    *("float64", "float32", "int64", "int32", "int16", "int8"),
    *("uint64", "uint32", "uint16", "uint8"),
]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (0, 3), (2, 0)])
@pytest.mark.parametrize("kind", ["both", "state"])
def test_numbers_read_back_equal_in_every_bit(tmp_path, dtype, shape, kind):
    dims = ("a", "b")[: len(shape)]
    raw = np.random.default_rng(1).integers(0, 256, (*shape, np.dtype(dtype).itemsize))
    value = raw.astype(np.uint8).view(dtype).reshape(shape)
    got = round_trip(tmp_path / "c.nc", [(field("v", dims, dtype, kind), value)])["v"]
    assert (got.dtype, got.shape) == (value.dtype, shape)
    assert got.tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        np.array(["word", "", "ä€\U0001f600", " two words "], object),
        np.array([["a", "bc"], ["", "d"]], object),
        np.array([], object),
    ],
)
def test_texts_read_back_as_texts(tmp_path, value):
    dims = ("a", "b")[: value.ndim]
    got = round_trip(tmp_path / "c.nc", [(field("w", dims, "str"), value)])["w"]
    assert got.shape == value.shape
    assert got.tolist() == value.tolist()


def test_text_without_dimensions_reads_back(tmp_path):
    assert round_trip(tmp_path / "c.nc", [(field("w", (), "str"), "ä b")])["w"] == "ä b"


def test_open_dimension_has_the_length_of_the_data_each_time(tmp_path):
    history = field("residual", ("iteration",))
    for length in (1, 5, 2):
        value = np.arange(float(length))
        got = round_trip(tmp_path / "c.nc", [(history, value)])["residual"]
        assert got.tolist() == value.tolist()


FIELDS = (
    field("u", ("y", "x"), distributed=True),
    field("secret", ("x",), "int32", "state", distributed=True),
    field("x", ("x",), kind="result"),
    field("done", (), "int64", "state"),
)
SHAPE = (11, 6)


def written(path):
    """Lay a file out and write the distributed fields at their offsets."""
    u = np.random.default_rng(2).random(SHAPE)
    secret = np.arange(SHAPE[1], dtype=np.int32)
    x = np.linspace(0, 1, SHAPE[1])
    entries = [
        Entry(FIELDS[0], u.shape),
        Entry(FIELDS[1], secret.shape),
        Entry(FIELDS[2], x.shape, x),
        Entry(FIELDS[3], (), np.int64(42)),
    ]
    offsets = create(str(path), entries)
    assert set(offsets) == {"u", "state/secret"}
    with open(path, "r+b") as stream:
        for name, data in (("u", u), ("state/secret", secret)):
            stream.seek(offsets[name])
            stream.write(data.tobytes())
    return u, secret


@pytest.mark.parametrize("name", ["c.nc", "c.h5"])
def test_large_variables_begin_at_whole_stripes_and_small_ones_side_by_side(
    tmp_path, name
):
    # 8 MB each, and 8 kB each
    large = [field(f"u{k}", ("y", "x"), distributed=True) for k in range(2)]
    small = [field(f"v{k}", ("x",), distributed=True) for k in range(2)]
    entries = [Entry(f, (1000, 1000)) for f in large]
    entries += [Entry(f, (1000,)) for f in small]
    offsets = create(str(tmp_path / name), entries)
    assert [offsets[f.name] % (1 << 20) for f in large] == [0, 0]
    assert abs(offsets["v1"] - offsets["v0"]) < 1 << 14
    # what the library was told holds for this file alone
    with netCDF4.Dataset(tmp_path / "other.nc", "w") as file:
        file.createDimension("x", 1 << 20)
        file.createVariable("x", "f8", ("x",), contiguous=True)[:] = 1
    assert (tmp_path / "other.nc").stat().st_size < (8 << 20) + 20000


def test_what_is_written_at_the_offsets_is_what_libraries_read(tmp_path):
    u, secret = written(tmp_path / "c.nc")
    with netCDF4.Dataset(tmp_path / "c.nc") as file:
        assert (file["u"][:].data == u).all()
        assert file["u"].dimensions == ("y", "x")
        assert (file["state/secret"][:].data == secret).all()
        assert (file["u"].units, file["u"].long_name) == ("1", "the u")
        assert "_FillValue" not in file["u"].ncattrs()
    for engine in ("netcdf4", "h5netcdf"):
        with xarray.open_dataset(tmp_path / "c.nc", engine=engine) as data:
            assert (data["u"].values == u).all()
            assert set(data.variables) == {"u", "x"}


def test_saved_fields_are_loaded_and_results_are_not(tmp_path):
    written(tmp_path / "c.nc")
    saved = load_saved(str(tmp_path / "c.nc"), FIELDS)
    assert saved.values == {"done": 42}
    assert set(saved.targets) == {"u", "secret"}


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.sampled_from([8, 100, 1 << 23]))
def test_any_layout_reads_its_blocks_back(tmp_path_factory, ranks, stage):
    path = tmp_path_factory.mktemp("store") / "c.nc"
    u, _ = written(path)
    saved = load_saved(str(path), FIELDS)
    layout = Layout.choose(Domain(("y", "x"), SHAPE), ranks)
    got = np.full(SHAPE, np.nan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "STAGE", stage)
        for rank in range(layout.used):
            block = layout.block(rank)
            saved.read("u", block, got[inside(block)])
    assert (got == u).all()


def test_distributed_scalar_reads_back(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(bytes(3) + np.float64(2.5).tobytes())
    saved = Saved(str(path), {}, {}, {"s": Target(3, (), "<f8")}, {})
    out = np.zeros(())
    saved.read("s", Block((), ()), out)
    assert out == 2.5


@settings(deadline=None, max_examples=40)
@given(boxes(), st.sampled_from([8, 50, 1 << 20]), st.booleans())
def test_pieces_for_rank_0_are_small_and_make_up_the_part(box, limit, rows):
    _, block = box
    array = np.random.default_rng(3).random(block.shape)
    whole = np.full(block.stop, np.nan)
    for piece in cut(Part(block, array), limit, rows):
        assert piece.array.shape == piece.block.shape
        assert piece.array.nbytes <= max(limit, 8)
        assert np.isnan(whole[inside(piece.block)]).all()
        whole[inside(piece.block)] = piece.array
    assert (whole[inside(block)] == array).all()


def test_pieces_of_whole_rows_are_one_run_each():
    # a rank that has the whole width: 86 us a write made 19460 runs cost 1.7 s
    shape = (300, 1000)
    part = Part(Block((0, 0), shape), np.zeros(shape))
    pieces = cut(part, 1 << 19, rows=True)
    assert len(pieces) == 8
    for piece in pieces:
        assert len(runs(Target(0, shape, "<f8"), piece.block)) == 1


def test_empty_distributed_field_has_no_offset_and_loads(tmp_path):
    path = str(tmp_path / "c.nc")
    empty = field("e", ("n", "x"), distributed=True)
    assert create(path, [Entry(empty, (0, 3))]) == {}
    assert load_saved(path, [empty]).targets["e"].shape == (0, 3)


# --- damage


def refusal(call, path):
    with pytest.raises(ResultError) as caught:
        call()
    assert caught.value.code == Exit.USAGE
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_text("hello"), "file signature not found"),
        (lambda path: path.write_text(""), "file signature not found"),
    ],
)
def test_what_is_no_netcdf_file_is_refused_with_the_reason(tmp_path, make, reason):
    path = tmp_path / "c(1).nc"
    make(path)
    for load in (
        lambda: load_saved(str(path), FIELDS),
        lambda: load_attributes(str(path)),
    ):
        assert refusal(load, path) == f"cannot be opened as NetCDF-4: {reason}"


def test_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "c.nc"
    written(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 101):
        path.write_bytes(whole[:length])
        refusal(lambda: load_saved(str(path), FIELDS), path)


def test_damaged_file_is_refused_or_read_but_never_a_crash(tmp_path):
    path = tmp_path / "c.nc"
    written(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(4)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 20)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            saved = load_saved(str(path), FIELDS)
            saved.read("u", Block((0, 0), SHAPE), np.empty(SHAPE))
        except ResultError as error:
            assert str(error).startswith(str(path))
            refused += 1
    assert refused > 50


def test_data_that_end_early_are_refused(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(bytes(79))
    saved = Saved(str(path), {}, {}, {"u": Target(0, (10,), "<f8")}, {})
    saved.read("u", Block((0,), (9,)), np.empty(9))
    got = refusal(lambda: saved.read("u", Block((0,), (10,)), np.empty(10)), path)
    assert got == "ends before its data: damaged"


def test_file_without_a_field_is_refused(tmp_path):
    path = tmp_path / "c.nc"
    written(path)
    for kind, name in (("both", "other"), ("state", "state/other")):
        wanted = [field("other", (), kind=kind)]
        got = refusal(lambda wanted=wanted: load_saved(str(path), wanted), path)
        assert got == f"has no {name}: it cannot be resumed from"


# --- attributes and names


def test_attributes_read_back_whatever_their_length(tmp_path):
    path = str(tmp_path / "c.nc")
    written(path)
    attributes = {
        "text": "ä\nb",
        "empty": "",
        "long": "x" * 300_000,  # more than fits into a compact HDF5 attribute
        "whole": 3,
        "real": 2.5,
        "small": np.int32(1),
    }
    set_attributes(path, attributes, {"u": "00ff", "state/secret": "0a"})
    found = load_attributes(path)
    assert {name: found[name] for name in attributes} == attributes
    assert not any(name.startswith("_NC") for name in found)
    with netCDF4.Dataset(path) as file:
        assert file["u"].hpcapp_checksum == "00ff"
        assert file["state/secret"].hpcapp_checksum == "0a"


@pytest.mark.parametrize("number", [2, 99, "x", 1.5])
def test_file_of_a_newer_format_is_refused_by_every_reader(tmp_path, number):
    path = str(tmp_path / "c.nc")
    written(path)
    set_attributes(path, {"hpcapp_format": number}, {})
    rule = f"hpcapp_format: must be <= 1, got {number}: written by a newer hpcapp"
    for read in (
        lambda: load_attributes(path),
        lambda: load_saved(path, FIELDS),
        lambda: compare_results(path, path, None),
        lambda: plot_result(path, None),
    ):
        assert refusal(read, path) == rule
    set_attributes(path, {"hpcapp_format": 1}, {})
    assert load_saved(path, FIELDS).attributes["hpcapp_format"] == 1


def test_attributes_change_no_offset(tmp_path):
    path = str(tmp_path / "c.nc")
    written(path)
    before = load_saved(path, FIELDS).targets
    set_attributes(path, {"long": "x" * 100_000}, {"u": "00"})
    assert load_saved(path, FIELDS).targets == before


def test_file_gets_its_final_name_in_one_step(tmp_path):
    part, final = tmp_path / ".c.nc.part", tmp_path / "c.nc"
    part.write_text("new")
    final.write_text("old")
    finish(str(part), str(final))
    assert (final.read_text(), os.listdir(tmp_path)) == ("new", ["c.nc"])


def test_new_file_replaces_one_that_stands_there(tmp_path):
    path = tmp_path / "c.nc"
    path.write_text("what a kill left half-written")
    written(path)
    assert load_saved(str(path), FIELDS).values == {"done": 42}


@pytest.mark.parametrize("call", ["open", "preadv"])
def test_file_that_is_refused_when_its_data_are_read_is_named(
    tmp_path, monkeypatch, call
):
    def refuse(*_, **__):
        raise OSError(5, os.strerror(5))

    path = str(tmp_path / "c.nc")
    (tmp_path / "c.nc").write_bytes(bytes(72))
    saved = Saved(path, {}, {}, {"u": Target(0, (9,), "<f8", "u")}, {})
    place = os if call == "preadv" else reader_module
    monkeypatch.setattr(place, call, refuse, raising=False)
    with pytest.raises(ResultError) as caught:
        saved.read("u", Block((0,), (9,)), np.empty(9))
    assert str(caught.value) == f"{path}: cannot be read: Input/output error"
