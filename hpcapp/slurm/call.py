# SPDX-License-Identifier: MIT
"""Commands of Slurm, and their answers."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from hpcapp.errors import LaunchError

__all__ = ["call_slurm"]

# seconds that a busy controller may take to answer
ANSWER = 60.0


def call_slurm(
    command: Sequence[str],
    environ: Mapping[str, str],
    text: str = "",
    both: bool = False,
) -> str:
    """Call a command of Slurm and return what it says.

    Parameters
    ----------
    command : sequence of str
        Such as ``["sinfo", "--version"]``.
    environ : mapping
        The process environment.
    text : str
        For its stdin.
    both : bool
        Return stderr too.

    Returns
    -------
    str
        Its stdout.

    Raises
    ------
    LaunchError
        If it is not installed, fails, or does not answer.
    """
    program = shutil.which(command[0], path=environ.get("PATH", os.defpath))
    if program is None:
        raise LaunchError(
            f"submit: there is no {command[0]} on PATH: Slurm is not installed here; "
            "log in to the cluster, or print the script without --submit"
        )
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=text,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=ANSWER,
        )
    except subprocess.TimeoutExpired:
        raise LaunchError(
            f"submit: {command[0]} has not answered for {ANSWER:.0f} s: try again later"
        ) from None
    if done.returncode:
        words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise LaunchError(f"submit: {shlex.join(command)} failed: {words}")
    return done.stdout + done.stderr if both else done.stdout
