# SPDX-License-Identifier: MIT
"""Direct solution of the last level. Imported in `steps` and `warm_up` only."""

import numba
import numpy as np

__all__ = ["factor_band_cpu", "solve_band_cpu"]

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def factor_band_cpu(band: np.ndarray) -> None:
    """Factor a banded matrix in place, without pivoting.

    Parameters
    ----------
    band : float64[n, 2 m + 1]
        Modified: entry (i, j) stands at [i, j - i + m]; the factors of LU after.
        The matrix must be diagonally dominant.

    Notes
    -----
    2 n m^2 flops (Golub, Van Loan, Matrix Computations, 4th ed., algorithm 4.3.1).
    """
    n, m = band.shape[0], band.shape[1] // 2
    for k in range(n):
        for i in range(k + 1, min(n, k + m + 1)):
            factor = band[i, k - i + m] / band[k, m]
            band[i, k - i + m] = factor
            for j in range(k + 1, min(n, k + m + 1)):
                band[i, j - i + m] -= factor * band[k, j - k + m]


@_jit
def solve_band_cpu(band: np.ndarray, x: np.ndarray) -> None:
    """Solve with the factors of `factor_band_cpu`.

    Parameters
    ----------
    band : float64[n, 2 m + 1]
        Factors.
    x : float64[n]
        Right-hand side; modified: the solution.
    """
    n, m = band.shape[0], band.shape[1] // 2
    for i in range(n):
        for j in range(max(0, i - m), i):
            x[i] -= band[i, j - i + m] * x[j]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, min(n, i + m + 1)):
            x[i] -= band[i, j - i + m] * x[j]
        x[i] /= band[i, m]
