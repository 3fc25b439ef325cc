# SPDX-License-Identifier: MIT
"""Copies of pieces of arrays on a GPU. Imported where they are used."""

import numpy as np
from numba import cuda

from hpcapp.gpu.kernels import kernel

__all__ = ["SIGNATURES", "copy_planes_gpu", "copy_rows_gpu"]

SIGNATURES = {
    "copy_planes_gpu": "void(float64[:,:,:], float64[:,:,:])",
    "copy_rows_gpu": "void(float64[:,:], float64[:,:])",
}


@kernel
def copy_rows_gpu(out: np.ndarray, piece: np.ndarray) -> None:
    """Copy a two-dimensional piece.

    Parameters
    ----------
    out : float64[ny, nx]
        Written; a view too.
    piece : float64[ny, nx]
        A view.
    """
    width = out.shape[1]
    for k in range(cuda.grid(1), out.shape[0] * width, cuda.gridsize(1)):
        out[k // width, k % width] = piece[k // width, k % width]


@kernel
def copy_planes_gpu(out: np.ndarray, piece: np.ndarray) -> None:
    """Copy a three-dimensional piece.

    Parameters
    ----------
    out : float64[nz, ny, nx]
        Written; a view too.
    piece : float64[nz, ny, nx]
        A view.
    """
    width = out.shape[2]
    plane = out.shape[1] * width
    for k in range(cuda.grid(1), out.shape[0] * plane, cuda.gridsize(1)):
        i, j = k % width, k % plane // width
        out[k // plane, j, i] = piece[k // plane, j, i]
