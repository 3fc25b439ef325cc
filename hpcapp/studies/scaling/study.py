# SPDX-License-Identifier: MIT
"""The runs of a scaling study: started as a user would, round by round."""

import json
import math
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hpcapp.device import cores
from hpcapp.errors import Exit, HpcappError, LaunchError
from hpcapp.log import duration
from hpcapp.studies.launching import launch, make_folder
from hpcapp.studies.scaling.figures import Figures, derive
from hpcapp.studies.scaling.points import Point, Sample, read_sample
from hpcapp.studies.scaling.validity import Machine, faults
from hpcapp.studies.scaling.watching import (
    calibrate,
    cpu_model,
    glance,
    quota,
    siblings,
    watch,
)

__all__ = ["Plan", "Study", "run_study"]

# the calibration kernel is tried again until it is as near to its best of the study
NEAR, TRIES = 1.05, 10

Places = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Plan:
    """What a study runs.

    Parameters
    ----------
    config : str
        The YAML file.
    settings : tuple of str
        ``KEY=VALUE`` for all runs.
    points : tuple of Point
        The first is what the others are compared with.
    repeats : int
        Runs of each point that count, >= 1; one more comes before.
    weak : bool
        Whether the problem grows with the cores.
    launcher : str
        Command that starts ranks; "" for srun in a Slurm job, else mpirun.
    """

    config: str
    settings: tuple[str, ...]
    points: tuple[Point, ...]
    repeats: int
    weak: bool = False
    launcher: str = ""


@dataclass(frozen=True)
class Study:
    """What was measured.

    Parameters
    ----------
    plan : Plan
        What was run.
    machines : tuple of Machine
        Where, for each point.
    samples : tuple
        The repeats of each point.
    places : tuple
        Node and cores of each rank of each point.
    """

    plan: Plan
    machines: tuple[Machine, ...]
    samples: tuple[tuple[Sample, ...], ...]
    places: tuple[Places, ...]

    def figures(self) -> list[Figures]:
        """Return the figures of all points, with why some are not valid."""
        points, base = self.plan.points, (self.plan.points[0], self.samples[0])
        found: list[Figures] = []
        for point, samples, places, machine in zip(
            points, self.samples, self.places, self.machines, strict=True
        ):
            wrong = faults(point, places, samples, machine)
            if found and found[0].faults:
                wrong.append(f"compared with {points[0]}, which is not valid")
            found.append(derive(point, samples, base, wrong))
        return found

    def differing(self) -> str:
        """Return which point has other data than the first of its size, or ""."""
        known: dict[tuple[str, float], tuple[Point, str]] = {}
        for point, samples in zip(self.plan.points, self.samples, strict=True):
            for sample in samples:
                # bits are promised for one kind of device
                key = (point.device, point.factor)
                other, checksum = known.setdefault(key, (point, sample.checksum))
                if sample.checksum != checksum:
                    return (
                        f"the data of {point} (checksum {sample.checksum}) are not "
                        f"those of {other} ({checksum})"
                    )
        return ""


