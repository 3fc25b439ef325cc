# SPDX-License-Identifier: MIT
"""The smallest cached kernel: what loading any kernel costs at least."""

import numba

__all__ = ["add_one"]


@numba.njit(cache=True)
def add_one(x: float) -> float:
    """Return x + 1."""
    return x + 1.0
