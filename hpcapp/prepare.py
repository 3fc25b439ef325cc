# SPDX-License-Identifier: MIT
"""From a command to a session: read, check, choose what to go on from, lock.

Rank 0 does it; every rank gets the same session or the same error, before any
file is touched.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcapp.changes import inputs_of, refuse_changes, refuse_inputs
from hpcapp.errors import ConfigError, ResultError, RunDirectoryError
from hpcapp.failure import read_status
from hpcapp.gpu.choice import choose
from hpcapp.gpu.transport import refuse_transport
from hpcapp.log import Log
from hpcapp.problem import Problem, parse_problem, read_problem
from hpcapp.run_directory import CONFIG, Keeper, inspect, settle
from hpcapp.session import Finished, Machine, Session, check, survey
from hpcapp.snapshots import check_snapshots
from hpcapp.stops import Stops, job_end
from hpcapp.store.checkpoints import RESULTS, discard, find_checkpoints, find_result
from hpcapp.store.fingerprints import fingerprints
from hpcapp.store.manifest import check as check_file
from hpcapp.store.reader import Saved, load_attributes, load_saved
from hpcapp.store.sums import check_sums
from hpcapp.store.writers import check_writer

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Request", "prepare"]


@dataclass(frozen=True)
class Request:
    """What a command asks for.

    Parameters
    ----------
    config : str
        The configuration file; "" to resume `directory` with its own.
    directory : str or None
        The run directory, where it is not the configuration's.
    settings : tuple of str
        ``KEY=VALUE``.
    force, resume : bool
        Replace an older run; go on from its checkpoint if there is one.
    command : str
        The command line, for the record.
    environ : mapping
        The process environment.
    text : str or None
        What stands in the file, where that is known: `config` is then only its name.
    """

    config: str
    directory: str | None = None
    settings: tuple[str, ...] = ()
    force: bool = False
    resume: bool = False
    command: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    text: str | None = None


def prepare(
    comm: "Comm", request: Request, log: Log, stops: Stops
) -> Session | Finished:
    """Set a run up; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    request : Request
        What is asked for.
    log : Log
        Speaks on rank 0.
    stops : Stops
        Gets the wall time.

    Returns
    -------
    Session or Finished
        The latter where the run is finished and nothing new is asked for.

    Raises
    ------
    ConfigError, RunDirectoryError, ResultError
        On every rank alike.
    """
    # a fault of the configuration is known to all after this one broadcast
    problem = comm.on_root(lambda: _read(request, comm.size))
    machine = survey(comm, request.environ, problem)
    comm.place(machine.workers)
    keeper = Keeper(problem.config.output.directory)
    try:
        # what another run still writes and removes is not there to be chosen from
        comm.on_root(lambda: _keep_others_out(request, keeper))
        saved, inputs = _take(comm, request, problem, machine, log, keeper)
    except BaseException:
        keeper.release()
        raise
    if isinstance(saved, Finished):
        keeper.release()
        return saved
    stops.limit(problem.config.run.wall_time)
    # one rank asks for all: a batch system does not like to be asked by thousands
    stops.limit_until(comm.on_root(lambda: job_end(request.environ)))
    return Session(
        comm=comm,
        problem=problem,
        machine=machine,
        directory=problem.config.output.directory,
        saved=saved,
        held=keeper.held,
        log=log,
        stops=stops,
        environ=request.environ,
        command=request.command,
        inputs=inputs,
    )


def _keep_others_out(request: Request, keeper: Keeper) -> None:
    """Lock a directory that there is something to go on from."""
    if not request.config or (request.resume and find_checkpoints(keeper.path)):
        keeper.lock()


def _take(
    comm: "Comm",
    request: Request,
    problem: Problem,
    machine: Machine,
    log: Log,
    keeper: Keeper,
) -> tuple[Saved | Finished | None, list[dict[str, Any]]]:
    """Choose what to go on from, and take the directory for it; collective.

    Besides it returns what the input files are.
    """
    found = comm.on_root(lambda: _candidates(request, problem, machine, log, keeper))
    path, damaged = _newest_whole(comm, problem, found, log)
    saved = comm.on_root(lambda: _load(problem, path, log, keeper))
    if isinstance(saved, Finished):
        return saved, []
    if saved is not None:
        _check_result(comm, problem, saved)
    inputs = _look_at_inputs(comm, problem, saved)

    def take() -> None:
        """Clear what cannot be used, and lock the directory if that is to be done."""
        with problem.config.placing():
            _begin(request, problem, saved, log, keeper)
        for fallen in damaged:
            discard(fallen)

    comm.on_root(take)
    return saved, inputs


def _look_at_inputs(
    comm: "Comm", problem: Problem, saved: Saved | None
) -> list[dict[str, Any]]:
    """Return what the input files are, if it is what they were; collective."""
    workload = problem.workload

    def find() -> list[str]:
        """Return the paths."""
        with problem.config.placing():
            return list(workload.input_files())

    with comm.clock.phase("io"):
        paths = comm.on_root(find)
        then = [] if saved is None else inputs_of(saved.path, saved.attributes)
        found = fingerprints(comm, paths, then) if paths else []
    if saved is not None and then:
        refuse_inputs(saved.path, then, found, more=bool(workload.extendable()))
    return found


def _load(
    problem: Problem, path: str | None, log: Log, keeper: Keeper
) -> Saved | Finished | None:
    """Return what there is to go on from, if anything is left to do."""
    if path is None:
        return None
    if refuse_changes(problem, path):
        log.info(f"{keeper.path}: finished already, and nothing more is asked for")
        _settle(keeper)
        return Finished(keeper.path, path, load_attributes(path))
    return load_saved(path, problem.workload.fields())


def _settle(keeper: Keeper) -> None:
    """Do what a kill between the result and the end of its run has left undone."""
    known = read_status(keeper.path) or {}
    if known.get("state") == "finished" and not find_checkpoints(keeper.path):
        return
    # what may not be written stays as it is
    with suppress(OSError, ConfigError):
        keeper.take(force=False, keep=True)
        settle(keeper.path)


def _check_result(comm: "Comm", problem: Problem, saved: Saved) -> None:
    """Refuse to extend a result that is damaged; collective."""
    if not _is_result(saved.path):
        # a checkpoint has been looked at in every byte
        return
    fault = check_sums(comm, saved, problem.workload.fields())
    if fault:
        raise ResultError(
            f"{saved.path}: damaged: {fault}; it cannot be gone on from: start the "
            "run again, with --force"
        )


def _is_result(path: str) -> bool:
    return os.path.basename(path) in RESULTS.values()


def _newest_whole(
    comm: "Comm", problem: Problem, found: list[str], log: Log
) -> tuple[str | None, list[str]]:
    """Return the file to go on from, and the damaged ones after it; collective."""
    damaged: list[str] = []
    for path in found:
        # a result is looked at once it is known that it is to be extended
        fault = "" if _is_result(path) else check_file(comm, path)
        if not fault:
            return path, damaged
        log.warn(f"{path}: damaged: {fault}; looking for the one before it")
        damaged.append(path)
    if found:
        raise ResultError(
            f"{problem.config.output.directory}: has no checkpoint that is whole; "
            "start the run again, with --force"
        )
    return None, damaged


def _candidates(
    request: Request, problem: Problem, machine: Machine, log: Log, keeper: Keeper
) -> list[str]:
    """Return what there is to go on from, the newest first."""
    directory = keeper.path
    found = [path for _, path in find_checkpoints(directory)]
    if request.config:
        with problem.config.placing():
            goes_on = inspect(directory, request.force, request.resume) is not None
        if not (goes_on and keeper.began):
            found = []
    result = find_result(directory)
    if (found or not request.config) and result:
        if found and _is_done(problem, result):
            # a kill came before its checkpoints were removed
            return [result]
        # an extension of a finished run goes on from there without checkpoints
        found.append(result)
    if not found and not request.config:
        raise RunDirectoryError(
            f"{directory}: has neither a checkpoint nor a result to go on from; start "
            "the run again"
        )
    warning = check(problem, machine)
    if warning:
        log.warn(warning)
    return found


def _is_done(problem: Problem, result: str) -> bool:
    """Tell whether a result is all that is asked for; if not, checkpoints are newer."""
    try:
        return refuse_changes(problem, result)
    except (ConfigError, ResultError):
        return False


def _read(request: Request, ranks: int) -> Problem:
    """Return the problem, checked as far as that needs no other rank."""
    problem = _read_whole(request)
    problem.check()
    problem.layout(ranks)
    with problem.config.placing():
        run = problem.config.run
        choose(run.device, problem.workload.without_gpu(), (), ())
        refuse_transport(run.transport, run.device)
        check_writer(problem.config.output)
        check_snapshots(problem)
    return problem


def _read_whole(request: Request) -> Problem:
    settings, environ = request.settings, request.environ
    if request.config:
        given = request.directory
        option = None if given is None else ("--output", given)
        if request.text is not None:
            name = request.config
            return parse_problem(request.text, name, settings, environ, option)
        return read_problem(request.config, settings, environ, option)
    directory = request.directory or ""
    config = os.path.join(directory, CONFIG)
    if not os.path.isdir(directory):
        raise RunDirectoryError(f"{directory}: no such run directory")
    if not os.path.exists(config):
        raise RunDirectoryError(f"{directory}: no run of hpcapp: it has no {CONFIG}")
    # the directory may have been moved since it was written
    return read_problem(config, settings, environ, ("RUN_DIR", directory))


def _begin(
    request: Request, problem: Problem, saved: Saved | None, log: Log, keeper: Keeper
) -> None:
    held = keeper.take(request.force and saved is None, saved is not None)
    try:
        if held.moved:
            log.info(f"{held.path}: the finished run there is now in {held.moved}")
        log.open(held.log, keep=saved is not None)
        temporary = f"{held.config}.part"
        Path(temporary).write_text(problem.text(), encoding="utf-8")
        os.replace(temporary, held.config)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {held.path}: {error.strerror}", key="output.directory"
        ) from None
