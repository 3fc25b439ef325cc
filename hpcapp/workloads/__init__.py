# SPDX-License-Identifier: MIT
"""The workloads of this package, one file or folder each, found by name."""
