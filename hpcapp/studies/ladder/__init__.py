# SPDX-License-Identifier: MIT
"""One problem from plain Python to the cluster: a module of rungs for each workload."""
