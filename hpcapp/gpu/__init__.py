# SPDX-License-Identifier: MIT
"""GPUs: choosing one for each rank, arrays on it, what CUDA kernels are made of."""
