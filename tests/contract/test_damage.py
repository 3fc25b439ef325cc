# SPDX-License-Identifier: MIT
"""Laws of going on after damage: the newest whole checkpoint is used, with a word."""

import os
import shutil

import pytest
from harness import ROOT, load, run

from hpcapp.errors import Exit, ResultError
from hpcapp.log import Log
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
