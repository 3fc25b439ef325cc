# SPDX-License-Identifier: MIT
"""Laws of a checkpoint's manifest: no damage to any byte passes, on any ranks."""

import json
import os

import numpy as np
import pytest

from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.errors import ResultError
from hpcapp.store import bands as bands_module
from hpcapp.store import manifest as manifest_module
from hpcapp.store.checkpoints import manifest_path
from hpcapp.store.manifest import check
from hpcapp.store.save import Job, save
from hpcapp.workload import Field, Part, State

pytestmark = pytest.mark.mpi

SHAPE = (23, 9)
U = np.random.default_rng(5).random(SHAPE)
FIELDS = (
    Field("u", ("y", "x"), "1", "values", kind="both", distributed=True),
    Field("known", ("y",), "1", "rows", "int8", "state", True, partial=True),
    Field("history", ("n",), "1", "replicated", kind="both"),
)


@pytest.fixture
def checkpoint(comm, folder, monkeypatch):
    """Return a checkpoint of bands of two rows, some points of which nobody holds."""
    monkeypatch.setattr(bands_module, "BAND", 150)
    path = str(folder / "c.nc")
    layout = Layout.choose(Domain(("y", "x"), SHAPE), comm.size)
    block = layout.block(comm.rank)
    inside = tuple(slice(a, b) for a, b in zip(block.start, block.stop, strict=True))
    row = 2 * comm.rank + 1
    known = [Part(Block((row,), (row + 1,)), np.full(1, 7, np.int8))]
    state = State(
        {
            "u": [Part(block, U[inside])] if not block.empty else [],
            "known": known if row < SHAPE[0] else [],
            "history": np.arange(5.0),
        }
    )
    job = Job(path, FIELDS, layout.domain, "gather", lambda clocks: {"n": 1}, False)
    save(comm, job, state)
    yield path
    comm.barrier()


def change(comm, path, data):
    """Let rank 0 replace the bytes of a file."""
    if comm.root:
        with open(path, "wb") as stream:
            stream.write(data)
    comm.barrier()


def faults(comm, path, name, versions):
    """Return what is said of the checkpoint for each version of one of its files."""
    with open(name, "rb") as stream:
        whole = stream.read()
    comm.barrier()
    found = []
    for version in versions(whole):
        change(comm, name, version)
        fault = check(comm, path)
        assert comm.all(fault) == [fault] * comm.size
        found.append(fault)
    change(comm, name, whole)
    assert check(comm, path) == ""
    return found


def test_checkpoint_as_written_is_whole(comm, checkpoint):
    assert check(comm, checkpoint) == ""


def test_checksums_are_those_of_the_rows_of_the_whole_array(comm, checkpoint):
    with open(manifest_path(checkpoint)) as stream:
        table = json.load(stream)["tables"]["u"]
    assert len(table["sums"]) == 12
    for number, text in enumerate(table["sums"]):
        numbers = range(18 * number, min(18 * number + 18, U.size))
        bits = U.reshape(-1).view(np.uint64).tolist()
        terms = (mix64(bits[i] + 0x9E3779B97F4A7C15 * (i + 1)) for i in numbers)
        assert int(text, 16) == sum(terms) % 2**64


def mix64(z):
    """Return the finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    z %= 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_every_flipped_bit_is_noticed(comm, checkpoint):
    places = []

    def flipped(whole):
        for at in range(0, len(whole), 113):
            places.append(at)
            data = bytearray(whole)
            data[at] ^= 1 << (at % 8)
            yield bytes(data)

    found = faults(comm, checkpoint, checkpoint, flipped)
    assert len(found) > 60
    assert all(found), [at for at, f in zip(places, found, strict=True) if not f]
    texts = set(found)
    assert "its header or its small variables have changed" in texts
    assert "u: the values from index [0, 0] to [1, 8] have changed" in texts


def test_every_truncation_is_noticed(comm, checkpoint):
    found = faults(
        comm,
        checkpoint,
        checkpoint,
        lambda whole: (whole[:n] for n in range(0, len(whole), 611)),
    )
    assert all(" bytes instead of " in fault for fault in found)


def test_rows_that_never_arrived_are_noticed(comm, checkpoint):
    def torn(whole):
        at = whole.index(U.tobytes())
        for row in range(SHAPE[0]):
            start, stop = at + 72 * row, at + 72 * row + 72
            yield whole[:start] + bytes(72) + whole[stop:]

    assert all(faults(comm, checkpoint, checkpoint, torn))


def test_damage_to_the_manifest_is_noticed(comm, checkpoint):
    name = manifest_path(checkpoint)

    def damaged(whole):
        yield b""
        yield b"[]"
        yield b"\xff"
        for at in range(0, len(whole) - 1, 47):
            yield whole[:at]
            if whole[at : at + 1].isdigit():
                digit = b"1" if whole[at : at + 1] != b"1" else b"2"
                yield whole[:at] + digit + whole[at + 1 :]

    found = faults(comm, checkpoint, name, damaged)
    assert set(found) == {"its manifest is damaged"}


@pytest.mark.parametrize("gone", ["c.json", "c.nc"])
def test_checkpoint_without_one_of_its_files_was_not_completed(comm, checkpoint, gone):
    if comm.root:
        os.unlink(os.path.join(os.path.dirname(checkpoint), gone))
    fault = check(comm, checkpoint)
    assert fault == f"{gone} is missing: it was not completed"


def test_manifest_of_a_newer_format_is_refused(comm, checkpoint, monkeypatch):
    monkeypatch.setattr(manifest_module, "FORMAT", 0)
    with pytest.raises(ResultError) as caught:
        check(comm, checkpoint)
    assert str(caught.value) == (
        f"{manifest_path(checkpoint)}: format: must be <= 0, got 1: written by a newer "
        "hpcapp"
    )
