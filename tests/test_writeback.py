# SPDX-License-Identifier: MIT
"""The disk is told of every byte, in shares; where that cannot be, nothing happens."""

import os

import pytest

from hpcapp import writeback
from hpcapp.writeback import Writeback

SHARE = writeback.SHARE

pytestmark = pytest.mark.skipif(
    not hasattr(os, "posix_fadvise"), reason="this system takes no such advice"
)


@pytest.fixture
def told(monkeypatch):
    """Return the ranges that the system is told of, with what they are for."""
    found = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *advice: found.append(advice))
    return found


def test_shares_cover_what_was_written_and_no_call_is_made_for_less(tmp_path, told):
    path = tmp_path / "file"
    path.touch()
    watched = Writeback(str(path))
    third = SHARE // 3 + 1
    for k in range(7):
        watched.wrote(k * third, (k + 1) * third, third)
    watched.close()
    advice = os.POSIX_FADV_DONTNEED
    assert told == [(0, 3 * third, advice), (3 * third, 3 * third, advice)]


def test_rows_among_those_of_others_are_told_of_from_the_first_to_the_last(
    tmp_path, told
):
    path = tmp_path / "file"
    path.touch()
    watched = Writeback(str(path))
    # backwards, half of each range is another rank's
    watched.wrote(4 * SHARE, 5 * SHARE, SHARE // 2)
    watched.wrote(2 * SHARE, 3 * SHARE, SHARE // 2)
    watched.close()
    assert told == [(2 * SHARE, 3 * SHARE, os.POSIX_FADV_DONTNEED)]


def test_what_is_on_its_way_to_the_disk_can_be_read(tmp_path):
    path = tmp_path / "file"
    data = os.urandom(SHARE)
    path.write_bytes(data)
    watched = Writeback(str(path))
    watched.wrote(0, SHARE, SHARE)
    assert path.read_bytes() == data
    watched.close()


def test_advice_that_nobody_takes_is_no_error(tmp_path, monkeypatch):
    def refuse(*_advice):
        raise OSError("not here")

    for path in (tmp_path / "missing", tmp_path / "there"):
        monkeypatch.setattr(os, "posix_fadvise", refuse)
        watched = Writeback(str(path))
        watched.wrote(0, SHARE, SHARE)
        watched.close()
        (tmp_path / "there").touch()
    monkeypatch.delattr(os, "posix_fadvise")
    watched = Writeback(str(path))
    watched.wrote(0, SHARE, SHARE)
    watched.close()
