# SPDX-License-Identifier: MIT
"""Laws of going on after damage: the newest whole checkpoint is used, with a word."""

import os
import shutil

import h5py
import pytest
from harness import ROOT, load, run

from hpcapp.errors import Exit, ResultError
from hpcapp.log import Log
from hpcapp.problem import read_problem
from hpcapp.store.checkpoints import find_checkpoints

pytestmark = pytest.mark.mpi

CONFIGS = [
    ROOT / "tests/own/quadrature.yaml",
    ROOT / "configs/small/laplace.yaml",
    ROOT / "configs/small/mandelbrot-dynamic.yaml",
]
EACH = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def stopped(world, folder):
    """Return a run with two checkpoints, and an undisturbed one."""
    known = {}

    def get(config):
        if config not in known:
            known[config] = folder / config.stem, folder / f"{config.stem}-straight"
            run(world, config, known[config][1])
            run(world, config, known[config][0], stop_at=0)
            run(world, config, known[config][0], stop_at=0, resume=True)
            assert len(find_checkpoints(known[config][0])) == 2
        return known[config]

    return get


class Listener(Log):
    """Remember warnings."""

    def __init__(self):
        super().__init__(True, -1)
        self.heard = []

    def warn(self, text):
        self.heard.append(text)


def damage(path, how):
    """Spoil a file, or a part of it."""
    size = os.path.getsize(path)
    if how == "truncated":
        os.truncate(path, size // 2)
    elif how == "empty":
        os.truncate(path, 0)
    elif how == "removed":
        os.unlink(path)
    else:
        with open(path, "r+b") as stream:
            stream.seek(size * how // 100)
            byte = stream.read(1)[0]
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte ^ 4]))


def copy_of(world, stopped, tmp):
    if world.root:
        shutil.rmtree(tmp, ignore_errors=True)
        shutil.copytree(stopped, tmp)
    world.barrier()
    found = find_checkpoints(tmp)
    world.barrier()
    return found


@EACH
@pytest.mark.parametrize("how", [0, 37, 99, "truncated", "removed"])
@pytest.mark.parametrize("suffix", [".nc", ".json"])
def test_the_one_before_a_damaged_checkpoint_is_used(
    world, folder, stopped, config, how, suffix
):
    source, straight = stopped(config)
    target = folder / "damaged"
    (_, newest), (_, before) = copy_of(world, source, target)
    if world.root:
        damage(newest.removesuffix(".nc") + suffix, how)
    world.barrier()
    log = Listener() if world.root else Log(False)
    # on fewer ranks than wrote it
    comm = world.split(0 if world.rank < max(1, world.size - 1) else None)
    if comm:
        outcome, _ = run(comm, config, target, resume=True, log=log)
        assert outcome.code == Exit.DONE
    if world.root:
        (warning,) = log.heard
        assert warning.startswith(f"{newest}: damaged: ")
        assert warning.endswith("; looking for the one before it")
        assert before
        assert load(target) == load(straight)
        assert not (target / "checkpoints").exists()
    world.barrier()


def test_nothing_whole_is_an_error_and_nothing_is_touched(world, folder, stopped):
    config = CONFIGS[0]
    source, _ = stopped(config)
    target = folder / "lost"
    found = copy_of(world, source, target)
    if world.root:
        for _, path in found:
            damage(path, 50)
    world.barrier()
    before = sorted((p, p.stat().st_mtime_ns) for p in target.rglob("*"))
    world.barrier()
    with pytest.raises(ResultError) as caught:
        run(world, config, target, resume=True)
    assert str(caught.value) == (
        f"{target}: has no checkpoint that is whole; start the run again, with --force"
    )
    # the first rank gives the lock back
    world.barrier()
    assert sorted((p, p.stat().st_mtime_ns) for p in target.rglob("*")) == before
    world.barrier()


def test_a_damaged_checkpoint_does_not_count_among_those_kept(world, folder, stopped):
    config = CONFIGS[0]
    source, straight = stopped(config)
    target = folder / "kept"
    (_, newest), (_, before) = copy_of(world, source, target)
    if world.root:
        damage(newest, 50)
    world.barrier()
    outcome, _ = run(world, config, target, stop_at=0, resume=True)
    assert outcome.code == Exit.STOPPED
    world.barrier()
    # the one that it went on from stays beside the new one
    paths = [path for _, path in find_checkpoints(target)]
    assert before in paths
    assert newest not in paths
    assert len(paths) == 2
    world.barrier()
    run(world, config, target, resume=True)
    if world.root:
        assert load(target) == load(straight)
    world.barrier()


