# SPDX-License-Identifier: MIT
"""The laws that every workload keeps, on every configuration that is small.

They run on up to 16 ranks; one start covers the smaller counts by splitting.
"""

import json
import shutil
import subprocess
import warnings
from importlib.util import find_spec
from math import prod

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
from harness import CONFIGS, load, run, split_sizes

import hpcapp
from hpcapp.discovery import workload_names
from hpcapp.errors import ConfigError, Exit
from hpcapp.problem import read_problem
from hpcapp.store.collective import missing
from hpcapp.store.snapshots import find_snapshots, snapshot_fields
from hpcapp.store.sums import checksum_value
from hpcapp.store.writers import WRITERS
from hpcapp.studies.validation import validate

pytestmark = pytest.mark.mpi

EACH = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def straight(world, folder):
    """Return the data of an undisturbed run on one rank, and its number of yields."""
    known = {}

    def get(config):
        if config not in known:
            alone = world.split(0 if world.root else None)
            outcome = None
            if alone:
                outcome = run(alone, config, folder / f"{config.stem}-straight")[1]
            known[config] = world.broadcast(outcome)
            world.barrier()
        return folder / f"{config.stem}-straight", known[config]

    return get


def check_equal(a, b):
    """Compare two results bit by bit, naming the variables that differ."""
    first, second = load(a), load(b)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_every_workload_has_a_small_configuration():
    covered = {read_problem(str(path)).config.workload for path in CONFIGS}
    assert set(workload_names()) <= covered


@EACH
def test_same_bits_on_any_number_of_ranks(world, folder, straight, config):
    reference, _ = straight(config)
    for sizes in side_by_side([16, 7, 4, 3, 2], world.size):
        comm, number = split_sizes(world, sizes)
        if comm:
            target = folder / f"{config.stem}-{sizes[number]}"
            outcome, _ = run(comm, config, target)
            assert outcome.code == Exit.DONE
            if comm.root:
                check_equal(target, reference)
        world.barrier()


@EACH
def test_a_grown_problem_differs_in_its_size_alone(config):
    problem = read_problem(str(config))
    for factor in (1, 3, 4):
        rule = problem.workload.grown(factor)
        if rule is None:
            return  # its size is that of its inputs
        # as `scale` passes it on
        settings = [f"parameters.{key}={json.dumps(rule[key])}" for key in rule]
        larger = read_problem(str(config), tuple(settings))
        larger.check()
        shapes = [one.workload.domain().shape for one in (larger, problem)]
        assert prod(shapes[0]) / prod(shapes[1]) == pytest.approx(factor, rel=0.05)
        now, then = larger.config.document(), problem.config.document()
        for key in now["parameters"].keys() - rule.keys():
            assert now["parameters"][key] == then["parameters"][key], key
        assert (now == then) == (factor == 1)


def side_by_side(sizes, ranks):
    """Pack the sizes that fit into as few rounds as their order allows."""
    rounds = []
    for size in sizes:
        if rounds and sum(rounds[-1]) + size <= ranks:
            rounds[-1].append(size)
        elif size <= ranks:
            rounds.append([size])
    return rounds


