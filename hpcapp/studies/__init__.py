# SPDX-License-Identifier: MIT
"""What is done around runs: catalogue, schema, comparison, pictures, without MPI."""
