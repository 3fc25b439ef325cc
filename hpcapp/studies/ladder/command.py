# SPDX-License-Identifier: MIT
"""The command ``ladder``: a table on stdout and two files."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from hpcapp.device import cores
from hpcapp.errors import ConfigError, Exit
from hpcapp.problem import read_problem
from hpcapp.studies.ladder.climb import Climb, climb
from hpcapp.studies.ladder.report import climb_text, draw_climb, write_climb
from hpcapp.studies.scaling.command import set_aside
from hpcapp.studies.scaling.tables import About, describe_here
from hpcapp.studies.scaling.watching import cpu_model

__all__ = ["FILES", "ladder"]

FILES = ("ladder.csv", "ladder.png")
"""What a climb leaves in its folder."""


def ladder(
    options: Any,
    environ: Mapping[str, str],
    say: Callable[[str], object],
    tell: Callable[[str], object],
) -> Exit:
    """Climb the rungs of a configuration and write what that took.

    Parameters
    ----------
    options : argparse.Namespace
        Of ``ladder``.
    environ : mapping
        The process environment.
    say, tell : callable
        For results, and for progress.

    Returns
    -------
    Exit
        `DONE` where all answers are hpcapp's, else `FAILED`.

    Raises
    ------
    ConfigError
        If an option or the configuration is at fault.
    HpcappError
        If hpcapp itself does not finish.
    """
    plan = _plan(options)
    problem = read_problem(plan.config, plan.settings, environ)
    problem.check()
    folder = options.output or f"{problem.config.output.directory}-ladder"
    moved = set_aside(folder, FILES)
    if moved:
        tell(f"the ladder there is now in {moved}")
    climbed, reason = climb(plan, problem, environ, tell)
    machine, date = describe_here(len(cores()), cpu_model())
    config, workload = problem.config, problem.workload
    about = About(
        config.workload, workload.summary, workload.unit, problem.text(), machine, date
    )
    say(climb_text(plan, climbed, reason, about))
    try:
        os.makedirs(folder, exist_ok=True)
        table, picture = (os.path.join(folder, name) for name in FILES)
        write_climb(table, climbed)
        draw_climb(picture, plan, climbed, about)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder}: cannot be written: {error.strerror}; name "
            "another folder with --output"
        ) from None
    say(f"{folder}: {', '.join(FILES)}")
    right = all(one.right for one in climbed if not one.missing)
    return Exit.DONE if right else Exit.FAILED


def _plan(options: Any) -> Climb:
    for name in ("ranks", "repeat", "seconds"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ConfigError(f"--{name}: must be > 0, got {value:g}")
    return Climb(
        config=options.config,
        settings=tuple(options.settings),
        ranks=options.ranks or len(cores()),
        repeats=options.repeat,
        seconds=options.seconds,
    )
