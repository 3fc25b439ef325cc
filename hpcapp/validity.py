# SPDX-License-Identifier: MIT
"""What a workload knows of a right result: checks against theory, after a run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Check", "Read", "near"]

Read = Callable[[str], Any]
"""Returns a variable of a result by name: to be cut, as an array or an h5py dataset."""


@dataclass(frozen=True)
class Check:
    """One law that a result must keep.

    Parameters
    ----------
    name : str
        The law, in a few words.
    passed : bool
        Whether it does.
    text : str
        What was compared, with the numbers.
    """

    name: str
    passed: bool
    text: str


def near(name: str, value: float, truth: float, bound: float, source: str) -> Check:
    """Check that a value is where it must be.

    Parameters
    ----------
    name : str
        The law.
    value, truth : float
        What was found, and what must come out.
    bound : float
        How far they may be apart, >= 0.
    source : str
        Where the truth is from.

    Returns
    -------
    Check
        Not passed if one of the numbers is no number.
    """
    apart = abs(value - truth)
    text = f"{value:.10g} against {truth:.10g} ({source}): {apart:.2g} apart, "
    passed = math.isfinite(apart) and apart <= bound
    return Check(name, passed, text + f"allowed {bound:.2g}")