# --- extending a result

MORE = {
    "laplace": ["parameters.tolerance=1e-11"],
    "montecarlo-walk": ["parameters.samples=50000"],
    "words": ["parameters.inputs=[data/corpus/t*.txt, data/corpus/one.txt]"],
}


@pytest.fixture(scope="module")
def finished(world, folder):
    """Return a run that has ended, by the name of its configuration and settings."""
    known = {}

    def get(name, *settings):
        if (name, settings) not in known:
            target = folder / f"finished-{len(known)}"
            config = ROOT / "configs" / "small" / f"{name}.yaml"
            outcome, _ = run(world, config, target, settings)
            assert outcome.code == Exit.DONE
            known[name, settings] = target
        return known[name, settings]

    return get


def places(path):
    """Return name, offset and bytes of each variable of a result but texts."""
    found = []
    with h5py.File(path) as file:

        def visit(name, item):
            if not isinstance(item, h5py.Dataset) or item.dtype.kind == "O":
                return
            if "hpcapp_checksum" not in item.attrs:
                return
            if item.chunks and item.size:
                chunk = item.id.get_chunk_info(0)
                found.append((name, chunk.byte_offset, chunk.size))
            elif item.id.get_offset() is not None and item.nbytes:
                found.append((name, item.id.get_offset(), item.nbytes))

        file.visititems(visit)
    return found


def refusal_of(world, config, target, settings):
    """Return what all ranks say of an extension, after which nothing has changed."""
    before = sorted((p, p.stat().st_mtime_ns) for p in target.rglob("*"))
    world.barrier()
    with pytest.raises(ResultError) as caught:
        run(world, config, target, settings, resume=True)
    assert world.all(str(caught.value)) == [str(caught.value)] * world.size
    assert sorted((p, p.stat().st_mtime_ns) for p in target.rglob("*")) == before
    world.barrier()
    return str(caught.value)


@pytest.mark.parametrize("name", MORE)
def test_a_damaged_result_is_not_extended(world, folder, finished, name):
    source = finished(name)
    result = source / "result.nc"
    saved = {f.name for f in fields_of(source) if f.saved}
    wanted = [place for place in places(result) if place[0].split("/")[-1] in saved]
    assert wanted
    world.barrier()
    for variable, offset, size in wanted[:: -(-len(wanted) // 3)]:
        target = folder / "spoilt"
        copy_of(world, source, target)
        if world.root:
            flip(target / "result.nc", offset + size - 1)
        world.barrier()
        said = refusal_of(world, None, target, MORE[name])
        assert said == (
            f"{target}/result.nc: damaged: {variable.split('/')[-1]}: its values are "
            "not those that were written; it cannot be gone on from: start the run "
            "again, with --force"
        )


def test_a_damaged_compressed_result_is_not_extended(world, folder, finished):
    source = finished("laplace", "output.compression=4")
    (place,) = [place for place in places(source / "result.nc") if place[0] == "u"]
    target = folder / "spoilt"
    copy_of(world, source, target)
    if world.root:
        flip(target / "result.nc", place[1] + place[2] // 2)
    world.barrier()
    said = refusal_of(world, None, target, MORE["laplace"])
    assert said.startswith(f"{target}/result.nc: damaged: u: ")


def test_a_result_without_checksums_is_not_extended(world, folder, finished):
    target = folder / "spoilt"
    copy_of(world, finished("laplace"), target)
    if world.root:
        with h5py.File(target / "result.nc", "a") as file:
            del file["u"].attrs["hpcapp_checksum"]
    world.barrier()
    said = refusal_of(world, None, target, MORE["laplace"])
    assert "result.nc: damaged: u: its values are not those that were written" in said


def test_a_whole_result_is_extended(world, folder, finished):
    target = folder / "whole"
    copy_of(world, finished("laplace"), target)
    outcome, _ = run(world, None, target, MORE["laplace"], resume=True)
    assert outcome.code == Exit.DONE


def fields_of(directory):
    return read_problem(str(directory / "run.yaml")).workload.fields()


def flip(path, at):
    """Flip a bit of a byte."""
    with open(path, "r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 16]))
