# SPDX-License-Identifier: MIT
"""Whether a result is right, as far as theory and its workload tell. No MPI."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.checksum import checksum_array
from hpcapp.errors import HpcappError, ResultError
from hpcapp.problem import Problem, parse_problem
from hpcapp.store.reader import open_file, read_attributes
from hpcapp.store.sums import checksum_value
from hpcapp.studies.results import pieces, result_path, variables
from hpcapp.validity import Check

__all__ = ["Verdict", "problem_of", "validate"]


@dataclass(frozen=True)
class Verdict:
    """What came of all checks.

    Parameters
    ----------
    checks : tuple of Check
        Those of the file first, then those of the workload.
    declared : bool
        Whether the workload has any.
    """

    checks: tuple[Check, ...]
    declared: bool

    @property
    def word(self) -> str:
        """INVALID if one has failed, UNCHECKED if the workload has none, or VALID."""
        if not all(check.passed for check in self.checks):
            return "INVALID"
        return "VALID" if self.declared else "UNCHECKED"


def problem_of(attributes: dict[str, Any], path: str) -> Problem:
    """Return the problem that a result says it answers.

    Parameters
    ----------
    attributes : dict
        Global attributes of the file.
    path : str
        The file, for messages.

    Returns
    -------
    Problem
        With its workload.

    Raises
    ------
    ResultError
        If the file does not hold its configuration.
    ConfigError
        If the configuration is not valid here, for example without the workload.
    """
    text = attributes.get("hpcapp_config")
    if not isinstance(text, str):
        raise ResultError(f"{path}: does not hold its configuration")
    return parse_problem(text, path, environ={})


def validate(result: str) -> Verdict:
    """Check a result: its checksums, its goal, and the laws of its workload.

    Parameters
    ----------
    result : str
        Result file, or run directory.

    Returns
    -------
    Verdict
        A check that itself fails counts as one that is not passed.

    Raises
    ------
    ResultError
        If there is no result, or it cannot be read.
    """
    path = result_path(result)
    with open_file(path) as file:
        attributes = read_attributes(file)
        own = [_checksums(file)]
        if "converged" in attributes:
            good = bool(attributes["converged"])
            text = "the goal was met" if good else "max_iterations came before the goal"
            own.append(Check("converged", good, text))
        try:
            workload = problem_of(attributes, path).workload
            declared = list(workload.checks(lambda name: file[name]))
        except HpcappError as error:
            declared = [Check("workload", False, f"cannot be asked: {error}")]
        except Exception as error:
            # a damaged value may break the arithmetic of a check itself
            text = f"cannot be computed: {type(error).__name__}: {error}"
            declared = [Check("checks of the workload", False, text)]
    return Verdict((*own, *declared), bool(declared))


def _checksums(file: Any) -> Check:
    """Compare all values with the checksums that were written with them."""
    compared = 0
    for name, variable in variables(file).items():
        told = variable.attrs.get("hpcapp_checksum")
        if told is None:
            continue
        told = told.decode() if isinstance(told, bytes) else str(told)
        try:
            found = f"{_sum(variable):016x}"
        except OSError as error:
            return Check("checksums", False, f"{name}: cannot be read: {error}")
        if found != told:
            return Check(
                "checksums", False, f"{name}: not the values that were written"
            )
        compared += 1
    return Check("checksums", compared > 0, f"those of {compared} variables")


def _sum(variable: Any) -> int:
    if variable.dtype.kind == "O":
        return checksum_value(variable.asstr()[()], "str")
    if not variable.shape:
        return checksum_value(variable[()], str(variable.dtype))
    total = first = 0
    for box in pieces(variable.shape, variable.dtype.itemsize):
        data = np.ascontiguousarray(variable[box])
        total += checksum_array(data, first)
        first += data.size
    return total % 2**64
