# SPDX-License-Identifier: MIT
"""Writers: blocks of any shape on any rank arrive where they belong."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from hpcapp.checksum import checksum_array
from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.errors import HpcappError, RunDirectoryError
from hpcapp.fields import Field, Part, State
from hpcapp.mpi import files as module
from hpcapp.mpi.files import blind_ranks, probe
from hpcapp.mpi.world import host
from hpcapp.store.collective import missing
from hpcapp.store.reader import load_saved
from hpcapp.store.save import Job, save
from hpcapp.store.writers import WRITERS, choose_writer

pytestmark = pytest.mark.mpi

# the others are tested where the libraries were built with MPI: launch/parallel-io
HERE = [writer for writer in sorted(WRITERS) if not missing(writer)]


def whole(shape, dtype):
    """Return an array with a different value at each point."""
    return (np.arange(np.prod(shape)) * 7 % 251).reshape(shape).astype(dtype)


def cut(array, block):
    """Return a block as a view into a larger array, as a halo leaves it."""
    inner = array[
        tuple(slice(a, b) for a, b in zip(block.start, block.stop, strict=True))
    ]
    padded = np.zeros([n + 2 for n in inner.shape], array.dtype)
    view = padded[(slice(1, -1),) * inner.ndim]
    view[...] = inner
    return Part(block, view)


def blocks_of(kind, comm, shape):
    """Return this rank's blocks: one, bands of rows, or scattered tiles."""
    if kind == "block":
        layout = Layout.choose(
            Domain(("a", "b", "c", "d")[: len(shape)], shape), comm.size
        )
        return [layout.block(comm.rank)]
    step = (3,) if kind == "bands" else (3, 4)
    step = (*step, *shape[len(step) :])
    tiles = [
        Block(
            tuple(i * s for i, s in zip(index, step, strict=True)),
            tuple(
                min((i + 1) * s, n) for i, s, n in zip(index, step, shape, strict=True)
            ),
        )
        for index in np.ndindex(*(-(-n // s) for n, s in zip(shape, step, strict=True)))
    ]
    # the last rank gets nothing when there are several: a writer must bear that
    owners = max(1, comm.size - 1)
    return [t for i, t in enumerate(tiles) if i % owners == comm.rank]


@pytest.mark.parametrize("writer", HERE)
@pytest.mark.parametrize("kind", ["block", "bands", "tiles"])
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_every_part_arrives(comm, folder, writer, kind, dtype):
    shape = (29, 31)
    data, small = whole(shape, dtype), whole((5, 7, 6), "int8")
    fields = [
        Field("u", ("y", "x"), "m", "values", dtype, distributed=True, kind="both"),
        Field("v", ("k", "j", "i"), "1", "bytes", "int8", distributed=True),
        Field("w", ("y", "x"), "1", "saved only", distributed=True, kind="state"),
        Field("name", ("k",), "", "text", "str"),
        Field("s", (), "K", "scalar", kind="both"),
        Field("nothing", ("zero",), "1", "of no length"),
    ]
    state = State(
        {
            "u": [cut(data, block) for block in blocks_of(kind, comm, shape)],
            "v": [cut(small, b) for b in blocks_of("block", comm, small.shape)],
            "w": [cut(data.astype(float), b) for b in blocks_of("block", comm, shape)],
            "name": np.array(["ä", "b", "", "d", "e"], object),
            "s": np.float64(2.5),
            "nothing": np.empty(0),
        }
    )
    path = str(folder / "file.nc")
    job = Job(
        path,
        fields,
        Domain(("y", "x"), shape),
        writer,
        lambda clocks: {"n": len(clocks)},
    )
    save(comm, job, state)
    with h5py.File(path) as file:
        assert np.array_equal(file["u"][()], data)
        assert file["u"].dtype == np.dtype(dtype)
        assert np.array_equal(file["v"][()], small)
        assert np.array_equal(file["state/w"][()], data)
        assert file["name"][0].decode() == "ä"
        assert file["nothing"].shape == (0,)
        assert file.attrs["n"] == comm.size
        assert (
            file["u"].attrs["hpcapp_checksum"].decode()
            == f"{checksum_array(data):016x}"
        )
    assert not list(folder.glob(".*"))
    saved = load_saved(path, fields)
    block = Block((3, 2), (17, 29))
    out = np.empty((20, 40), dtype)[3:17, 5:32]
    saved.read("u", block, out)
    assert np.array_equal(out, data[3:17, 2:29])
    assert saved.values["s"] == 2.5
    comm.barrier()


def test_writers_agree_on_the_checksum_of_everything(comm, folder):
    shape = (17, 19)
    data = whole(shape, "float64")
    fields = [Field("u", ("y", "x"), "1", "values", distributed=True)]
    sums = set()
    for writer in HERE:
        for kind in ("block", "bands"):
            parts = [cut(data, block) for block in blocks_of(kind, comm, shape)]
            job = Job(
                str(folder / f"{writer}-{kind}.nc"),
                fields,
                Domain(("y", "x"), shape),
                writer,
                lambda clocks: {},
            )
            sums.add(save(comm, job, State({"u": parts})))
    assert len(sums) == 1


def bands(rank, rows, width, forgotten=(), twice=()):
    """Return the parts of a rank: bands of three rows that begin at these."""
    starts = [row for row in rows if row not in forgotten]
    starts += [row for row in rows if row in twice]
    return [
        Part(Block((row, 0), (row + 3, width)), np.full((3, width), rank + 1.0))
        for row in starts
    ]


@pytest.mark.parametrize("writer", HERE)
@pytest.mark.parametrize(
    ("forgotten", "twice", "found"),
    [([6], [], 105), ([], [6], 135), ([3, 6], [0], 105)],
)
@pytest.mark.parametrize("dims", [("y", "x"), ("band", "x")])
def test_parts_that_do_not_make_up_a_field_are_refused(
    comm, folder, writer, forgotten, twice, found, dims
):
    # 24 rows of 5 points in bands of 3 rows, dealt out in turn; an open dimension
    # is as long as the farthest part reaches
    rows = range(3 * comm.rank, 24, 3 * comm.size)
    fields = [
        Field("good", ("y", "x"), "1", "whole", distributed=True),
        Field("poor", dims, "1", "with gaps", kind="both", distributed=True),
    ]
    state = State(
        {
            "good": bands(comm.rank, rows, 5),
            "poor": bands(comm.rank, rows, 5, forgotten, twice),
        }
    )
    path = str(folder / "file.nc")
    job = Job(path, fields, Domain(("y", "x"), (24, 5)), writer, lambda clocks: {})
    with pytest.raises(HpcappError) as caught:
        save(comm, job, state)
    assert str(caught.value) == (
        f"{path}: poor: the parts of all ranks must hold each of its 120 points once, "
        f"got {found}; a defect of the workload: it must set state['poor'] to parts "
        "that tile the field"
    )
    assert not (folder / "file.nc").exists()
    state["poor"] = bands(comm.rank, rows, 5)
    save(comm, job, state)
    comm.barrier()


@pytest.mark.parametrize("writer", HERE)
def test_lists_stand_in_the_order_of_ranks_and_are_read_by_any(comm, folder, writer):
    field = Field(
        *("entry", ("entry",), "1", "entries", "int64", "state"),
        distributed=True,
        listed=True,
    )
    # rank r holds r entries in one part and two in another; rank 1 holds nothing
    sizes = [(0, 0) if rank == 1 else (rank, 2) for rank in range(comm.size)]
    parts, count = [], 0
    for size in sizes[comm.rank]:
        values = 100 * comm.rank + np.arange(count, count + size)
        parts.append(Part(Block((count,), (count + size,)), values))
        count += size
    path = str(folder / f"{writer}.nc")
    job = Job(path, [field], Domain(("y",), (3,)), writer, lambda clocks: {}, False)
    save(comm, job, State({"entry": parts}))
    expected = [
        100 * rank + k for rank, pair in enumerate(sizes) for k in range(sum(pair))
    ]
    saved = comm.on_root(lambda: load_saved(path, [field]))
    state = State(saved.values, saved)
    assert state.length("entry") == len(expected)
    found = np.empty(len(expected), np.int64)
    assert state.read("entry", Block((0,), (found.size,)), found)
    assert found.tolist() == expected
    assert State().length("entry") == 0
    comm.barrier()


@pytest.mark.parametrize("finished", [False, True])
def test_only_a_checkpoint_may_lack_points_and_only_where_the_field_says(
    comm, folder, finished
):
    rows = 3 * comm.size
    shape = (rows, 4)
    # the first band of rank 0 is missing
    parts = bands(comm.rank, [3 * comm.rank], 4, forgotten=(0,))
    for partial in (False, True):
        field = Field(
            "u", ("y", "x"), "1", "u", kind="both", distributed=True, partial=partial
        )
        path = str(folder / f"{finished}-{partial}.nc")
        domain = Domain(("y", "x"), shape)
        job = Job(path, [field], domain, "gather", lambda clocks: {}, finished)
        if partial and not finished:
            save(comm, job, State({"u": parts}))
        else:
            with pytest.raises(HpcappError, match=r"must hold each of its"):
                save(comm, job, State({"u": parts}))
    comm.barrier()


def test_large_parts_go_in_pieces(comm, folder, monkeypatch):
    monkeypatch.setattr("hpcapp.mpi.files.STAGE", 1000)
    monkeypatch.setattr("hpcapp.store.writers.PIECE", 1000)
    monkeypatch.setattr("hpcapp.store.collective.PIECE", 1000)
    shape = (40, 300)
    data = whole(shape, "float64")
    for writer in HERE:
        parts = [cut(data, block) for block in blocks_of("block", comm, shape)]
        path = str(folder / f"{writer}.nc")
        fields = [Field("u", ("y", "x"), "1", "values", distributed=True)]
        job = Job(path, fields, Domain(("y", "x"), shape), writer, lambda clocks: {})
        save(comm, job, State({"u": parts}))
        with h5py.File(path) as file:
            assert np.array_equal(file["u"][()], data)
        comm.barrier()


@pytest.mark.parametrize("shape", [(29, 31), (5, 7, 16), (3, 2, 5, 6)])
@pytest.mark.parametrize("kind", ["block", "tiles"])
@pytest.mark.parametrize("stage", [1, 40, 400])
def test_pieces_may_end_within_rows_and_planes(
    comm, folder, monkeypatch, shape, kind, stage
):
    # bytes: less than an element, than a row, than a plane
    monkeypatch.setattr("hpcapp.mpi.files.STAGE", stage)
    # the disk is told after every piece
    monkeypatch.setattr("hpcapp.writeback.SHARE", 1)
    data = whole(shape, "float64")
    parts = [cut(data, block) for block in blocks_of(kind, comm, shape)]
    dims = ("k", "z", "y", "x")[-len(shape) :]
    fields = [Field("u", dims, "1", "values", distributed=True)]
    path = str(folder / "file.nc")
    job = Job(path, fields, Domain(dims, shape), "direct", lambda clocks: {})
    save(comm, job, State({"u": parts}))
    with h5py.File(path) as file:
        assert np.array_equal(file["u"][()], data)
    comm.barrier()


def test_probe_accepts_a_good_folder_and_names_a_missing_one(comm, folder):
    assert probe(comm, str(folder)) == ""
    assert "No such file" in probe(comm, str(folder / "missing"))


def test_what_a_probe_that_is_killed_leaves_is_known_as_a_leftover(folder):
    path = Path(module._create(str(folder))[0])
    # what a run directory is cleared of; each rank looks for its own
    assert path in folder.glob(".*.part")
    path.unlink()


def test_auto_chooses_direct_where_it_works_and_gather_where_not(
    comm, folder, monkeypatch
):
    writer, reason = choose_writer(comm, "auto", str(folder))
    assert writer == ("direct" if comm.size > 1 else "gather")
    assert reason
    if comm.size > 1:
        monkeypatch.setattr("hpcapp.mpi.files.probe", lambda *_: "no locks")
        writer, reason = choose_writer(comm, "auto", str(folder))
        assert writer == "gather"
        assert reason == "MPI-IO does not work there: no locks"


@pytest.mark.parametrize("writer", ["auto", "direct", "gather"])
def test_a_directory_that_ranks_do_not_share_is_refused_on_all(comm, folder, writer):
    if comm.size == 1:
        pytest.skip("one rank sees what it writes")
    # as a relative path does in different working directories
    mine = folder / ("a" if comm.rank < comm.size - 1 else "b")
    mine.mkdir(exist_ok=True)
    last = comm.size - 1
    with pytest.raises(RunDirectoryError) as caught:
        choose_writer(comm, writer, str(mine))
    assert str(caught.value) == (
        f"{mine}: must be one directory for all ranks, but what rank 0 on {host()} "
        f"({folder}/a) writes is not seen by rank {last} on {host()} ({folder}/b); use "
        "a file system that all nodes share, and an absolute path where ranks start "
        "in different folders"
    )
    with pytest.raises(RunDirectoryError) as caught:
        choose_writer(comm, writer, str(folder / "missing"))
    reason = "No such file or directory"
    assert str(caught.value) == f"{folder}/missing: cannot be written to: {reason}"
    comm.barrier()
    assert not list(mine.iterdir())


def test_blind_ranks_are_all_told(comm, folder):
    blind, fault = blind_ranks(comm, str(folder if comm.root else folder / "none"))
    assert (blind, fault) == (tuple(range(1, comm.size)), "")
    assert blind_ranks(comm, str(folder)) == ((), "")
    assert blind_ranks(comm, str(folder / "x")) == ((), "No such file or directory")


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_that_cannot_write_is_named_on_all_ranks(
    comm, folder, monkeypatch, rank
):
    broken = rank % comm.size

    def refuse(*_arguments):
        raise MPI.Exception(MPI.ERR_NO_SPACE)

    if comm.rank == broken:
        monkeypatch.setattr("hpcapp.mpi.files.SharedFile._write_part", refuse)
    assert f"rank {broken}: " in probe(comm, str(folder))
    block = blocks_of("bands", comm, (3 * comm.size, 4))
    job = Job(
        str(folder / "file.nc"),
        [Field("u", ("y", "x"), "1", "values", distributed=True)],
        Domain(("y", "x"), (3 * comm.size, 4)),
        "direct",
        lambda clocks: {},
    )
    data = whole((3 * comm.size, 4), "float64")
    state = State({"u": [cut(data, b) for b in block]})
    if comm.size > 1 and not comm.all(bool(block))[broken]:
        pytest.skip("the rank that fails has nothing to write")
    message = rf"file.nc: cannot be written: .* rank {broken}"
    with pytest.raises(HpcappError, match=message):
        save(comm, job, state)
    assert not (folder / "file.nc").exists()
    comm.barrier()
