# SPDX-License-Identifier: MIT
"""What a workload says while it computes, and at its end."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Answer", "Step"]


@dataclass(frozen=True)
class Step:
    """What a workload says at a yield.

    Parameters
    ----------
    fraction : float
        Estimated share of the whole run that is done, 0 to 1.
    note : str
        A few words for the progress line, such as the residual.
    work : float
        Work that all ranks have done in this step, in the workload's `unit`.
    value : float or None
        Of what the workload calls `watched`, at this step; the same on all ranks.
    """

    fraction: float
    note: str = ""
    work: float = 0.0
    value: float | None = None


@dataclass(frozen=True)
class Answer:
    """The outcome in a line and in numbers.

    Parameters
    ----------
    text : str
        One line with the uncertainty or residual.
    values : mapping
        Numbers for ``--json``.
    converged : bool or None
        Whether what was asked for was reached; None where that means nothing.
    warning : str
        What the user should know; "" for nothing.
    """

    text: str
    values: Mapping[str, float]
    converged: bool | None = None
    warning: str = ""
