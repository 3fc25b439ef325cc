# SPDX-License-Identifier: MIT
"""Layouts that only `laplace` has, and its extension, against an undisturbed run."""

import pytest
from harness import ROOT, load, run

from hpcapp.errors import ConfigError, Exit

pytestmark = pytest.mark.mpi

CONFIGS = [
    ROOT / "configs/small/laplace.yaml",
    ROOT / "configs/small/laplace-jacobi.yaml",
]
EACH = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def folder(world, folder):
    """Return the folder with an undisturbed run of each configuration."""
    alone = world.split(0 if world.root else None)
    if alone:
        for config in CONFIGS:
            run(alone, config, folder / config.stem)
    world.barrier()
    return folder


def run_on(world, size, config, target, settings, resume=False):
    """Run on the first ranks."""
    comm = world.split(0 if world.rank < size else None)
    if comm:
        outcome, _ = run(comm, config, target, settings, resume=resume)
        assert outcome.code == Exit.DONE
    world.barrier()


@EACH
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8])
def test_any_halo_depth(world, folder, config, depth):
    for size in (3, 7):
        if size <= world.size:
            target = folder / f"{config.stem}-depth-{depth}-{size}"
            run_on(world, size, config, target, [f"parameters.halo_depth={depth}"])
            if world.root:
                assert load(target) == load(folder / config.stem)
    world.barrier()


@EACH
@pytest.mark.parametrize(
    "grid",
    [(1, 2), (2, 1), (4, 1), (2, 2), (3, 1), (1, 7), (7, 1), (2, 3), (3, 2)],
)
def test_any_process_grid(world, folder, config, grid):
    size = grid[0] * grid[1]
    if size > world.size:
        pytest.skip(f"needs {size} ranks, there are {world.size}")
    target = folder / f"{config.stem}-grid-{grid[0]}x{grid[1]}"
    settings = [f"run.process_grid=[{grid[0]}, {grid[1]}]"]
    run_on(world, size, config, target, settings)
    if world.root:
        assert load(target) == load(folder / config.stem)
    world.barrier()


@pytest.mark.parametrize("shape", ["[3, 3]", "[3, 40]", "[9, 4]"])
@pytest.mark.parametrize("method", ["jacobi", "sor"])
def test_more_ranks_than_rows(world, folder, shape, method):
    settings = [f"parameters.shape={shape}", f"parameters.method={method}"]
    name = f"tiny-{method}-{shape[1:-1].replace(', ', 'x')}"
    config = CONFIGS[0]
    run_on(world, 1, config, folder / name, settings)
    run_on(world, world.size, config, folder / f"{name}-all", settings)
    if world.root:
        assert load(folder / f"{name}-all") == load(folder / name)
    world.barrier()


@EACH
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_with_deep_halos(world, folder, config, threads):
    size = min(4, world.size)
    target = folder / f"{config.stem}-threads-{threads}"
    settings = [f"run.threads={threads}", "parameters.halo_depth=3"]
    run_on(world, size, config, target, settings)
    if world.root:
        assert load(target) == load(folder / config.stem)
    world.barrier()


def test_extension_equals_one_long_run(world, folder):
    config = CONFIGS[1]
    target = folder / "extended"
    # 70 is no multiple of check_every: the residual there is not in the long run
    run_on(world, min(3, world.size), config, target, ["parameters.max_iterations=70"])
    settings = ["parameters.max_iterations=300"]
    run_on(world, min(2, world.size), config, target, settings, resume=True)
    if world.root:
        assert load(target) == load(folder / config.stem)
    world.barrier()


def test_a_changed_problem_is_refused_on_resumption(world, folder):
    config = CONFIGS[1]
    with pytest.raises(ConfigError, match=r"parameters\.shape: must not change .* was"):
        run(
            world,
            config,
            folder / config.stem,
            ["parameters.shape=[33, 66]"],
            resume=True,
        )
    with pytest.raises(
        ConfigError, match=r"parameters\.boundary\.top: must not change"
    ):
        run(
            world,
            config,
            folder / config.stem,
            ["parameters.boundary.top=1"],
            resume=True,
        )
