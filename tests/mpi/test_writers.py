# SPDX-License-Identifier: MIT
"""What each writer can and cannot do: the table of docs/io.md."""

import re
import sys
import tracemalloc
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
from mpi4py import MPI

from hpcapp.checksum import checksum_array
from hpcapp.config import Output
from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.fields import Field, Part, State
from hpcapp.store.collective import missing
from hpcapp.store.entry import Entry
from hpcapp.store.layout import create
from hpcapp.store.reader import load_saved
from hpcapp.store.save import Job, save
from hpcapp.store.target import Target
from hpcapp.store.writers import PACKING, WRITERS, check_writer, choose_writer

pytestmark = pytest.mark.mpi

HERE = [writer for writer in WRITERS if not missing(writer)]
SHAPE = (300, 700)


def smooth():
    """Return values that compress well, in chunks of which several ranks write."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.round(np.sin(y / 50) * np.cos(x / 70), 2)


def write(comm, path, writer, compression=0, kind="both"):
    """Write a field of which each rank has a block; return its checksum."""
    block = Layout.choose(Domain(("y", "x"), SHAPE), comm.size).block(comm.rank)
    ends = zip(block.start, block.stop, strict=True)
    inner = smooth()[tuple(slice(a, b) for a, b in ends)]
    fields = [Field("u", ("y", "x"), "1", "values", kind=kind, distributed=True)]
    job = Job(
        str(path),
        fields,
        Domain(("y", "x"), SHAPE),
        writer,
        lambda clocks: {},
        compression=compression,
    )
    return save(comm, job, State({"u": [Part(block, inner)]})), fields


@pytest.mark.parametrize("writer", [w for w in HERE if w in PACKING])
def test_compressed_files_hold_the_same_data_in_less_space(comm, folder, writer):
    plain, _ = write(comm, folder / "plain.nc", "gather")
    packed, fields = write(comm, folder / "packed.nc", writer, 4)
    assert packed == plain
    path = folder / "packed.nc"
    with h5py.File(path) as file:
        assert (file["u"][()] == smooth()).all()
        assert (file["u"].compression, file["u"].compression_opts) == ("gzip", 4)
        assert file["u"].shuffle
        assert np.prod(file["u"].chunks) * 8 <= 1 << 20
        assert file["u"].attrs["hpcapp_checksum"].decode() == (
            f"{checksum_array(smooth()):016x}"
        )
    assert path.stat().st_size < 0.5 * (folder / "plain.nc").stat().st_size
    with netCDF4.Dataset(path) as file:
        assert (file["u"][:] == smooth()).all()
    # any rank goes on from any block of it
    saved = load_saved(str(path), fields)
    out = np.empty((40, 90))[3:37, 5:71]
    saved.read("u", Block((101, 333), (135, 399)), out)
    assert (out == smooth()[101:135, 333:399]).all()
    comm.barrier()


@pytest.mark.parametrize("writer", HERE)
def test_files_of_all_writers_differ_in_nothing_but_the_writer(comm, folder, writer):
    write(comm, folder / "gather.nc", "gather")
    write(comm, folder / "other.nc", writer)
    if comm.root:
        with (
            h5py.File(folder / "gather.nc") as one,
            h5py.File(folder / "other.nc") as two,
        ):
            assert list(one) == list(two)
            for name in one:
                assert one[name].dtype == two[name].dtype
                assert one[name].chunks == two[name].chunks
                assert (one[name][()] == two[name][()]).all()
                assert sorted(one[name].attrs) == sorted(two[name].attrs)
    comm.barrier()


@pytest.mark.parametrize("writer", HERE)
@pytest.mark.parametrize("compression", [0, 3])
def test_plain_hdf5_is_made_without_netcdf_and_holds_the_same(
    comm, folder, monkeypatch, writer, compression
):
    if compression and writer not in PACKING:
        return
    plain, _ = write(comm, folder / "plain.nc", "gather")
    if comm.root and writer != "netcdf":
        monkeypatch.setitem(sys.modules, "netCDF4", None)
    found, fields = write(comm, folder / "result.h5", writer, compression)
    assert found == plain
    monkeypatch.undo()
    if comm.root:
        check_same_layout(folder / "plain.nc", folder / "result.h5", compression)
        assert load_saved(str(folder / "result.h5"), fields).shape("u") == SHAPE
    comm.barrier()


def check_same_layout(one, two, compression):
    """Compare dimensions, attributes and data as the NetCDF library sees them."""
    with netCDF4.Dataset(one) as a, netCDF4.Dataset(two) as b:
        assert {n: len(d) for n, d in a.dimensions.items()} == {
            n: len(d) for n, d in b.dimensions.items()
        }
        assert list(a.variables) == list(b.variables)
        for name, variable in a.variables.items():
            assert variable.dimensions == b[name].dimensions
            assert variable.__dict__ == b[name].__dict__
            assert (variable[:] == b[name][:]).all()
        assert a.__dict__ == b.__dict__
        assert b["u"].filters()["zlib"] is bool(compression)


MIB = 1 << 20
# beside the blocks, on rank 0 and on others, as docs/io.md says; a block is 16 MiB
EXTRA = {
    "direct": (2 * MIB, 2 * MIB),
    "hdf5": (16 * MIB, 16 * MIB),
    "netcdf": (16 * MIB, 16 * MIB),
    "gather": (40 * MIB, 8 * MIB),
}


@pytest.mark.parametrize("writer", HERE)
def test_memory_beside_the_blocks_is_bounded(comm, folder, writer):
    # a block of 2048 rows of 1024 doubles on each rank, inside of a margin
    shape = (2048 * comm.size, 1024)
    block = Block((2048 * comm.rank, 0), (2048 * (comm.rank + 1), 1024))
    inner = np.ones((2050, 1026))[1:-1, 1:-1]
    field = Field("u", ("y", "x"), "1", "values", distributed=True)
    path = str(folder / "large.nc")
    offsets = comm.on_root(lambda: create(path, [Entry(field, shape)]))
    target = Target(offsets["u"], shape, "float64", "u")
    # what the first call imports does not count
    for measured in (False, True):
        if measured:
            tracemalloc.start()
        WRITERS[writer](comm, path, [(target, [Part(block, inner)])])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= EXTRA[writer][0 if comm.root else 1] + MIB / 2
    with h5py.File(path) as file:
        assert (file["u"][:: max(1, shape[0] // 64)] == 1).all()
    comm.barrier()


@pytest.mark.parametrize("writer", HERE)
def test_variables_may_be_larger_than_4_gb_and_no_dimension_is_unlimited(
    comm, folder, writer
):
    # 5.7 GB of which nothing but the last rows is ever written: a hole on the disk
    shape = (700_000, 1024)
    row = shape[0] - 1 - comm.rank
    part = Part(Block((row, 0), (row + 1, 1024)), np.full((1, 1024), row + 0.5))
    field = Field("u", ("y", "x"), "1", "values", distributed=True)
    path = str(folder / "large.nc")
    offsets = comm.on_root(lambda: create(path, [Entry(field, shape)]))
    target = Target(offsets["u"], shape, "float64", "u")
    WRITERS[writer](comm, path, [(target, [part])])
    if comm.root:
        with netCDF4.Dataset(path) as file:
            assert not any(d.isunlimited() for d in file.dimensions.values())
            last = file["u"][-comm.size :, :]
        expected = np.arange(shape[0] - comm.size, shape[0]) + 0.5
        assert (last == expected[:, np.newaxis]).all()
    comm.barrier()


def test_gather_alone_needs_no_mpi_io(comm, folder, monkeypatch):
    class NoFiles:
        """Stands for an MPI without I/O, or a file system that it knows not."""

        @staticmethod
        def Open(*_arguments):  # noqa: N802
            raise MPI.Exception(MPI.ERR_UNSUPPORTED_OPERATION)

    monkeypatch.setattr(MPI, "File", NoFiles)
    write(comm, folder / "gather.nc", "gather")
    with pytest.raises(HpcappError, match=r"direct\.nc: cannot be written: .*MPI-IO"):
        write(comm, folder / "direct.nc", "direct")
    comm.barrier()
    assert not (folder / "direct.nc").exists()
    with h5py.File(folder / "gather.nc") as file:
        assert (file["u"][()] == smooth()).all()
    comm.barrier()


def test_direct_refuses_what_lies_at_no_offset(comm, folder):
    with pytest.raises(ValueError, match=r"packed\.nc\.part: u: lies at no one offset"):
        write(comm, folder / "packed.nc", "direct", 4)


def test_a_writer_that_the_environment_lacks_is_refused_with_the_way_to_it(
    comm, monkeypatch
):
    for name, library in (("hdf5", "h5py"), ("netcdf", "netCDF4")):
        output = Output(writer=name)
        if name in HERE:
            check_writer(output)
            continue
        with pytest.raises(ConfigError) as caught:
            check_writer(output)
        assert re.fullmatch(
            rf"output.writer: needs {library} built with MPI, and {library} [\d.]+\S* "
            "here is not; launch/parallel-io makes an environment that has it; direct "
            "and gather work everywhere",
            str(caught.value),
        )
    with pytest.raises(ConfigError) as caught:
        check_writer(Output(writer="direct", compression=3))
    assert str(caught.value) == (
        "output.compression: must be 0 with the writer direct, which writes bytes at "
        "an offset, got 3; writers that compress: hdf5, netcdf, gather"
    )


def test_auto_says_what_it_took_for_compression_and_why(comm, folder):
    if comm.size == 1:
        assert choose_writer(comm, "auto", str(folder), 1)[0] == "gather"
        return
    writer, reason = choose_writer(comm, "auto", str(folder), 1)
    if "hdf5" in HERE:
        assert writer == "hdf5"
        assert reason == "MPI-IO works there, and compression needs the library"
    else:
        assert writer == "gather"
        assert re.match(r"compression on all ranks needs h5py built with MPI", reason)


def test_the_table_of_the_docs_names_every_writer(comm, root):
    text = Path(root, "docs", "io.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| compression"))
    head = next(line for line in text.splitlines() if line.startswith("| writer"))
    columns = [cell.strip(" `") for cell in head.strip("| ").split("|")]
    found = [cell.strip() for cell in row.strip("| ").split("|")]
    cells = dict(zip(columns, found, strict=True))
    assert {w for w in WRITERS if cells[w].startswith("yes")} == set(PACKING)
