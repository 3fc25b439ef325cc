# SPDX-License-Identifier: MIT
"""A scaling study as batch jobs, one for each point, and what they measured."""

import os
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from hpcapp.errors import ConfigError
from hpcapp.slurm.call import call_slurm
from hpcapp.slurm.profile import Profile
from hpcapp.slurm.request import Job, Request, choose
from hpcapp.slurm.script import environment, launcher_parts, resources
from hpcapp.slurm.sites import read_profile
from hpcapp.slurm.submit import read_environment
from hpcapp.slurm.times import parse_time
from hpcapp.studies.scaling.keeping import (
    STUDY,
    load_plan,
    load_study,
    save_plan,
)
from hpcapp.studies.scaling.points import Point
from hpcapp.studies.scaling.study import Plan, Study

__all__ = ["gather", "submit_points"]

PLAN = "jobs.json"
"""What jobs are to measure."""


def submit_points(
    options: Any,
    plan: Plan,
    folder: str,
    environ: Mapping[str, str],
    say: Callable[[str], object],
) -> None:
    """Print a batch script for each point, or submit it.

    Parameters
    ----------
    options : argparse.Namespace
        Of ``scale``, with `site`.
    plan : Plan
        The points.
    folder : str
        Of the study; each job writes into a folder inside.
    environ : mapping
        The process environment.
    say : callable
        Told scripts, or numbers of jobs.

    Raises
    ------
    ConfigError
        If the site does not allow a job.
    LaunchError
        If Slurm is missing or refuses one.
    """
    profile = read_profile(options.site)
    # all are checked before the first is submitted
    scripts = [
        _script(options, plan, number, profile, folder, environ)
        for number in range(len(plan.points))
    ]
    if not options.submit:
        say("\n".join(scripts).rstrip())
        return
    os.makedirs(folder, exist_ok=True)
    save_plan(os.path.join(folder, PLAN), plan)
    for point, script in zip(plan.points, scripts, strict=True):
        number = call_slurm(["sbatch", "--parsable"], environ, script).strip()
        say(f"{number.partition(';')[0]}: {point}")
    after = ["hpcapp", "scale", plan.config, "--gather", folder]
    say(f"when they have ended: {shlex.join(after)}")


def _script(
    options: Any,
    plan: Plan,
    number: int,
    profile: Profile,
    folder: str,
    environ: Mapping[str, str],
) -> str:
    point = plan.points[number]
    request = Request(
        account=options.account or "",
        seconds=parse_time(options.time) if options.time else None,
        gpu=point.device == "cuda",
        queue=options.queue or "",
        threads=point.threads,
        ranks=1,
        venv=read_environment(None),
    )
    # the queue that it is for one node tells how large a node is
    job = _spread(point, request, profile, environ)
    command = ["python", "-m", "hpcapp", "scale", plan.config]
    command += ["--ranks", str(point.ranks), "--threads", str(point.threads)]
    command += ["--devices", point.device, "--repeat", str(plan.repeats)]
    command += ["--output", _place(folder, number)]
    command += ["--launcher", plan.launcher or shlex.join(_launcher(job))]
    for setting in (*plan.settings, *point.settings):
        command += ["--set", setting]
    stem = os.path.splitext(os.path.basename(plan.config))[0]
    title = f"a point of a scaling study: {point}"
    name = f"scale-{stem}-{point.ranks}x{point.threads}"
    options = [f"--job-name={name}", *resources(job), "--output=%x-%j.out"]
    head = f"#!/bin/bash -l\n# hpcapp on {profile.title}: {title}\n"
    header = "".join(f"#SBATCH {option}\n" for option in options)
    return "\n".join([head + header, environment(job), shlex.join(command) + "\n"])


def _launcher(job: Job) -> list[str]:
    """Return the words of a job's launcher, without the number of ranks."""
    words = shlex.split(" ".join(launcher_parts(job)))
    # "mpirun -np N"
    return [words[0], *words[3:]] if words[0] == "mpirun" else words


def _spread(
    point: Point, request: Request, profile: Profile, environ: Mapping[str, str]
) -> Job:
    """Return the job with the fewest nodes that have a core for each thread."""
    from dataclasses import replace

    one = choose(request, profile, environ)
    most = max(1, one.queue.node.cores // point.threads)
    if one.queue.gpu is not None:
        most = min(most, one.queue.gpu.count)
    nodes = -(-point.ranks // most)
    if point.ranks % nodes:
        raise ConfigError(
            f"--ranks {point.ranks}: must spread evenly over nodes, of which it needs "
            f"{nodes} in queue {one.queue.name} of site {profile.site}"
        )
    wanted = replace(request, nodes=nodes, ranks=point.ranks // nodes)
    return choose(wanted, profile, environ)


def _place(folder: str, number: int) -> str:
    return os.path.join(folder, f"point-{number}")


def gather(folder: str) -> Study:
    """Return the study that jobs have measured.

    Parameters
    ----------
    folder : str
        Of the study.

    Returns
    -------
    Study
        Of all points; their rounds were not at the same time.

    Raises
    ------
    ConfigError
        If a job has not finished.
    ResultError
        If there are no such jobs.
    """
    plan = load_plan(os.path.join(folder, PLAN))
    places = [_place(folder, number) for number in range(len(plan.points))]
    paths = [os.path.join(place, STUDY) for place in places]
    missing = [
        str(point)
        for point, path in zip(plan.points, paths, strict=True)
        if not os.path.exists(path)
    ]
    if missing:
        raise ConfigError(
            f"--gather: {folder}: not finished: {', '.join(missing)}; see the output "
            "of their jobs"
        )
    studies = [load_study(path) for path in paths]
    return Study(
        plan=plan,
        machines=tuple(study.machines[0] for study in studies),
        samples=tuple(study.samples[0] for study in studies),
        places=tuple(study.places[0] for study in studies),
    )
