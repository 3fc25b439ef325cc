# SPDX-License-Identifier: MIT
"""Laws of the run directory: what may be replaced, what is moved, what is refused."""

import os

import netCDF4
import pytest

from hpcapp.errors import ConfigError, Exit, HpcappError, RunDirectoryError
from hpcapp.failure import read_status
from hpcapp.run_directory import (
    OWN_FILES,
    clear_after,
    inspect,
    is_complete,
    take,
)
from hpcapp.status import Lock
from hpcapp.store.checkpoints import (
    checkpoint_path,
    discard,
    find_checkpoints,
    find_result,
    last_checkpoint,
    new_checkpoint,
    prune,
)


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or path.name)


def make_run(directory, *, result=True, checkpoints=0, mark="first"):
    """Lay out what a run leaves."""
    for name in ("run.yaml", "status.json", "log.txt"):
        write(directory / name, mark)
    if result:
        write(directory / "result.nc", mark)
        write(directory / "result.h5", mark)
        write(directory / "snapshots.nc", mark)
        write(directory / "trace.npz", mark)
    for number in range(1, checkpoints + 1):
        write(directory / "checkpoints" / f"checkpoint-{number:06d}.nc")
        write(directory / "checkpoints" / f"checkpoint-{number:06d}.json")
    return str(directory)


def contents(top):
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as stream:
                found[os.path.relpath(path, top)] = stream.read()
    return found


def test_new_directory_is_made_with_its_parents_and_locked(tmp_path):
    path = str(tmp_path / "a" / "b")
    assert inspect(path, force=False, resume=False) is None
    held = take(path, force=False, keep=False)
    assert (held.path, held.moved) == (path, "")
    assert held.config == f"{path}/run.yaml"
    assert held.log == f"{path}/log.txt"
    with pytest.raises(RunDirectoryError, match="in use by another run"):
        take(path, force=True, keep=False)
    held.lock.release()
    assert contents(path) == {}


def test_finished_runs_are_moved_to_numbered_directories(tmp_path):
    path = tmp_path / "run"
    for mark, target in (("first", "run.1"), ("second", "run.2"), ("third", "run.3")):
        make_run(path, mark=mark)
        held = take(str(path), force=False, keep=False)
        held.lock.release()
        assert held.moved == str(tmp_path / target)
        assert contents(path) == {}
    for number, mark in enumerate(("first", "second", "third"), start=1):
        moved = contents(tmp_path / f"run.{number}")
        assert moved == dict.fromkeys(OWN_FILES, mark)


def test_only_files_of_a_run_are_moved(tmp_path):
    path = tmp_path / "run"
    make_run(path)
    write(path / "picture.png", "mine")
    write(path / "data" / "input.txt", "mine")
    write(path / "crash-0003.json", "of the run")
    write(path / "trace.2.npz", "of an earlier start")
    take(str(path), force=False, keep=False).lock.release()
    assert contents(path) == {"picture.png": "mine", "data/input.txt": "mine"}
    moved = {*OWN_FILES, "crash-0003.json", "trace.2.npz"}
    assert set(contents(tmp_path / "run.1")) == moved


@pytest.mark.parametrize("force", [False, True])
def test_picture_of_a_result_goes_with_it(tmp_path, force):
    path = tmp_path / "run"
    make_run(path)
    write(path / "plot.png", "of the result")
    take(str(path), force=force, keep=False).lock.release()
    assert contents(path) == {}
    moved = {} if force else contents(tmp_path / "run.1")
    assert moved.get("plot.png", "") == ("" if force else "of the result")


@pytest.mark.parametrize("force", [False, True])
def test_picture_without_a_result_stays(tmp_path, force):
    write(tmp_path / "plot.png", "mine")
    take(str(tmp_path), force=force, keep=False).lock.release()
    assert contents(tmp_path) == {"plot.png": "mine"}


@pytest.mark.parametrize("spelled", ["{run}/", "{run}/.", "{run}/x/.."])
def test_name_of_the_moved_run_does_not_depend_on_how_the_path_is_spelled(
    tmp_path, spelled
):
    make_run(tmp_path / "run")
    (tmp_path / "run" / "x").mkdir()
    path = spelled.format(run=tmp_path / "run")
    held = take(path, force=False, keep=False)
    held.lock.release()
    assert held.moved == str(tmp_path / "run.1")


