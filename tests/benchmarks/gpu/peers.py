# SPDX-License-Identifier: MIT
"""CuPy and PyTorch, and how their users do the tasks: with arrays.

What both spell alike is written once, with the library as an argument. In Numba's
simulator NumPy stands for CuPy, and PyTorch computes on the CPU, so that the code is
tried and its answers are checked without a GPU.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

__all__ = [
    "ESCAPE",
    "CupyArrays",
    "TorchArrays",
    "count_escapes",
    "find_peers",
    "kempner_terms",
    "sweep_redblack",
]

MISSING = "not installed"


class CupyArrays:
    """CuPy, or NumPy where there is no GPU.

    Parameters
    ----------
    module : module
        `cupy` or `numpy`.
    """

    def __init__(self, module: Any) -> None:
        self.xp = module
        self.name = "CuPy" if module.__name__ == "cupy" else "CuPy (here NumPy)"
        self.version: str = module.__version__
        self._random = module.random.default_rng(20261122)

    @property
    def real(self) -> bool:
        """Whether this is CuPy itself, which has kernels of elements."""
        return hasattr(self.xp, "ElementwiseKernel")

    def put(self, array: np.ndarray) -> Any:
        """Return a copy on the GPU."""
        return self.xp.array(array)

    def get(self, array: Any) -> np.ndarray:
        """Return a copy on the host."""
        found: np.ndarray = self.xp.asnumpy(array) if self.real else array.copy()
        return found

    def zeros(self, shape: Any, kind: str = "float64") -> Any:
        """Return zeros of that shape and type."""
        return self.xp.zeros(shape, getattr(self.xp, kind))

    def count_up(self, first: int, last: int, kind: str = "float64") -> Any:
        """Return the numbers from `first` to before `last`."""
        return self.xp.arange(first, last, dtype=getattr(self.xp, kind))

    def uniform(self, shape: Any) -> Any:
        """Return random numbers between 0 and 1: float64."""
        return self._random.random(shape)

    def copy(self, out: Any, array: Any) -> None:
        """Copy an array."""
        self.xp.copyto(out, array)

    def forget(self) -> None:
        """Give memory back."""
        if self.real:
            self.xp.get_default_memory_pool().free_all_blocks()

    def compiled(self) -> dict[str, Callable[[Any, Any], None]]:
        """Return further ways to do a Jacobi sweep."""
        if not self.real:
            return {}
        average = self.xp.ElementwiseKernel(
            "float64 a, float64 b, float64 c, float64 d",
            "float64 mean",
            "mean = 0.25 * (a + b + c + d)",
            "average",
        )

        def sweep(u: Any, new: Any) -> None:
            around = (u[:-2, 1:-1], u[2:, 1:-1], u[1:-1, :-2], u[1:-1, 2:])
            average(*around, new[1:-1, 1:-1])

        return {"ElementwiseKernel": sweep}


class TorchArrays:
    """PyTorch on a GPU, or on the CPU where there is none.

    Parameters
    ----------
    module : module
        `torch`.
    where : str
        "cuda" or "cpu".
    """

    name = "PyTorch"

    def __init__(self, module: Any, where: str = "cuda") -> None:
        self.xp, self._where = module, module.device(where)
        self.version: str = module.__version__
        self.real = where == "cuda"
        module.manual_seed(20261122)

    def put(self, array: np.ndarray) -> Any:
        """Return a copy on the GPU."""
        return self.xp.from_numpy(array.copy()).to(self._where)

    def get(self, array: Any) -> np.ndarray:
        """Return a copy on the host."""
        found: np.ndarray = array.cpu().numpy().copy()
        return found

    def zeros(self, shape: Any, kind: str = "float64") -> Any:
        """Return zeros of that shape and type."""
        kind = getattr(self.xp, kind)
        return self.xp.zeros(shape, dtype=kind, device=self._where)

    def count_up(self, first: int, last: int, kind: str = "float64") -> Any:
        """Return the numbers from `first` to before `last`."""
        kind = getattr(self.xp, kind)
        return self.xp.arange(first, last, dtype=kind, device=self._where)

    def uniform(self, shape: Any) -> Any:
        """Return random numbers between 0 and 1: float64."""
        return self.xp.rand(shape, dtype=self.xp.float64, device=self._where)

    def copy(self, out: Any, array: Any) -> None:
        """Copy an array."""
        out.copy_(array)

    def forget(self) -> None:
        """Give memory back."""
        if self.real:
            self.xp.cuda.empty_cache()

    def compiled(self) -> dict[str, Callable[[Any, Any], None]]:
        """Return further ways to do a Jacobi sweep."""
        from tests.benchmarks.rungs import sweep_jacobi_slices

        if not self.real:
            return {}
        return {"torch.compile": self.xp.compile(sweep_jacobi_slices)}


def find_peers(simulated: bool) -> tuple[list[Any], dict[str, str]]:
    """Return the libraries that are there, and why the others are not.

    Parameters
    ----------
    simulated : bool
        Whether kernels run in Numba's simulator.
    """
    found: list[Any] = []
    missing: dict[str, str] = {}
    if simulated:
        found.append(CupyArrays(np))
    elif not find_spec("cupy"):
        missing["CuPy"] = MISSING
    else:
        import cupy

        found.append(CupyArrays(cupy))
    if not find_spec("torch"):
        missing["PyTorch"] = MISSING
        return found, missing
    import torch

    if simulated:
        found.append(TorchArrays(torch, "cpu"))
    elif torch.cuda.is_available():
        found.append(TorchArrays(torch))
    else:
        missing["PyTorch"] = f"{torch.__version__} sees no GPU"
    return found, missing


def sweep_redblack(u: Any, omega: float) -> None:
    """Over-relax the points of even j + i, then the others, by slices.

    Parameters
    ----------
    u : array, float64[ny, nx]
        Modified.
    omega : float
        Relaxation factor.
    """
    ny, nx = u.shape
    for colour in range(2):
        for j in (1, 2):
            i = 1 + (j + 1 + colour) % 2
            here = u[j : ny - 1 : 2, i : nx - 1 : 2]
            above, below = (
                u[k : ny - 1 + k - j : 2, i : nx - 1 : 2] for k in (j - 1, j + 1)
            )
            left, right = (
                u[j : ny - 1 : 2, k : nx - 1 + k - i : 2] for k in (i - 1, i + 1)
            )
            average = 0.25 * (above + below + left + right)
            here += omega * (average - here)


# the body of an ElementwiseKernel: from cr, ci and most to count
ESCAPE = """
double zr = 0.0, zi = 0.0, zr2 = 0.0, zi2 = 0.0;
int done = 0;
while (done < most && zr2 + zi2 <= 4.0) {
    zi = 2.0 * zr * zi + ci;
    zr = zr2 - zi2 + cr;
    zr2 = zr * zr;
    zi2 = zi * zi;
    ++done;
}
count = done;
"""


def count_escapes(arrays: Any, cr: Any, ci: Any, most: int) -> Any:
    """Count the iterations of all pixels at a time.

    Parameters
    ----------
    arrays : CupyArrays or TorchArrays
        The library.
    cr, ci : array, float64[ny, nx]
        The pixels.
    most : int
        Iterations at most.

    Returns
    -------
    array, int32[ny, nx]
        The counts: what is out goes on to infinity, or to no number, and stays out.
    """
    counts = arrays.zeros(cr.shape, "int32")
    zr, zi = arrays.zeros(cr.shape), arrays.zeros(cr.shape)
    for _ in range(most):
        zr2, zi2 = zr * zr, zi * zi
        counts += zr2 + zi2 <= 4.0
        zi = 2.0 * zr * zi + ci
        zr = zr2 - zi2 + cr
    return counts


def kempner_terms(arrays: Any, first: int, last: int) -> Any:
    """Return 1/k for consecutive k, 0 where k has the digit 9: float64.

    Parameters
    ----------
    arrays : CupyArrays or TorchArrays
        The library.
    first, last : int
        The first k, and one past the last.
    """
    k, rest = arrays.count_up(first, last), arrays.count_up(first, last, "int64")
    good = rest > 0
    for _ in range(len(str(last - 1))):
        good &= rest % 10 != 9
        rest = rest // 10
    return arrays.xp.where(good, 1.0 / k, 0.0)
