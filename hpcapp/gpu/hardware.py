# SPDX-License-Identifier: MIT
"""What a GPU and its driver are, and whether they can be used. No MPI.

The CUDA target of Numba is imported in functions: a run on the CPU never pays for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SIMULATED", "Gpu", "capability_fault", "driver_fault", "examine"]

SIMULATED = "simulator"
"""What stands for the UUID where kernels run in Numba's simulator."""

# first GPUs with the double precision and the 64-bit atomics that kernels use
OLDEST = (7, 0)


@dataclass(frozen=True)
class Gpu:
    """A GPU as a rank sees it.

    Parameters
    ----------
    name : str
        Of the model.
    uuid : str
        The same for all ranks that share it.
    memory : int
        Bytes.
    capability : (int, int)
        Compute capability.
    multiprocessors : int
        How many.
    driver : str
        Newest version of CUDA that the driver understands.
    fault : str
        Why it cannot be used, or "".
    free : int
        Bytes of memory that nobody had when this rank had opened it.
    """

    name: str = ""
    uuid: str = ""
    memory: int = 0
    capability: tuple[int, int] = (0, 0)
    multiprocessors: int = 1
    driver: str = ""
    fault: str = ""
    free: int = 0

    @property
    def text(self) -> str:
        """Name, compute capability and driver, for the record."""
        if not self.driver:
            return self.name
        capability = ".".join(map(str, self.capability))
        return f"{self.name}, capability {capability}, driver of CUDA {self.driver}"


def examine() -> Gpu:
    """Open the GPU that this process sees first, and look at it.

    Returns
    -------
    Gpu
        With a `fault` where it cannot be used: no driver, one that is too old for
        the installed CUDA, no GPU, or one that is too old.
    """
    from numba import cuda
    from numba.cuda.core import config
    from numba.cuda.cudadrv.driver import driver

    # a few blocks are right for what is small, such as the coarse levels of a cycle
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
    try:
        driver.ensure_initialized()
        version = tuple(driver.get_version())
        found = cuda.get_current_device()
        memory = cuda.current_context().get_memory_info()
    except Exception as error:
        # whatever the driver's own library raises: its types are not ours to know
        return Gpu(fault=_why(error))
    gpu = Gpu(
        name=_text(found.name),
        uuid=_text(found.uuid),
        memory=int(memory.total),
        free=int(memory.free),
        capability=tuple(found.compute_capability)[:2],
        multiprocessors=int(found.MULTIPROCESSOR_COUNT),
        driver=".".join(map(str, version)),
    )
    fault = driver_fault(version) or capability_fault(gpu)
    return gpu if not fault else Gpu(name=gpu.name, uuid=gpu.uuid, fault=fault)


def driver_fault(version: Sequence[int]) -> str:
    """Return why a driver does not do for the installed CUDA, or ""."""
    from cuda.bindings import nvrtc

    # the libraries of one major version run with every driver of that version
    _, toolkit, _ = nvrtc.nvrtcVersion()
    if version[0] >= toolkit:
        return ""
    shown = ".".join(map(str, version))
    return (
        f"the driver knows CUDA up to {shown}, and CUDA {toolkit} is installed; "
        f'update the driver, or pip install "numba-cuda[cu{version[0]}]"'
    )


def capability_fault(gpu: Gpu) -> str:
    """Return why a GPU is too old, or ""."""
    if gpu.capability >= OLDEST:
        return ""
    found, least = (".".join(map(str, pair)) for pair in (gpu.capability, OLDEST))
    return f"{gpu.name} has compute capability {found}, and {least} is needed"


def _why(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" :")]
    text = " ".join(lines) or type(error).__name__
    return f"no GPU can be used: {text}; see nvidia-smi"


def _text(found: Any) -> str:
    return found.decode() if isinstance(found, bytes) else str(found)