def test_run_in_the_working_directory_is_moved_beside_it(tmp_path, monkeypatch):
    make_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    held = take(".", force=False, keep=False)
    held.lock.release()
    assert held.moved == str(tmp_path / "run.1")
    assert os.listdir(".") == []


def test_force_replaces_a_finished_run(tmp_path):
    path = make_run(tmp_path / "run")
    assert inspect(path, force=True, resume=False) is None
    held = take(path, force=True, keep=False)
    held.lock.release()
    assert (held.moved, contents(path), os.listdir(tmp_path)) == ("", {}, ["run"])


def test_unfinished_run_with_a_checkpoint_is_refused_with_the_resume_command(tmp_path):
    path = make_run(tmp_path / "run", result=False, checkpoints=2)
    before = contents(tmp_path)
    for call in (
        lambda: inspect(path, force=False, resume=False),
        lambda: take(path, force=False, keep=False),
    ):
        with pytest.raises(RunDirectoryError) as caught:
            call()
        assert str(caught.value) == (
            f"{path}: holds an unfinished run with a checkpoint; go on with: "
            f"hpcapp resume {path} (or start anew with --force, or choose another "
            "directory with --output)"
        )
        assert caught.value.code == Exit.USAGE
    assert contents(tmp_path) == before


def test_resume_command_can_be_pasted_into_a_shell(tmp_path):
    path = make_run(tmp_path / "my run", result=False, checkpoints=1)
    with pytest.raises(RunDirectoryError) as caught:
        inspect(path, force=False, resume=False)
    assert f"hpcapp resume '{path}' (or start anew" in str(caught.value)


def test_force_replaces_an_unfinished_run(tmp_path):
    path = make_run(tmp_path / "run", result=False, checkpoints=2)
    write(tmp_path / "run" / "checkpoints" / ".checkpoint-000003.nc.part")
    assert inspect(path, force=True, resume=False) is None
    take(path, force=True, keep=False).lock.release()
    assert os.listdir(path) == []


def test_resume_goes_on_from_the_newest_checkpoint_and_leaves_everything(tmp_path):
    path = make_run(tmp_path / "run", result=False, checkpoints=3)
    before = contents(path)
    newest = inspect(path, force=False, resume=True)
    assert newest == checkpoint_path(path, 3)
    take(path, force=False, keep=True).lock.release()
    assert contents(path) == before


def test_resume_removes_what_a_failure_left(tmp_path):
    path = make_run(tmp_path / "run", result=False, checkpoints=1)
    before = contents(path)
    names = ("crash-rank3.json", "crash-rank3.json.77.part", "status.json.77.part")
    names += (".stall-0123-n7.part", ".result.nc.part", "run.yaml.part")
    names += (".probe-x1_9.part",)
    for name in names:
        write(tmp_path / "run" / name, "gone")
    take(path, force=False, keep=True).lock.release()
    assert contents(path) == before


def killed_after_its_result(directory, config="the same"):
    """Lay out what a kill leaves between the result and the end of its run."""
    make_run(directory, result=False, checkpoints=2)
    write(directory / "run.yaml", "the same")
    write(directory / "status.json", '{"state": "failed", "error": "killed"}')
    write(directory / "crash-rank0.json")
    with netCDF4.Dataset(directory / "result.nc", "w") as file:
        file.setncatts({"hpcapp_config": config, "hpcapp_state": "finished"})
    return str(directory)


def test_run_that_was_killed_after_its_result_is_moved_as_a_finished_one(tmp_path):
    path = killed_after_its_result(tmp_path / "run")
    assert is_complete(path)
    assert inspect(path, force=False, resume=False) is None
    held = take(path, force=False, keep=False)
    held.lock.release()
    assert held.moved == f"{path}.1"
    assert os.listdir(path) == []
    assert sorted(os.listdir(held.moved)) == [
        *("log.txt", "result.nc", "run.yaml", "status.json")
    ]
    assert read_status(held.moved)["state"] == "finished"
    assert "error" not in read_status(held.moved)


def test_run_that_was_killed_while_it_extended_its_result_is_unfinished(tmp_path):
    path = killed_after_its_result(tmp_path / "run", "fewer samples")
    assert not is_complete(path)
    with pytest.raises(RunDirectoryError, match="holds an unfinished run"):
        take(path, force=False, keep=False)
    assert sorted(os.listdir(tmp_path)) == ["run"]


