# SPDX-License-Identifier: MIT
"""Snapshots: which fields are kept, and what cannot be written or removed."""

import os

import pytest

from hpcapp.decomposition import Domain
from hpcapp.errors import Exit, HpcappError
from hpcapp.fields import Field
from hpcapp.snapshots import _make_folder
from hpcapp.store.snapshots import (
    clear_snapshots,
    find_snapshots,
    snapshot_fields,
    snapshot_path,
)


def test_fields_that_are_whole_at_each_step_are_kept():
    both = {"kind": "both"}
    fields = [
        Field("u", ("y", "x"), "1", "u", distributed=True, **both),
        Field("residual", (), "1", "r", **both),
        Field("x", ("x",), "1", "x"),
        Field("history", ("iteration",), "1", "grows", **both),
        Field("name", (), "1", "text", "str", **both),
        Field("rows", ("y", "x"), "1", "rows", distributed=True, partial=True, **both),
        Field("secret", ("y", "x"), "1", "s", kind="state", distributed=True),
    ]
    kept = snapshot_fields(fields, Domain(("y", "x"), (3, 4)))
    assert [field.name for field in kept] == ["u", "residual"]


def test_snapshots_are_found_in_order_and_cleared(tmp_path):
    folder = tmp_path / "snapshots"
    assert find_snapshots(str(tmp_path)) == []
    for number in (12, 4, 1000000):
        path = snapshot_path(str(tmp_path), number)
        _make_folder(path)
        open(path, "w").close()
    (folder / ".snapshot-000016.nc.part").touch()
    assert [number for number, _ in find_snapshots(str(tmp_path))] == [4, 12, 1000000]
    clear_snapshots(str(tmp_path))
    assert not folder.exists()
    clear_snapshots(str(tmp_path))


def test_a_place_without_rights_is_told(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, os.strerror(13))

    (tmp_path / "snapshots").mkdir()
    monkeypatch.setattr("hpcapp.store.snapshots.shutil.rmtree", refuse)
    with pytest.raises(HpcappError) as caught:
        clear_snapshots(str(tmp_path))
    message = f"{tmp_path}/snapshots: cannot be removed: Permission denied"
    assert str(caught.value) == message
    (tmp_path / "snapshots").rmdir()
    monkeypatch.setattr("hpcapp.snapshots.os.mkdir", refuse)
    with pytest.raises(HpcappError) as caught:
        _make_folder(f"{tmp_path}/snapshots/snapshot-000002.nc")
    assert caught.value.code == Exit.FAILED
    assert str(caught.value) == (
        f"{tmp_path}/snapshots: no snapshot can be written there: Permission denied"
    )


def test_a_directory_that_vanished_is_not_made_again(tmp_path):
    with pytest.raises(HpcappError) as caught:
        _make_folder(f"{tmp_path}/gone/snapshots/snapshot-000002.nc")
    assert caught.value.code == Exit.FAILED
    assert str(caught.value) == (
        f"{tmp_path}/gone/snapshots: no snapshot can be written there: No such file or "
        "directory"
    )
    assert not (tmp_path / "gone").exists()
