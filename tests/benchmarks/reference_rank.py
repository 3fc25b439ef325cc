# SPDX-License-Identifier: MIT
"""One rank of the reference of `startup`: imports, one cached kernel, a barrier.

Run by mpirun as a script: ``reference_rank.py FOLDER`` with ``modules-0`` and
``modules-1`` in the folder, the names of the modules that rank 0 and the others of a
real run had, one a line in the order in which they were imported. Only mpi4py,
NumPy and Numba are named here.
"""

import importlib
import os
import sys
import time


def main(folder: str) -> None:
    """Do what a rank cannot do without; the cache's folder is in the environment."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    import numba
    import numpy

    with open(f"{folder}/modules-{min(comm.rank, 1)}", encoding="utf-8") as file:
        names = file.read().split()
    for name in names:
        importlib.import_module(name)
    from tests.benchmarks.trivial import add_one

    assert add_one(1.0) == 2.0
    comm.Barrier()
    if comm.rank == 0:
        with open(os.environ["BENCHMARK_MARK"], "w", encoding="utf-8") as file:
            file.write(repr(time.time()))
    assert numba.__version__
    assert numpy.__version__


if __name__ == "__main__":
    main(sys.argv[1])