def test_what_is_no_result_completes_no_run(tmp_path):
    path = make_run(tmp_path / "run")
    assert not is_complete(path)
    assert not is_complete(str(tmp_path))


def test_resume_starts_where_there_is_no_checkpoint(tmp_path):
    assert inspect(str(tmp_path / "none"), force=False, resume=True) is None


def test_run_that_died_before_its_first_checkpoint_is_replaced(tmp_path):
    path = make_run(tmp_path / "run", result=False)
    for name in (".result.nc.part", "status.json.part", "run.yaml.part"):
        write(tmp_path / "run" / name)
    held = take(path, force=False, keep=False)
    held.lock.release()
    assert (held.moved, contents(path)) == ("", {})


def test_result_that_is_not_a_run_s_is_refused(tmp_path):
    write(tmp_path / "result.nc", "mine")
    for call in (
        lambda: inspect(str(tmp_path), force=False, resume=False),
        lambda: take(str(tmp_path), force=False, keep=False),
    ):
        with pytest.raises(RunDirectoryError) as caught:
            call()
        assert str(caught.value) == (
            f"{tmp_path}: holds a result.nc but no run.yaml: not a run of hpcapp; "
            "choose another directory with --output, or replace it with --force"
        )
    assert contents(tmp_path) == {"result.nc": "mine"}
    assert inspect(str(tmp_path), force=True, resume=False) is None


def test_file_in_place_of_the_directory_is_refused(tmp_path):
    path = str(tmp_path / "file")
    write(tmp_path / "file", "mine")
    with pytest.raises(ConfigError) as caught:
        inspect(path, force=True, resume=True)
    assert str(caught.value) == f"output.directory: must be a directory, got {path}"
    assert contents(tmp_path) == {"file": "mine"}


def test_directory_that_cannot_be_made_is_refused(tmp_path):
    write(tmp_path / "file")
    path = str(tmp_path / "file" / "run")
    with pytest.raises(ConfigError) as caught:
        take(path, force=False, keep=False)
    rule = "output.directory: cannot be written"
    assert str(caught.value) == f"{rule}: {path}: Not a directory"


def test_older_run_that_cannot_be_moved_is_left_and_the_directory_let_go(tmp_path):
    # one character less than a name may have: there is no room for the number
    path = make_run(tmp_path / ("r" * 254))
    before = contents(tmp_path)
    with pytest.raises(ConfigError) as caught:
        take(path, force=False, keep=False)
    assert str(caught.value) == (
        f"output.directory: the older run there cannot be cleared away: {path}: "
        "File name too long"
    )
    assert contents(tmp_path) == before
    Lock(path).release()


# --- checkpoints by number


def test_checkpoints_are_found_newest_first_and_strangers_are_not(tmp_path):
    numbers = [9, 10, 999_999, 1_000_000, 1]
    for number in numbers:
        write(tmp_path / "checkpoints" / f"checkpoint-{number:06d}.nc")
    for name in (
        ".checkpoint-000011.nc.part",
        "checkpoint-12.nc",
        "checkpoint-000013.txt",
    ):
        write(tmp_path / "checkpoints" / name)
    found = find_checkpoints(str(tmp_path))
    assert [number for number, _ in found] == sorted(numbers, reverse=True)
    assert all(path == checkpoint_path(str(tmp_path), number) for number, path in found)


def test_nothing_is_found_where_there_is_no_folder(tmp_path):
    write(tmp_path / "checkpoints", "a file")
    assert find_checkpoints(str(tmp_path)) == []
    assert find_checkpoints(str(tmp_path / "none")) == []


def test_next_checkpoint_has_the_next_number_and_a_folder(tmp_path):
    assert new_checkpoint(str(tmp_path)) == checkpoint_path(str(tmp_path), 1)
    assert (tmp_path / "checkpoints").is_dir()
    make_run(tmp_path, checkpoints=3)
    prune(str(tmp_path), 1)
    assert new_checkpoint(str(tmp_path)) == checkpoint_path(str(tmp_path), 4)


