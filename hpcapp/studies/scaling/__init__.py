# SPDX-License-Identifier: MIT
"""Scaling studies: runs on several numbers of cores, and what may be said of them."""
