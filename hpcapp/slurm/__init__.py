# SPDX-License-Identifier: MIT
"""Batch jobs on clusters: facts about sites, scripts made from them. No MPI."""
