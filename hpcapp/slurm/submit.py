# SPDX-License-Identifier: MIT
"""The command ``submit``: a script on stdout, or a job in the queue."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from hpcapp.errors import ConfigError, Exit
from hpcapp.slurm.call import call_slurm
from hpcapp.slurm.fitting import fit_problems
from hpcapp.slurm.request import Request, check_name, choose
from hpcapp.slurm.script import Subject, batch_script, interactive_text
from hpcapp.slurm.sites import doubts, read_profile
from hpcapp.slurm.times import parse_time

__all__ = ["read_environment", "read_request", "submit"]


def read_request(options: Any) -> Request:
    """Return what the options of the command line ask for.

    Parameters
    ----------
    options : argparse.Namespace
        Of ``submit``.

    Returns
    -------
    Request
        Checked as far as that needs no profile.

    Raises
    ------
    ConfigError
        If a number or a name cannot be.
    """
    for name in ("nodes", "ranks", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name}: must be >= 1, got {value}")
    for name in ("account", "partition", "qos", "reservation", "mpi"):
        check_name(f"--{name}", getattr(options, name) or "")
    return Request(
        nodes=options.nodes,
        account=options.account or "",
        seconds=parse_time(options.time) if options.time else None,
        gpu=options.gpu,
        queue=options.queue or "",
        partition=options.partition or "",
        qos=options.qos or "",
        reservation=options.reservation or "",
        ranks=options.ranks,
        threads=options.threads,
        launcher=options.launcher or "",
        mpi=options.mpi or "",
        venv=read_environment(options.environment),
        settings=tuple(options.settings),
    )


def read_environment(folder: str | None) -> str:
    """Return the Python environment that jobs use: by default, this one."""
    if folder is not None:
        return folder
    return sys.prefix if sys.prefix != sys.base_prefix else ""


def submit(
    options: Any,
    environ: Mapping[str, str],
    say: Callable[[str], object],
    warn: Callable[[str], object],
    command: Sequence[str] = (),
) -> int:
    """Print a batch script, or submit it, or compare the profile with the machine.

    Parameters
    ----------
    options : argparse.Namespace
        Of ``submit``.
    environ : mapping
        The process environment.
    say, warn : callable
        For what belongs on stdout and on stderr.
    command : sequence of str
        The words of this command, for the head of the script.

    Returns
    -------
    int
        The exit code: `FAILED` where ``--check`` finds a difference.

    Raises
    ------
    ConfigError
        If the site does not allow the job, or a configuration is wrong.
    LaunchError
        If Slurm is missing or refuses the job.
    """
    profile = read_profile(options.site)
    if options.check:
        from hpcapp.slurm.check import check_site

        return check_site(profile, environ, say)
    job = choose(read_request(options), profile, environ)
    if not options.configs and not options.interactive:
        raise ConfigError("submit: CONFIG is missing: which configurations to run")
    outputs, warnings = fit_problems(job, options.configs)
    warnings += [job.unknown] if job.unknown else []
    for line in (*doubts(profile, job.queue, date.today()), *warnings):
        warn(f"hpcapp: warning: {line}")
    name = shlex.join(["hpcapp", *command])
    subject = Subject(tuple(options.configs), outputs, name)
    if options.interactive:
        say(interactive_text(job, subject).rstrip())
        return Exit.DONE
    text = batch_script(job, subject)
    if not options.submit:
        say(text.rstrip())
        return Exit.DONE
    number = call_slurm(["sbatch", "--parsable"], environ, text).strip()
    # of a federation: number;cluster
    say(number.partition(";")[0])
    return Exit.DONE
