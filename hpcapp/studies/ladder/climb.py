# SPDX-License-Identifier: MIT
"""The climb: every rung timed in turn, on as much of the work as there is time for."""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from hpcapp.device import cache_locked, cores, prepare_cache
from hpcapp.errors import HpcappError
from hpcapp.problem import Problem
from hpcapp.store.reader import open_file
from hpcapp.studies.ladder.rungs import NotThereError, Rung, Task
from hpcapp.studies.launching import launch, make_folder
from hpcapp.studies.results import result_path, variables

__all__ = ["Climb", "Measured", "Runs", "choose_part", "climb", "find_task"]


@dataclass(frozen=True)
class Climb:
    """What is climbed.

    Parameters
    ----------
    config : str
        The YAML file.
    settings : tuple of str
        ``KEY=VALUE``.
    ranks : int
        Of hpcapp's last rung.
    repeats : int
        Times that count, >= 1.
    seconds : float
        That a rung may take at a time: a slower one does a part of the work.
    """

    config: str
    settings: tuple[str, ...]
    ranks: int
    repeats: int
    seconds: float


@dataclass
class Measured:
    """What one rung did.

    Parameters
    ----------
    name : str
        Of the rung.
    cores : int
        That it used.
    part, units : int
        What it did, of all.
    unit : str
        Of both, in the plural.
    share : float
        The share of the work that this is.
    first : float
        Seconds of the first call, on next to nothing: compiler and start-up.
    seconds : list of float
        Of the repeats, for the part.
    difference : float
        From hpcapp's answer; 0 for the same numbers.
    tolerance : float
        What it may be.
    missing : str
        Why it was not done, or "".
    """

    name: str
    cores: int
    part: int = 0
    units: int = 0
    unit: str = ""
    share: float = 1.0
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    difference: float = 0.0
    tolerance: float = 0.0
    missing: str = ""

    @property
    def right(self) -> bool:
        """Whether the answer is hpcapp's."""
        return self.difference <= self.tolerance


