# SPDX-License-Identifier: MIT
"""Which GPU a rank takes, and whether it can be used. No MPI."""

import importlib.util
import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcapp.errors import ConfigError
from hpcapp.gpu import hardware
from hpcapp.gpu.device import CudaDevice, Device
from hpcapp.gpu.hardware import Gpu

__all__ = [
    "Choice",
    "choose",
    "claim_gpu",
    "find_gpu",
    "local_rank",
    "open_device",
    "simulated",
]

# number of a process on its node, as each launcher tells it
LOCAL_RANKS = (
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "PALS_LOCAL_RANKID",
    "SLURM_LOCALID",
)

DEVICES = Path("/dev")

# set for Numba before it is imported: kernels run in Python, on any machine
SIMULATOR = "NUMBA_ENABLE_CUDASIM"

INSTALL = 'install it: pip install "hpcapp[cuda]"'


@dataclass(frozen=True)
class Choice:
    """Where the kernels of a run will run, on all ranks alike.

    Parameters
    ----------
    cuda : bool
        Whether on GPUs.
    note : str
        Why on the CPU after all; "" where that was asked for, or on GPUs.
    """

    cuda: bool = False
    note: str = ""


def simulated(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether CUDA kernels are to run in Numba's simulator."""
    return environ.get(SIMULATOR, "0") not in ("", "0")


def local_rank(environ: Mapping[str, str]) -> int:
    """Return the number of this process on its node, as its launcher says.

    Parameters
    ----------
    environ : mapping
        The process environment.

    Returns
    -------
    int
        0 where no launcher tells it.
    """
    for name in LOCAL_RANKS:
        text = environ.get(name, "")
        if text.isdecimal():
            return int(text)
    return 0


def claim_gpu(environ: MutableMapping[str, str], devices: Path = DEVICES) -> str:
    """Let this process see one GPU only, before MPI or CUDA starts.

    An MPI library that knows of GPUs opens one in MPI_Init, the first that it sees.
    Ranks of a node take the GPUs in turn. Nothing is opened or imported here, so
    that a run on the CPU pays nothing.

    Parameters
    ----------
    environ : mapping
        The process environment; ``CUDA_VISIBLE_DEVICES`` is set where there are
        several GPUs.
    devices : Path
        Where the driver has put them; another folder in tests.

    Returns
    -------
    str
        What ``CUDA_VISIBLE_DEVICES`` is now, "" where it is not set.
    """
    name = "CUDA_VISIBLE_DEVICES"
    if name in environ:
        visible = [text for text in environ[name].split(",") if text.strip()]
    else:
        files = [path.name[6:] for path in devices.glob("nvidia[0-9]*")]
        # CUDA counts those that it finds: a container may have the last two of four
        visible = [str(n) for n in range(sum(map(str.isdecimal, files)))]
    if len(visible) > 1:
        environ[name] = visible[local_rank(environ) % len(visible)].strip()
    return environ.get(name, "")


def find_gpu(environ: Mapping[str, str] = os.environ) -> Gpu:
    """Open the GPU that this process sees, or say why that is impossible.

    Imports the CUDA target of Numba: called only where a configuration wants a GPU.

    Returns
    -------
    Gpu
        With a `fault` where it cannot be used.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return Gpu(fault=f"numba-cuda is not installed here; {INSTALL}")
    if simulated(environ):
        return Gpu("simulator", hardware.SIMULATED)
    if environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return Gpu(fault="no GPU is visible: CUDA_VISIBLE_DEVICES is empty")
    return hardware.examine()


def choose(
    wanted: str, reason: str, gpus: Sequence[Gpu], hosts: Sequence[str]
) -> Choice:
    """Decide where all ranks compute.

    Parameters
    ----------
    wanted : "cpu", "cuda" or "auto"
        As configured.
    reason : str
        Why the workload cannot use a GPU, or "".
    gpus : sequence of Gpu
        Of each rank; none where `reason` says something, or before they are known.
    hosts : sequence of str
        Of each rank.

    Returns
    -------
    Choice
        GPUs, if every rank has one.

    Raises
    ------
    ConfigError
        If `cuda` is wanted and cannot be had.
    """
    if wanted == "cpu":
        return Choice()
    for rank, gpu in enumerate(gpus):
        if gpu.fault and not reason:
            reason = f"rank {rank} on {hosts[rank]}: {gpu.fault}"
    if not reason:
        return Choice(cuda=True)
    if wanted == "auto":
        return Choice(note=reason)
    raise ConfigError(
        f"cuda asked for, but {reason}; or use device: cpu, or auto to allow the CPU",
        key="run.device",
    )


def open_device(
    threads: int,
    choice: Choice,
    gpus: Sequence[Gpu] = (),
    rank: int = 0,
    direct: bool = False,
) -> Device:
    """Open what was chosen.

    Parameters
    ----------
    threads : int
        Of this rank.
    choice : Choice
        Of all ranks.
    gpus : sequence of Gpu
        Of each rank.
    rank : int
        This one.
    direct : bool
        Whether messages between GPUs come from their memory.

    Returns
    -------
    Device
        Ready to launch.
    """
    if choice.cuda:
        users = sum(gpu.uuid == gpus[rank].uuid for gpu in gpus)
        return CudaDevice(threads, gpus[rank], users, direct)
    return Device(threads, f"cpu (auto: {choice.note})" if choice.note else "cpu")
