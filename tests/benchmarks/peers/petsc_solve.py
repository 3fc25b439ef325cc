# SPDX-License-Identifier: MIT
"""Geometric multigrid by PETSc on rows of blocks: ``petsc_solve.py N [options]``.

Run by mpirun under the system's Python. Set-up is left out. The options of PETSc
choose the method.
"""

import sys
import time

import petsc4py

petsc4py.init(sys.argv)

import numpy as np  # noqa: E402
from petsc4py import PETSc  # noqa: E402
from problem import discrete_rows, tell  # noqa: E402


def assemble(mesh, n):
    """Return the matrix and the right-hand side; given values are eliminated."""
    (_, first), (_, rows) = mesh.getCorners()
    matrix, right = mesh.createMatrix(), mesh.createGlobalVec()
    j, i = np.mgrid[first : first + rows, 0:n]
    inside = (j > 0) & (j < n - 1) & (i > 0) & (i < n - 1)
    columns, values = [], []
    for dj, di in ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)):
        there_j, there_i = j + dj, i + di
        there = (there_j > 0) & (there_j < n - 1) & (there_i > 0) & (there_i < n - 1)
        used = inside & there if (dj, di) != (0, 0) else np.ones_like(inside)
        columns.append(np.where(used, there_j * n + there_i, -1))
        values.append(np.where((dj == 0) & (di == 0), 4.0, -1.0) + 0 * j)
    columns, values = np.stack(columns, -1), np.stack(values, -1)
    used = columns >= 0
    starts = np.concatenate([[0], np.cumsum(used.sum(-1).ravel())])
    matrix.setValuesCSR(
        starts.astype(PETSc.IntType), columns[used].astype(PETSc.IntType), values[used]
    )
    matrix.assemble()
    top = np.sin(np.pi * np.arange(n) / (n - 1))
    top[[0, -1]] = 0.5 * top[[0, -1]]
    known = np.zeros((rows, n))
    if first + rows == n:
        known[-1] = 4 * top
        known[-2, 1:-1] += top[1:-1]
    right.setArray(known.ravel())
    return matrix, right, first, rows


def main(n):
    """Solve twice from zero; the second counts."""
    mesh = PETSc.DMDA().create(
        (n, n), dof=1, stencil_width=1, proc_sizes=(1, PETSc.COMM_WORLD.size)
    )
    matrix, right, first, rows = assemble(mesh, n)
    solver = PETSc.KSP().create()
    solver.setDM(mesh)
    solver.setDMActive(False)
    solver.setOperators(matrix)
    solver.setFromOptions()
    solver.setUp()
    u = right.duplicate()
    for _ in range(2):
        u.set(0.0)
        PETSc.COMM_WORLD.barrier()
        begun = time.perf_counter()
        solver.solve(right, u)
        PETSc.COMM_WORLD.barrier()
        seconds = time.perf_counter() - begun
    exact = right.duplicate()
    exact.setArray(discrete_rows(n, first, first + rows).ravel())
    rest = right.duplicate()
    matrix.mult(u, rest)
    rest.aypx(-1.0, right)
    residual = rest.norm(PETSc.NormType.INFINITY) / right.norm(PETSc.NormType.INFINITY)
    exact.axpy(-1.0, u)
    error = exact.norm(PETSc.NormType.INFINITY)
    if PETSc.COMM_WORLD.rank == 0:
        tell(seconds, error, residual)


if __name__ == "__main__":
    main(int(sys.argv[1]))
