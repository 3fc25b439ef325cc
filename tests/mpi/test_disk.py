# SPDX-License-Identifier: MIT
"""Laws of a disk that refuses: one clear error on all ranks, and nothing is lost."""

import builtins
import errno
import os

import netCDF4
import numpy as np
import pytest

from hpcapp.decomposition import Domain, Layout
from hpcapp.errors import HpcappError
from hpcapp.store.checkpoints import discard, find_checkpoints, new_checkpoint, prune
from hpcapp.store.manifest import check
from hpcapp.store.save import Job, save
from hpcapp.workload import Field, Part, State

pytestmark = pytest.mark.mpi

FIELDS = (
    Field("u", ("y", "x"), "1", "values", kind="both", distributed=True),
    Field("history", ("n",), "1", "replicated", kind="both"),
)
REASONS = {
    errno.ENOSPC: "No space left on device",
    errno.EACCES: "Permission denied",
    errno.EROFS: "Read-only file system",
    errno.ENOENT: "No such file or directory",
}


def write(comm, folder, writer, finished):
    """Write a checkpoint or a result; return its path."""
    layout = Layout.choose(Domain(("y", "x"), (9, 7)), comm.size)
    block = layout.block(comm.rank)
    parts = [] if block.empty else [Part(block, np.ones(block.shape))]
    path = str(folder / "result.nc")
    if not finished:
        path = comm.on_root(lambda: new_checkpoint(str(folder)))
    state = State({"u": parts, "history": np.arange(3.0)})
    job = Job(path, FIELDS, layout.domain, writer, lambda clocks: {}, finished)
    save(comm, job, state)
    return path


class Refusal:
    """Let the call of a number fail, of all those that touch files."""

    def __init__(self, monkeypatch, code):
        self.calls, self.at, self.code = 0, None, code
        for name in ("fsync", "replace", "pwrite", "open"):
            monkeypatch.setattr(os, name, self.wrapped(getattr(os, name)))
        monkeypatch.setattr(builtins, "open", self.wrapped(open))
        monkeypatch.setattr(netCDF4, "Dataset", self.wrapped(netCDF4.Dataset))

    def wrapped(self, function):
        def call(*arguments, **named):
            if self.at is not None:
                self.calls += 1
                if self.calls == self.at:
                    raise OSError(self.code, os.strerror(self.code))
            return function(*arguments, **named)

        return call


@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize("finished", [False, True])
def test_every_refusal_is_an_error_on_all_ranks_and_harms_nothing(
    comm, folder, monkeypatch, code, finished
):
    before = write(comm, folder, "gather", finished)
    assert finished or check(comm, before) == ""
    refusal = Refusal(monkeypatch, code) if comm.root else None
    refused = at = 0
    while True:
        at += 1
        if refusal:
            refusal.calls, refusal.at = 0, at
        try:
            after = write(comm, folder, "gather", finished)
        except HpcappError as error:
            assert REASONS[code] in str(error)
            assert str(folder) in str(error)
            refused += 1
        else:
            if comm.broadcast(refusal is not None and refusal.calls < at):
                break
            # only a wish, such as to have pages written early, was refused
            assert finished or check(comm, after) == ""
            if not finished and comm.root:
                discard(after)
                os.unlink(after)
        finally:
            if refusal:
                refusal.at = None
            comm.barrier()
        # a result is the old one or, if only its folder could not be synced, the new
        with netCDF4.Dataset(before) as file:
            assert (file["u"][:].data == 1).all()
        assert finished or check(comm, before) == ""
        parts = [name for name in os.listdir(os.path.dirname(before)) if ".nc." in name]
        assert parts == []
        if not finished:
            # nothing of the checkpoint that was refused
            names = os.listdir(os.path.dirname(before))
            assert sorted(names) == ["checkpoint-000001.json", "checkpoint-000001.nc"]
        comm.barrier()
    # laid out, read for offsets, written, synced, described, synced, renamed, ...
    assert refused >= (8 if finished else 12)
    assert finished or check(comm, after) == ""
    if not finished and comm.root:
        prune(str(folder), 1)
        assert [path for _, path in find_checkpoints(str(folder))] == [after]
    comm.barrier()


def test_hdf5_that_runs_out_of_space_is_an_error_for_the_user(
    comm, folder, monkeypatch
):
    def fail(*arguments, **named):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(netCDF4, "Dataset", fail)
    with pytest.raises(HpcappError, match=r"cannot be written: NetCDF: HDF error"):
        write(comm, folder, "gather", True)
    assert os.listdir(folder) == []
    comm.barrier()


def test_a_directory_that_is_gone_is_named(comm, folder):
    with pytest.raises(HpcappError) as caught:
        layout = Layout.choose(Domain(("y", "x"), (9, 7)), comm.size)
        path = str(folder / "gone" / "c.nc")
        job = Job(path, FIELDS[1:], layout.domain, "direct", lambda clocks: {})
        save(comm, job, State({"history": np.arange(3.0)}))
    assert str(caught.value) == (
        f"{folder}/gone/.c.nc.part: cannot be written: No such file or directory"
    )
