# SPDX-License-Identifier: MIT
"""Algebraic multigrid by pyamg to a relative residual: ``pyamg_solve.py N TOLERANCE``.

Set-up is left out; conjugate gradients accelerate the cycles.
"""

import sys
import time

import numpy as np
import pyamg
from problem import discrete_rows, tell


def main(n, tolerance):
    """Solve once and tell."""
    matrix = pyamg.gallery.poisson((n - 2, n - 2), format="csr")
    right = np.zeros((n - 2, n - 2))
    right[-1] = np.sin(np.pi * np.arange(1, n - 1) / (n - 1))
    solver = pyamg.ruge_stuben_solver(matrix)
    begun = time.perf_counter()
    residuals = []
    u = solver.solve(right.ravel(), tol=tolerance, accel="cg", residuals=residuals)
    seconds = time.perf_counter() - begun
    error = np.abs(u.reshape(right.shape) - discrete_rows(n, 1, n - 1)[:, 1:-1]).max()
    tell(seconds, error, residuals[-1] / residuals[0])


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
