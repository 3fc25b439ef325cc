# SPDX-License-Identifier: MIT
"""Numerical work that people learn HPC Python on, run as a real MPI application."""

__all__ = ["__version__"]

__version__ = "0.1.0"
