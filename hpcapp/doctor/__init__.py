# SPDX-License-Identifier: MIT
"""Whether a machine's launcher, MPI, cores and file system work together."""