class Runs:
    """Runs of hpcapp with one configuration, and their answers.

    Parameters
    ----------
    plan : Climb
        What is climbed.
    folder : str
        For results.
    environ : mapping
        The process environment.
    """

    def __init__(self, plan: Climb, folder: str, environ: Mapping[str, str]) -> None:
        self.plan, self.folder, self.environ = plan, folder, environ

    def run(self, ranks: int, name: str, settings: Sequence[str] = ()) -> Any:
        """Run hpcapp with one thread a rank; return its object (``--json``).

        Raises
        ------
        HpcappError
            If it does not finish, with its words.
        """
        wanted = (*self.plan.settings, "run.threads=1", *settings)
        words = [word for setting in wanted for word in ("--set", setting)]
        target = os.path.join(self.folder, name)
        arguments = ["run", self.plan.config, "-q", "--json", "-f", "-o", target]
        fixed = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # without bytecode files every rank would compile every module
        kept = {k: v for k, v in self.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        done = launch(ranks, [*arguments, *words], {**fixed, **kept})
        if done.returncode:
            raise HpcappError(
                f"ladder: hpcapp on {ranks} rank{'s' * (ranks > 1)} did not finish, "
                f"exit code {done.returncode}:\n{done.stderr.strip()}"
            )
        return json.loads(done.stdout)

    def reader(self, name: str) -> Callable[[str], Any]:
        """Return what reads a variable of a run's result."""
        path = result_path(os.path.join(self.folder, name))

        def read(variable: str) -> Any:
            """Return all of it."""
            with open_file(path) as file:
                found = variables(file)[variable]
                texts = found.dtype.kind == "O"
                return found.asstr()[()] if texts else found[()]

        return read


def find_task(problem: Problem, read: Callable[[str], Any]) -> Task | str:
    """Return the task of a configuration, or why there are no other rungs.

    Parameters
    ----------
    problem : Problem
        What is climbed.
    read : callable
        Returns a variable of hpcapp's result.
    """
    workload = problem.config.workload
    name = f"hpcapp.studies.ladder.{workload}"
    # a folder of one's own has a dot in its name
    if (
        "." in workload
        or find_spec(name) is None
        or find_spec(f"{name}_kernels") is None
    ):
        return f"there are no rungs for {workload}"
    make: Callable[..., Task | str] = import_module(name).make
    return make(problem.config.parameters, problem.config.run.seed, read)


def choose_part(
    rung: Rung, units: int, limit: float, clock: Callable[[], float] = time.perf_counter
) -> tuple[int, float]:
    """Return how many units a rung does within a time, and its first seconds.

    Parameters
    ----------
    rung : Rung
        The rung.
    units : int
        Of the whole work.
    limit : float
        Seconds.
    clock : callable
        Tells the time.

    Returns
    -------
    (int, float)
        The whole, or a power of ten; at least 1, whatever that takes.
    """
    part, begun = 1, clock()
    rung.climb(1)
    first = clock() - begun
    while part < units:
        spent = _time_once(rung, part, clock)
        if spent * units / part > limit:
            # what starts late, such as a second process, is none of the work
            spent = min(spent, _time_once(rung, part, clock))
        if spent * units / part <= limit:
            return units, first
        if 10 * spent > limit or 10 * part >= units:
            return part, first
        # as far as that is certain to take next to no time
        while 100 * spent < limit and 10 * part < units:
            part, spent = 10 * part, 10 * spent
        part = min(10 * part, units) if 10 * part < units else part
    return units, first


def _time_once(rung: Rung, part: int, clock: Callable[[], float]) -> float:
    begun = clock()
    rung.climb(part)
    return max(clock() - begun, 1e-7)


def climb(
    plan: Climb,
    problem: Problem,
    environ: Mapping[str, str],
    tell: Callable[[str], object],
) -> tuple[list[Measured], str]:
    """Climb all rungs.

    Parameters
    ----------
    plan : Climb
        How.
    problem : Problem
        What.
    environ : mapping
        The process environment.
    tell : callable
        Told of each rung, in a line.

    Returns
    -------
    (list of Measured, str)
        From the slowest kind on; why there are only rungs of hpcapp, or "".

    Raises
    ------
    HpcappError
        If hpcapp itself does not finish.
    """
    folder = make_folder(problem.config.output.directory, "ladder")
    try:
        runs = Runs(plan, folder, environ)
        return _Ascent(plan, problem, runs, tell).go()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Ascent:
    """One climb: the rungs, hpcapp's runs, and the answers that they share."""

    def __init__(
        self,
        plan: Climb,
        problem: Problem,
        runs: Runs,
        tell: Callable[[str], object],
    ) -> None:
        self.plan, self.problem, self.runs, self.tell = plan, problem, runs, tell

    def go(self) -> tuple[list[Measured], str]:
        runs = self.runs
        self.tell("hpcapp on 1 rank: its answer is what the others are compared with")
        alone = runs.run(1, "whole")
        # compiled kernels go where hpcapp's own are
        prepare_cache(os.environ)
        task = find_task(self.problem, runs.reader("whole"))
        reason = task if isinstance(task, str) else ""
        rungs = [] if isinstance(task, str) else task.rungs(len(cores()))
        try:
            found = self._climb_all(rungs, task, alone["checksum"])
        finally:
            for rung in rungs:
                rung.close()
        return [*found, self._gpu(alone["checksum"])], reason

    def _climb_all(
        self, rungs: Sequence[Rung], task: Any, checksum: str
    ) -> list[Measured]:
        plan = self.plan
        found = [self._begin(rung, task) for rung in rungs]
        counts = (1,) if plan.ranks == 1 else (1, plan.ranks)
        for count in counts:
            found.append(Measured(f"hpcapp, {count} rank{'s' * (count > 1)}", count))
        for number in range(plan.repeats):
            self.tell(f"round {number + 1} of {plan.repeats}")
            self._round(found, rungs, checksum)
        return found

    def _begin(self, rung: Rung, task: Task) -> Measured:
        """Compile a rung, choose its part, and compare its answer."""
        found = Measured(rung.name, rung.cores, units=task.units, missing=rung.missing)
        found.tolerance, found.unit = task.tolerance, task.unit
        if rung.missing:
            return found
        try:
            with cache_locked(os.environ):
                found.part, found.first = choose_part(
                    rung, task.units, self.plan.seconds
                )
        except NotThereError as error:
            found.missing = str(error)
            return found
        found.share = task.share(found.part)
        name, settings = "whole", task.settings(found.part)
        if settings:
            name = f"part-{found.part}"
            if not os.path.exists(os.path.join(self.runs.folder, name)):
                self.runs.run(1, name, settings)
        expected = task.expected(self.runs.reader(name), found.part)
        found.difference = task.difference(rung.climb(found.part), expected)
        self.tell(f"{rung.name}: {found.part} of {task.units} {task.unit}")
        return found

    def _round(
        self, found: list[Measured], rungs: Sequence[Rung], checksum: str
    ) -> None:
        for one, rung in zip(found, rungs, strict=False):
            if not one.missing:
                begun = time.perf_counter()
                rung.climb(one.part)
                one.seconds.append(time.perf_counter() - begun)
        for one in found[len(rungs) :]:
            self._time_run(one, checksum)

    def _time_run(
        self, one: Measured, checksum: str, settings: Sequence[str] = ()
    ) -> None:
        told = self.runs.run(one.cores, "timed", settings)
        one.seconds.append(told["seconds"])
        one.first = told["phases"]["compile"]["max"]
        if told["checksum"] != checksum:
            one.difference = float("inf")

    def _gpu(self, checksum: str) -> Measured:
        """Try the GPU: hpcapp itself says why it cannot be used."""
        found = Measured("hpcapp, 1 rank on the GPU", 1)
        try:
            self._time_run(found, checksum, ("run.device=cuda",))
        except HpcappError as error:
            *_, last = str(error).splitlines()
            found.missing = last.partition("run.device: ")[2] or last
        return found
