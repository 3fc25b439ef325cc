# SPDX-License-Identifier: MIT
"""MPI in the words of this field. Nothing outside this package imports mpi4py."""
