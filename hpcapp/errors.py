# SPDX-License-Identifier: MIT
"""Exit codes and the errors that a user can cause or meet. Imports nothing."""

from enum import IntEnum

__all__ = [
    "ConfigError",
    "Exit",
    "HpcappError",
    "LaunchError",
    "PlanError",
    "ResultError",
    "RunDirectoryError",
]


class Exit(IntEnum):
    """Exit codes of every command.

    `STOPPED` is EX_TEMPFAIL of sysexits.h: a batch script requeues on it.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 75


class HpcappError(Exception):
    """An error whose message is meant for the user: no traceback is shown.

    Attributes
    ----------
    code : Exit
        Of the program.
    sound : bool
        Whether the process can clean up after it.
    """

    code = Exit.FAILED
    sound = True


class ConfigError(HpcappError):
    """A configuration, option or value that breaks a rule.

    Parameters
    ----------
    message : str
        The rule, the value, what to do; with its place where that is known.
    key : str
        The key at fault, such as ``parameters.inputs``, where the place is not
        known: the message then begins with it, and whoever holds the
        configuration puts the place before that.
    """

    code = Exit.USAGE

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.key = key


class PlanError(ConfigError):
    """A valid configuration that cannot run here, such as too little memory."""


class LaunchError(HpcappError):
    """The launcher and the MPI library do not work together."""

    code = Exit.USAGE


class RunDirectoryError(HpcappError):
    """A run directory that is in use, unfinished, or cannot be resumed from."""

    code = Exit.USAGE


class ResultError(HpcappError):
    """A result or checkpoint file that is missing, damaged or foreign."""

    code = Exit.USAGE