def test_folder_of_checkpoints_that_cannot_be_made_is_named(tmp_path):
    write(tmp_path / "checkpoints", "a file")
    with pytest.raises(HpcappError) as caught:
        new_checkpoint(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}/checkpoints: no checkpoint can be written there: File exists"
    )


def test_folder_of_checkpoints_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = make_run(tmp_path / "run", result=False, checkpoints=1)

    def refuse(folder):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "listdir", refuse)
    for call in (
        lambda: find_checkpoints(path),
        lambda: new_checkpoint(path),
        lambda: prune(path, 1),
        lambda: inspect(path, force=False, resume=True),
        lambda: take(path, force=False, keep=False),
    ):
        with pytest.raises(HpcappError) as caught:
            call()
        assert str(caught.value) == (
            f"{path}/checkpoints: cannot be read: Permission denied"
        )
    assert last_checkpoint(path) is None
    Lock(path).release()


def refuse(path):
    os.stat(path)
    raise PermissionError(13, "Permission denied", path)


def test_checkpoint_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    path = make_run(tmp_path, checkpoints=2)
    write(tmp_path / "checkpoints" / ".checkpoint-000003.nc.part")
    monkeypatch.setattr(os, "unlink", refuse)
    names = ["checkpoint-000001.json", ".checkpoint-000003.nc.part"]
    calls = [lambda: discard(checkpoint_path(path, 1)), lambda: prune(path, 1)]
    calls.append(lambda: prune(path, 2))
    for name, call in zip([names[0], *names], calls, strict=True):
        with pytest.raises(HpcappError) as caught:
            call()
        assert str(caught.value) == (
            f"{path}/checkpoints/{name}: cannot be removed: Permission denied"
        )


@pytest.mark.parametrize("old", ["result.h5", "checkpoints/checkpoint-000001.json"])
def test_what_cannot_be_removed_beside_a_result_is_told(tmp_path, monkeypatch, old):
    write(tmp_path / "result.nc")
    write(tmp_path / old)
    monkeypatch.setattr(os, "unlink", refuse)
    assert clear_after(str(tmp_path / "result.nc")) == (
        f"{tmp_path}/{old}: cannot be removed: Permission denied"
    )


def test_directory_that_cannot_be_cleared_for_a_resume_is_let_go(tmp_path):
    path = make_run(tmp_path / "run", checkpoints=1)
    # a folder cannot be removed as a file, whoever we are
    (tmp_path / "run" / "crash-rank1.json").mkdir()
    with pytest.raises(ConfigError) as caught:
        take(path, force=False, keep=True)
    assert "the older run there cannot be cleared away" in str(caught.value)
    Lock(path).release()


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_newest_checkpoints_are_kept(tmp_path, keep):
    make_run(tmp_path, checkpoints=4)
    prune(str(tmp_path), keep)
    kept = [number for number, _ in find_checkpoints(str(tmp_path))]
    assert kept == [4, 3, 2, 1][:keep]


def test_no_checkpoints_kept_removes_the_folder_but_no_file_of_the_user(tmp_path):
    make_run(tmp_path, checkpoints=2)
    prune(str(tmp_path), 0)
    assert not (tmp_path / "checkpoints").exists()
    make_run(tmp_path, checkpoints=2)
    write(tmp_path / "checkpoints" / "notes.txt", "mine")
    prune(str(tmp_path), 0)
    assert contents(tmp_path / "checkpoints") == {"notes.txt": "mine"}


@pytest.mark.parametrize("name", ["log.txt", "run.yaml"])
def test_a_file_of_the_users_own_is_not_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunDirectoryError, match=f"holds a {name} that is not a run's"):
        inspect(str(tmp_path), force=False, resume=False)
    with pytest.raises(RunDirectoryError, match="would be overwritten"):
        take(str(tmp_path), force=False, keep=False)
    assert (tmp_path / name).read_text() == "mine"


def test_result_is_found_in_any_format_and_a_new_one_replaces_the_other(tmp_path):
    assert find_result(str(tmp_path)) == ""
    for old, new in (("result.nc", "result.h5"), ("result.h5", "result.nc")):
        write(tmp_path / old)
        assert find_result(str(tmp_path)) == str(tmp_path / old)
        write(tmp_path / new)
        assert clear_after(str(tmp_path / new)) == ""
        assert find_result(str(tmp_path)) == str(tmp_path / new)
        assert not (tmp_path / old).exists()
