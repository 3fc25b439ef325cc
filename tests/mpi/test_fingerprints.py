# SPDX-License-Identifier: MIT
"""Files are known by the SHA-256 that everybody else gets, on any number of ranks."""

import os

import pytest

from hpcapp.store import fingerprints as module
from hpcapp.store.fingerprints import fingerprints

pytestmark = pytest.mark.mpi

# examples of FIPS 180-2, appendix B, and the digest of nothing
KNOWN = {
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
}


def test_every_file_has_the_known_digest_in_the_order_given(comm, folder, monkeypatch):
    # files of several pieces
    monkeypatch.setattr(module, "PIECE", 7)
    expected = []
    for number in range(7):
        data, digest = list(KNOWN.items())[number % 3]
        path = folder / f"{number}"
        if comm.root:
            path.write_bytes(data)
            os.utime(path, ns=(0, 10**18 + number))
        facts = {"path": str(path), "bytes": len(data), "changed": 10**18 + number}
        expected.append({**facts, "sha256": digest})
    comm.barrier()
    assert fingerprints(comm, [entry["path"] for entry in expected]) == expected
    comm.barrier()


def test_file_that_has_not_changed_since_is_not_read_again(comm, folder):
    path = folder / "abc"
    if comm.root:
        path.write_bytes(b"abc")
    comm.barrier()
    (before,) = fingerprints(comm, [str(path)])
    known = [{**before, "sha256": "as it was"}]
    assert fingerprints(comm, [str(path)], known) == known
    comm.barrier()
    if comm.root:
        os.utime(path, ns=(0, 0))
    comm.barrier()
    (after,) = fingerprints(comm, [str(path)], known)
    assert after == {**before, "changed": 0}
    comm.barrier()


def test_file_that_is_gone_is_said_to_be(comm, folder):
    path = str(folder / "gone")
    found = fingerprints(comm, [path])
    assert found == [{"path": path, "fault": "No such file or directory"}]
    assert fingerprints(comm, []) == []
