# SPDX-License-Identifier: MIT
"""Files: layout, writers, checkpoints, provenance. Gets a communicator, keeps none."""
