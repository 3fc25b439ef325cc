# SPDX-License-Identifier: MIT
"""Laws of devices: threads, their number, and where compiled code is kept."""

import os
import stat
import threading

import pytest

from hpcapp.device import (
    Device,
    cache_fault,
    cache_locked,
    cores,
    kernel_state,
    prepare_cache,
    share_threads,
)
from hpcapp.errors import ConfigError


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("calls", [0, 1, 2, 7])
def test_launch_returns_what_each_call_returned_in_order(threads, calls):
    device = Device(threads)
    arguments = [(k, 10) for k in range(calls)]
    assert device.launch(lambda k, n: k * n, arguments) == [
        10 * k for k in range(calls)
    ]
    device.close()


def test_as_many_calls_run_at_once_as_there_are_threads():
    device = Device(3)
    together = threading.Barrier(3, timeout=20)
    device.launch(lambda _: together.wait(), [(k,) for k in range(3)])
    device.close()


def test_one_thread_calls_in_place():
    device = Device(1)
    names = device.launch(lambda _: threading.current_thread(), [(1,), (2,)])
    assert set(names) == {threading.current_thread()}
    device.close()


@pytest.mark.parametrize("failing", [0, 1])
def test_error_of_a_kernel_reaches_the_caller(failing):
    device = Device(2)
    with pytest.raises(ZeroDivisionError):
        device.launch(lambda k: 1 // (k - failing), [(0,), (1,)])
    device.close()


def test_closed_device_has_no_threads_left():
    before = threading.active_count()
    device = Device(4)
    device.launch(lambda: None, [()] * 4)
    device.close()
    device.close()
    assert threading.active_count() == before


def test_cores_are_those_of_the_mask():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no masks")
    assert set(cores()) == os.sched_getaffinity(0)
    assert list(cores()) == sorted(cores())


@pytest.mark.parametrize(
    ("wanted", "masks", "threads"),
    [
        (3, [("a", (0,))], 3),
        ("auto", [("a", (0, 1, 2, 3))], 4),
        ("auto", [("a", (0, 1, 2, 3))] * 2, 2),
        ("auto", [("a", (0, 1, 2, 3))] * 3, 1),
        ("auto", [("a", (0, 1))] * 16, 1),
        ("auto", [("a", (0, 1)), ("b", (0, 1))], 2),
        ("auto", [("a", (0, 1)), ("a", (2, 3))], 2),
    ],
)
def test_auto_shares_the_cores_of_a_mask_among_its_ranks(wanted, masks, threads):
    assert share_threads(wanted, masks, 0) == threads


def test_cache_that_is_set_is_left_alone():
    environ = {"NUMBA_CACHE_DIR": "/x", "HPCAPP_CACHE": "/y"}
    assert prepare_cache(environ) == environ["NUMBA_CACHE_DIR"] == "/x"


@pytest.mark.parametrize("mode", [0o700, 0o775, 0o777])
def test_cache_is_a_folder_of_the_user_alone_inside_the_one_that_is_named(
    tmp_path, mode
):
    base = tmp_path / "cache"
    base.mkdir()
    base.chmod(mode)
    environ = {"HPCAPP_CACHE": str(base)}
    folder = prepare_cache(environ)
    private = base / f"hpcapp-{os.getuid()}"
    assert (
        folder == environ["NUMBA_CACHE_DIR"] == str(private / f"numba-{kernel_state()}")
    )
    before = os.umask(0o002)
    try:
        # the second time it is there
        assert [cache_fault(environ) for _ in range(2)] == ["", ""]
    finally:
        os.umask(before)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE(base.stat().st_mode) == mode


def test_cache_base_may_be_a_link_and_need_not_exist(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "there").mkdir()
    for base in ("link", "a/b"):
        environ = {"HPCAPP_CACHE": str(tmp_path / base)}
        prepare_cache(environ)
        assert cache_fault(environ) == ""


def test_cache_lies_in_the_job_s_own_folder_where_there_is_one(tmp_path):
    folder = prepare_cache({"SLURM_TMPDIR": str(tmp_path)})
    assert folder == str(tmp_path / f"hpcapp-{os.getuid()}" / f"numba-{kernel_state()}")


def refused_cache(base):
    environ = {"HPCAPP_CACHE": str(base)}
    folder = prepare_cache(environ)
    message = cache_fault(environ)
    start = f"HPCAPP_CACHE: compiled kernels cannot be kept in {folder}: "
    end = "; set HPCAPP_CACHE to a folder on a disk of the node in which you may write"
    assert message.startswith(start) and message.endswith(end), message
    return message[len(start) : -len(end)]


def test_cache_that_others_could_have_written_is_refused(tmp_path, monkeypatch):
    private = tmp_path / f"hpcapp-{os.getuid()}"
    private.mkdir()
    for mode in (0o775, 0o757):
        private.chmod(mode)
        reason = f"{private} is writable by others (mode {mode:o})"
        assert refused_cache(tmp_path) == reason
    private.rmdir()
    private.symlink_to(tmp_path)
    assert refused_cache(tmp_path) == f"{private} is no folder"
    private.unlink()
    (tmp_path / "file").write_text("")
    assert refused_cache(tmp_path / "file" / "inside") == "Not a directory"
    # someone else was here first
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    (tmp_path / f"hpcapp-{other}").mkdir(0o700)
    reason = f"{tmp_path}/hpcapp-{other} belongs to user {other - 1}"
    assert refused_cache(tmp_path) == reason


def test_cache_that_can_be_written_to_is_made(tmp_path):
    environ = {"NUMBA_CACHE_DIR": str(tmp_path / "a" / "b")}
    assert cache_fault(environ) == ""
    with cache_locked(environ):
        pass
    assert cache_fault({}) == ""


def test_cache_that_cannot_be_written_to_is_refused_with_the_variable(tmp_path):
    (tmp_path / "file").write_text("")
    environ = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "x")}
    message = (
        "NUMBA_CACHE_DIR: must be a folder where compiled kernels can be kept, got "
        f"{tmp_path}/file/x: Not a directory; correct it, or unset it to use the "
        "temporary folder"
    )
    assert cache_fault(environ) == message
    with pytest.raises(ConfigError) as caught, cache_locked(environ):
        pass
    assert str(caught.value) == message
