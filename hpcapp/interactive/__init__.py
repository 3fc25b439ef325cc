# SPDX-License-Identifier: MIT
"""Runs from a notebook, a script or IPython, on MPI engines of ipyparallel."""