def run_study(
    plan: Plan,
    directory: str,
    environ: Mapping[str, str],
    tell: Callable[[str], object],
) -> Study:
    """Run all points in turn, once to warm up and then as often as asked.

    Parameters
    ----------
    plan : Plan
        What to run.
    directory : str
        The run directory of the configuration; results go beside it for a while.
    environ : mapping
        The process environment.
    tell : callable
        Told of each run, in a line.

    Returns
    -------
    Study
        All that was measured.

    Raises
    ------
    HpcappError
        If a run fails, with what it said and its exit code.
    LaunchError
        If there is no launcher.
    """
    folder = make_folder(directory, "scale")
    try:
        return _Rounds(plan, folder, environ, tell).go()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Rounds:
    """Rounds of runs, and what the machine does between them."""

    def __init__(
        self,
        plan: Plan,
        folder: str,
        environ: Mapping[str, str],
        tell: Callable[[str], object],
    ) -> None:
        self.plan, self.folder, self.tell = plan, folder, tell
        self.environ = _user_environ(environ)
        self.width = len(cores())
        self.places: dict[Point, Places] = {}
        self.alone: list[float] = []
        self.best = math.inf

    def go(self) -> Study:
        plan = self.plan
        # the first call fills caches
        calibrate(1)
        samples: dict[Point, list[Sample]] = {point: [] for point in plan.points}
        calibrations = [self._calibrate()]
        for number in range(plan.repeats + 1):
            for point in plan.points:
                sample = self._run(point)
                calibrations.append(self._calibrate())
                mean = (calibrations[-2] + calibrations[-1]) / 2
                # over the best of the study, which is known at its end
                marked = replace(sample, watch=replace(sample.watch, slowness=mean))
                name = f"round {number} of {plan.repeats}" if number else "warm-up"
                self.tell(
                    f"{name}: {point}: {_short(sample.seconds)} of "
                    f"{duration(sample.job)}"
                )
                if number:
                    samples[point].append(marked)
        best = min(calibrations)
        machine = Machine(
            host=os.uname().nodename,
            cores=self.width,
            quota=quota(),
            siblings=siblings(),
            together=min(self.alone) / best,
            model=cpu_model(),
        )
        return Study(
            plan=plan,
            machines=(machine,) * len(plan.points),
            samples=tuple(
                tuple(_relative(one, best) for one in samples[point])
                for point in plan.points
            ),
            places=tuple(self.places[point] for point in plan.points),
        )

    def _calibrate(self) -> float:
        """Return the time of the calibration kernel between two runs."""
        # what a core can do alone
        self.alone += [calibrate(1) for _ in range(3)]
        found = min(calibrate(self.width) for _ in range(3))
        for _ in range(TRIES):
            # processes of the last run may still be ending: that passes
            if found <= NEAR * self.best:
                break
            found = min(found, calibrate(self.width))
        self.best = min(self.best, found)
        return found

    def _run(self, point: Point) -> Sample:
        plan = self.plan
        settings = (
            *plan.settings,
            *point.settings,
            f"run.threads={point.threads}",
            f"run.device={point.device}",
        )
        words = [word for setting in settings for word in ("--set", setting)]
        target = os.path.join(self.folder, "run")
        arguments = ["run", plan.config, "-q", "--json", "-f", "-o", target, *words]
        launcher = _launcher(point, plan.launcher, self.environ)
        before = glance()
        done = launch(point.ranks, arguments, self.environ, launcher)
        after = glance()
        seen = watch(before, after)
        if done.returncode:
            raise _failed(point, done.returncode, done.stderr.strip())
        found = json.loads(done.stdout)
        if found["seconds"] is None or not found["rate"]:
            raise HpcappError(
                f"scale: {point}: the run did no work that could be measured; choose "
                "a larger problem"
            )
        self.places[point] = tuple(
            (host, tuple(mask)) for host, mask in found["places"]
        )
        return read_sample(found, seen.elapsed, seen)


def _user_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a user's run."""
    # threads are hpcapp's own: the libraries underneath shall start none. Without
    # bytecode files, a developer's habit, every rank would compile every module
    fixed = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    kept = {k: v for k, v in environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**fixed, **kept}


def _launcher(point: Point, wanted: str, environ: Mapping[str, str]) -> Sequence[str]:
    """Return the command that starts the ranks of a point, () for the usual one."""
    words = shlex.split(wanted)
    path = environ.get("PATH", "")
    if not words and environ.get("SLURM_JOB_ID") and shutil.which("srun", path=path):
        words = ["srun"]
    if not words:
        return ()
    program = shutil.which(words[0], path=path)
    if program is None:
        raise LaunchError(
            f"--launcher: must be a command such as mpirun or 'srun --mpi=pmix', got "
            f"{wanted}: there is no {words[0]} on PATH"
        )
    count = ["-np", str(point.ranks)]
    if os.path.basename(program) == "srun":
        count = ["-n", str(point.ranks), "-c", str(point.threads)]
    return [program, *words[1:], *count]


def _failed(point: Point, code: int, words: str) -> HpcappError:
    error = HpcappError(
        f"scale: {point}: the run did not finish, exit code {code}:\n{words}"
    )
    error.code = Exit(code) if code in tuple(Exit) else Exit.FAILED
    return error


def _relative(sample: Sample, best: float) -> Sample:
    slowness = sample.watch.slowness / best
    return replace(sample, watch=replace(sample.watch, slowness=slowness))


def _short(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else duration(seconds)
