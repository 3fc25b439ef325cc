# SPDX-License-Identifier: MIT
"""The command ``scale``: from options to runs, a table on stdout and three files."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from hpcapp.errors import ConfigError, Exit
from hpcapp.problem import Problem, read_problem
from hpcapp.studies.scaling.jobs import gather, submit_points
from hpcapp.studies.scaling.keeping import STUDY, save_study
from hpcapp.studies.scaling.picture import draw_study
from hpcapp.studies.scaling.points import choose_points, parse_counts
from hpcapp.studies.scaling.study import Plan, Study, run_study
from hpcapp.studies.scaling.tables import (
    About,
    describe_here,
    make_dataset,
    study_text,
    write_csv,
)

__all__ = ["FILES", "scale", "set_aside"]

FILES = ("scaling.csv", "scaling.nc", "scaling.png", STUDY)
"""What a study leaves in its folder."""


def scale(
    options: Any,
    environ: Mapping[str, str],
    say: Callable[[str], object],
    tell: Callable[[str], object],
) -> Exit:
    """Run a scaling study and write what it finds.

    Parameters
    ----------
    options : argparse.Namespace
        Of ``scale``.
    environ : mapping
        The process environment.
    say, tell : callable
        For results, and for progress.

    Returns
    -------
    Exit
        `DONE` where all answers are equal, valid or not; else `FAILED`.

    Raises
    ------
    ConfigError
        If an option or the configuration is at fault.
    HpcappError
        If a run fails.
    """
    problem = read_problem(options.config, tuple(options.settings), environ)
    folder = options.output or f"{problem.config.output.directory}-scaling"
    if options.gather:
        return _conclude(gather(options.gather), problem, options.gather, say)
    plan = _plan(options, problem)
    if options.site:
        submit_points(options, plan, folder, environ, say)
        return Exit.DONE
    moved = set_aside(folder, FILES)
    if moved:
        tell(f"the study there is now in {moved}")
    study = run_study(plan, problem.config.output.directory, environ, tell)
    return _conclude(study, problem, folder, say)


def _plan(options: Any, problem: Problem) -> Plan:
    if options.repeat < 1:
        raise ConfigError(f"--repeat: must be >= 1, got {options.repeat}")
    if options.submit and not options.site:
        raise ConfigError("--submit: needs --site; hpcapp submit --help tells of them")
    problem.check()
    ranks = parse_counts(options.ranks, "--ranks")
    own = problem.config.run.threads
    # auto would give one rank all cores: nothing would be left to scale to
    threads: tuple[int, ...] = (own if isinstance(own, int) else 1,)
    if options.threads:
        threads = parse_counts(options.threads, "--threads")
    devices = tuple(dict.fromkeys(options.devices.split(",")))
    for device in devices:
        if device not in ("cpu", "cuda"):
            raise ConfigError(f"--devices: must be cpu, cuda or both, got {device}")
    points = choose_points(problem, ranks, threads, devices, options.weak)
    for count in ranks:
        problem.layout(count)
    return Plan(
        config=options.config,
        settings=tuple(options.settings),
        points=tuple(points),
        repeats=options.repeat,
        weak=options.weak,
        launcher=options.launcher or "",
    )


def _conclude(
    study: Study, problem: Problem, folder: str, say: Callable[[str], object]
) -> Exit:
    where = study.machines[0]
    machine, date = describe_here(where.cores, where.model)
    about = About(
        workload=problem.config.workload,
        summary=problem.workload.summary,
        unit=problem.workload.unit,
        config=problem.text(),
        machine=machine,
        date=date,
    )
    figures = study.figures()
    say(study_text(study, figures, about))
    try:
        os.makedirs(folder, exist_ok=True)
        table, data, picture, kept = (os.path.join(folder, name) for name in FILES)
        save_study(kept, study)
        write_csv(table, study, figures)
        make_dataset(study, figures, about).to_netcdf(data)
        draw_study(picture, study, figures, about)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder}: cannot be written: {error.strerror}; name "
            "another folder with --output"
        ) from None
    say(f"{folder}: {', '.join(FILES)}")
    return Exit.FAILED if study.differing() else Exit.DONE


def set_aside(folder: str, names: tuple[str, ...]) -> str:
    """Move what an earlier study left to another folder.

    Parameters
    ----------
    folder : str
        Of the study.
    names : tuple of str
        Files that a study leaves.

    Returns
    -------
    str
        The folder with a number at its end; "" where there was nothing.
    """
    there = [name for name in names if os.path.exists(os.path.join(folder, name))]
    if not there:
        return ""
    number = 1
    while os.path.exists(f"{os.path.normpath(folder)}.{number}"):
        number += 1
    target = f"{os.path.normpath(folder)}.{number}"
    os.makedirs(target)
    for name in there:
        shutil.move(os.path.join(folder, name), os.path.join(target, name))
    return target