@EACH
def test_same_bits_from_every_writer(world, folder, straight, config):
    reference, _ = straight(config)
    # side by side, those that this environment has
    writers = [writer for writer in WRITERS if not missing(writer)]
    size = max(1, world.size // len(writers))
    comm, number = split_sizes(world, [size] * len(writers))
    if comm:
        writer = writers[number]
        target = folder / f"{config.stem}-{writer}"
        run(comm, config, target, [f"output.writer={writer}"])
        if comm.root:
            check_equal(target, reference)
    world.barrier()


@EACH
def test_same_bits_on_two_threads(world, folder, straight, config):
    reference, _ = straight(config)
    comm, _ = split_sizes(world, [min(2, world.size)])
    if comm:
        target = folder / f"{config.stem}-threads"
        outcome, _ = run(comm, config, target, ["run.threads=2"])
        assert outcome.threads == 2
        if comm.root:
            check_equal(target, reference)
    world.barrier()


@EACH
def test_stopped_at_every_yield_and_resumed_elsewhere_gives_the_same_bits(
    world, folder, straight, config
):
    reference, yields = straight(config)
    assert yields >= 3, "too few steps to test anything"
    # groups work side by side, each on stops of its own, then on another count
    groups = max(1, world.size // 4)
    group, mine = split_sizes(world, [min(4, world.size)] * groups)
    if group:
        for number in range(mine, yields - 1, groups):
            sizes = [(4, 3), (3, 4), (1, 2), (2, 1)][number % 4]
            before, after = (min(size, group.size) for size in sizes)
            target = folder / f"{config.stem}-stop-{number}"
            leg = group.split(0 if group.rank < before else None)
            if leg:
                outcome, asked = run(leg, config, target, stop_at=number)
                assert outcome.code == Exit.STOPPED
                # one step more, no second one
                assert leg.all(asked)[-1] == number + 1
                assert not (target / "result.nc").exists()
            group.barrier()
            leg = group.split(0 if group.rank < after else None)
            if leg:
                outcome, _ = run(leg, config, target, resume=True)
                assert outcome.code == Exit.DONE
                if leg.root:
                    check_equal(target, reference)
                    assert not (target / "checkpoints").exists()
            group.barrier()
    world.barrier()


@EACH
def test_stopped_at_all_yields_in_turn_gives_the_same_bits(
    world, folder, straight, config
):
    reference, yields = straight(config)
    target = folder / f"{config.stem}-chain"
    sizes = [size for size in (2, 1, 3, 7, 4, 16) if size <= world.size]
    resume, code, legs = False, Exit.STOPPED, 0
    while code == Exit.STOPPED:
        comm = world.split(0 if world.rank < sizes[legs % len(sizes)] else None)
        if comm:
            outcome, _ = run(comm, config, target, stop_at=0, resume=resume)
            code = outcome.code
        code = Exit(world.broadcast(int(code)))
        resume, legs = True, legs + 1
        assert legs <= yields + 1
    assert legs > 1
    if world.root:
        check_equal(target, reference)
    world.barrier()


@EACH
def test_a_finished_run_is_left_alone(world, folder, straight, config):
    reference, _ = straight(config)
    before = (reference / "result.nc").stat().st_mtime_ns
    outcome, _ = run(world, config, reference, resume=True)
    assert outcome is None
    assert (reference / "result.nc").stat().st_mtime_ns == before
    world.barrier()


@EACH
def test_checks_hold_for_a_right_result_and_not_for_a_wrong_one(
    world, folder, straight, config
):
    reference, _ = straight(config)
    if world.root:
        verdict = validate(str(reference))
        assert verdict.declared
        assert [check for check in verdict.checks if not check.passed] == []
        # a wrong number that was written like a right one: only theory can tell
        wrong = folder / f"{config.stem}-wrong"
        shutil.copytree(reference, wrong)
        for name in spoil(wrong / "result.nc"):
            assert validate(str(wrong)).word == "INVALID", name
    world.barrier()


def spoil(path):
    """Enlarge the main numbers of a result one after the other; yield their names."""
    names = ("u", "iterations", "estimate", "value", "acf", "time_mean", "integral")
    for name in names:
        with h5py.File(path, "r+") as file:
            if name not in file:
                continue
            before = file[name][()]
            file[name][...] = before * 2 + (before.dtype.kind == "i")
            dtype, whole = str(file[name].dtype), file[name][()]
            fresh = f"{checksum_value(whole, dtype):016x}"
            file[name].attrs["hpcapp_checksum"] = np.bytes_(fresh)
        yield name
        with h5py.File(path, "r+") as file:
            file[name][...] = before


def first_of_each_workload():
    """Return one configuration for each workload."""
    known = {}
    for config in CONFIGS:
        known.setdefault(read_problem(str(config)).config.workload, config)
    return list(known.values())


@pytest.mark.parametrize("config", first_of_each_workload(), ids=lambda path: path.stem)
def test_other_programs_open_the_result(world, folder, straight, config):
    reference, _ = straight(config)
    if world.root:
        path = reference / "result.nc"
        check_xarray(path)
        for program in ("ncdump", "h5dump"):
            check_dump(program, path)
        # not in the environment of the parallel libraries: it wants a newer netCDF4
        if find_spec("compliance_checker"):
            assert breaches(path) == []
    world.barrier()


def check_xarray(path):
    """Open a file with both engines, whole and in pieces, without any option."""
    data = load(path.parent)
    for engine in ("netcdf4", "h5netcdf"):
        for chunks in (None, {}):
            # calendars beyond NumPy's are told by a warning
            with (
                warnings.catch_warnings(),
                xarray.open_dataset(
                    path, engine=engine, chunks=chunks, decode_times=False
                ) as found,
            ):
                for name, variable in found.variables.items():
                    if variable.dtype.kind in "iuf":
                        assert variable.values.tobytes() == data[name][2]
    with hpcapp.open(str(path.parent)) as found:
        assert set(found.variables) <= set(data)


def check_dump(program, path):
    """Read the header with a program of the libraries' own, where there is one."""
    found = shutil.which(program)
    if found:
        option = "-h" if program == "ncdump" else "-H"
        done = subprocess.run([found, option, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "hpcapp_checksum" in done.stdout or program == "h5dump"


def disordered(path):
    """Return the coordinates in numbers that neither rise nor fall throughout."""
    with netCDF4.Dataset(path) as data:
        steps = {
            name: np.diff(variable[:])
            for name, variable in data.variables.items()
            if variable.dimensions == (name,) and variable.dtype is not str
        }
    return [name for name, d in steps.items() if not ((d > 0).all() or (d < 0).all())]


def breaches(path):
    """Return what the checker of CF, and of ACDD as highly recommended, finds."""
    from compliance_checker.base import BaseCheck
    from compliance_checker.runner import CheckSuite

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CheckSuite.load_all_available_checkers()
    suite = CheckSuite()
    found = []
    for name in ("cf:1.11", "acdd:1.3"):
        with warnings.catch_warnings():
            # of its own, about itself
            warnings.simplefilter("ignore")
            data = suite.load_dataset(str(path))
            results, errors = suite.run_all(data, [name])[name]
        found += [str(error) for error in errors]
        for result in results:
            right = result.value in (True, None) or (
                isinstance(result.value, tuple) and result.value[0] == result.value[1]
            )
            if not right and (name[:2] == "cf" or result.weight == BaseCheck.HIGH):
                found += result.msgs
    # the checker cannot subtract labels: of the numbers this says the same
    if "check_coordinate_variables_strict_monotonicity" in found:
        found.remove("check_coordinate_variables_strict_monotonicity")
        found += disordered(path)
    # a standard name is given where the table of CF has one, no others
    return [text for text in found if text != "standard_name"]


@pytest.mark.parametrize("config", first_of_each_workload(), ids=lambda path: path.stem)
def test_snapshots_are_the_same_on_any_layout_and_after_a_stop(world, folder, config):
    problem = read_problem(str(config))
    workload = problem.workload
    fields = snapshot_fields(workload.fields(), workload.domain())
    settings = ["output.every=2"]
    if not fields:
        with pytest.raises(ConfigError, match=r"output.every: must be null: "):
            run(world, config, folder / "none", settings)
        return
    alone = world.split(0 if world.root else None)
    one, many = folder / f"{config.stem}-one", folder / f"{config.stem}-many"
    if alone:
        _, yields = run(alone, config, one, settings)
        expected = load_snapshots(one)
        assert expected["snapshot"][1].tolist() == list(range(2, yields + 1, 2))
        assert not (one / "snapshots").exists()
        # the last one is the result, if the run ended there
        if yields % 2 == 0:
            check_last(one, fields)
    world.barrier()
    outcome, _ = run(world, config, many, settings, stop_at=2)
    assert outcome.code == Exit.STOPPED
    if world.root:
        assert [n for n, _ in find_snapshots(str(many))] == [2, 4]
        # while the run is under way they are the beginning of what will be
        with hpcapp.open_snapshots(str(many), decode_times=False) as data:
            assert data.variables.keys() == expected.keys()
            for name, (dims, values) in expected.items():
                assert data[name].dims == dims
                begin = values[:2] if "snapshot" in dims else values
                assert data[name].values.tobytes() == begin.tobytes()
    world.barrier()
    half = world.split(0 if world.rank < max(1, world.size // 2) else None)
    if half:
        run(half, config, many, resume=True)
        if half.root:
            found = load_snapshots(many)
            assert found.keys() == expected.keys()
            for name, (dims, values) in expected.items():
                assert found[name][0] == dims
                assert found[name][1].tobytes() == values.tobytes()
    world.barrier()


def load_snapshots(directory):
    """Return dimensions and values of all variables."""
    with xarray.open_dataset(directory / "snapshots.nc", decode_times=False) as data:
        return {n: (v.dims, v.values) for n, v in data.variables.items()}


def check_last(directory, fields):
    """Compare the last snapshot with the result."""
    last = load_snapshots(directory)
    with xarray.open_dataset(directory / "result.nc", decode_times=False) as data:
        for field in fields:
            dims, values = last[field.name]
            assert dims == ("snapshot", *field.dims)
            assert values[-1].tobytes() == data[field.name].values.tobytes()
