# SPDX-License-Identifier: MIT
"""Whether messages may go straight from GPU memory: asked of a process of its own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hpcapp.errors import ConfigError
from hpcapp.gpu.choice import Choice
from hpcapp.gpu.device import CudaDevice
from hpcapp.gpu.hardware import SIMULATED, Gpu
from hpcapp.mpi import world

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Transport",
    "alone",
    "choose_transport",
    "find_transport",
    "refuse_transport",
    "trial_fault",
]

# what a trial may take on a busy machine; below `run.stall`
SECONDS = 60.0

TRIAL = (sys.executable, "-m", "hpcapp.gpu.trial")

# what launchers tell their processes: with it a child would take itself for a rank
LAUNCHED = (
    *("PMI_", "PMI2_", "PMIX_", "PALS_", "HYDI_", "HYDRA_", "MPI_LOCAL", "SLURM_"),
    *("MV2_COMM_WORLD_", "OMPI_COMM_WORLD_", "OMPI_WORLD_", "OMPI_UNIVERSE_SIZE"),
    *("OMPI_FILE_LOCATION", "OMPI_APP_CTX_", "OMPI_NUM_APP_CTX", "OMPI_FIRST_RANKS"),
    *("OMPI_ARGV", "OMPI_COMMAND", "OMPI_TOOL_NAME", "PRTE_LAUNCHED", "FLUX_", "JSM_"),
)
# settings of the library, which must reach the child, but for those of its launch
SETTINGS = "_MCA_"
LAUNCHED_SETTINGS = ("OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_MCA_num_procs")

# what may turn the library's knowledge of GPUs on or off
TUNING = (
    *("OMPI_MCA_", "MPICH_", "MPIR_CVAR_", "I_MPI_", "MV2_", "UCX_", "FI_", "PSM"),
    *("CUDA_", "LD_LIBRARY_PATH", "LD_PRELOAD"),
)


@dataclass(frozen=True)
class Transport:
    """How messages between GPUs travel, on all ranks alike.

    Parameters
    ----------
    gpu : bool
        Whether MPI gets GPU memory; else buffers of the host.
    note : str
        How that was found, where it was not simply asked for.
    """

    gpu: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        """For log and result, such as ``host (auto: one rank sends nothing)``."""
        return ("gpu" if self.gpu else "host") + (
            f" ({self.note})" if self.note else ""
        )


def refuse_transport(wanted: str, device: str, note: str = "") -> None:
    """Refuse messages from GPU memory where kernels run on the CPU.

    Parameters
    ----------
    wanted, device : str
        ``run.transport``, and where the kernels run.
    note : str
        Why they run there, or "".

    Raises
    ------
    ConfigError
        If `wanted` is gpu and `device` cpu.
    """
    if wanted == "gpu" and device == "cpu":
        why = f" ({note})" if note else ""
        raise ConfigError(
            f"gpu asked for, but the kernels run on the CPU{why}; use device: cuda, or "
            "transport: auto",
            key="run.transport",
        )


def choose_transport(
    wanted: str, faults: Sequence[str], hosts: Sequence[str]
) -> Transport:
    """Decide how messages travel between all ranks.

    Parameters
    ----------
    wanted : "gpu" or "auto"
        As configured.
    faults : sequence of str
        Why MPI cannot have GPU memory on each rank; "" where it can.
    hosts : sequence of str
        Of each rank.

    Returns
    -------
    Transport
        From GPU memory, if that works on all ranks.

    Raises
    ------
    ConfigError
        If `gpu` is wanted and cannot be had.
    """
    told = [
        f"rank {rank} on {hosts[rank]}: {fault}"
        for rank, fault in enumerate(faults)
        if fault
    ]
    if not told:
        note = "auto: MPI takes GPU memory here" if wanted == "auto" else ""
        return Transport(gpu=True, note=note)
    if wanted == "auto":
        return Transport(note=f"auto: {told[0]}")
    raise ConfigError(
        f"gpu asked for, but {told[0]}; or use transport: host, or auto to allow it",
        key="run.transport",
    )


def find_transport(
    comm: "Comm",
    environ: Mapping[str, str],
    wanted: str,
    choice: Choice,
    gpus: Sequence[Gpu],
    hosts: Sequence[str],
    exchanges: bool,
) -> Transport:
    """Find out how messages may travel; collective.

    Parameters
    ----------
    comm : Comm
        All ranks.
    environ : mapping
        The process environment.
    wanted : "auto", "host" or "gpu"
        As configured.
    choice : Choice
        Where the kernels run.
    gpus : sequence of Gpu
        Of each rank, where they run on GPUs.
    hosts : sequence of str
        Of each rank.
    exchanges : bool
        Whether ranks exchange arrays at all.

    Returns
    -------
    Transport
        The same on all ranks.

    Raises
    ------
    ConfigError
        If `gpu` is wanted and cannot be had; on all ranks alike.

    Notes
    -----
    First one rank of each node asks a process of its own, which sends to itself: what
    that survives cannot end a rank. Then the ranks send to one another, since between
    two GPUs or two nodes the library goes other ways.
    """
    if not choice.cuda:
        refuse_transport(wanted, "cpu", choice.note)
        return Transport()
    if wanted == "host":
        return Transport()
    if comm.size == 1:
        return Transport(note=f"{wanted}: one rank sends nothing")
    if gpus[comm.rank].uuid == SIMULATED:
        fault = "the arrays of Numba's simulator are not in GPU memory"
        return choose_transport(wanted, [fault], hosts)
    if wanted == "auto" and not exchanges:
        return Transport(note="auto: ranks exchange no arrays")
    gpu, node = gpus[comm.rank], comm.node()
    fault = node.broadcast(trial_fault(environ, gpu) if node.root else "")
    node.free()
    faults = comm.all(fault)
    if not any(faults):
        from hpcapp.mpi.trial import try_messages

        faults = comm.all(try_messages(comm, CudaDevice(1, gpu)))
    return choose_transport(wanted, faults, hosts)


def trial_fault(
    environ: Mapping[str, str],
    gpu: Gpu,
    command: Sequence[str] = TRIAL,
    seconds: float = SECONDS,
) -> str:
    """Return why MPI cannot have GPU memory here, or "".

    What a trial has found is kept beside the compiled kernels, for this host, this MPI
    library with its settings, and this driver.

    Parameters
    ----------
    environ : mapping
        The process environment, with ``NUMBA_CACHE_DIR``.
    gpu : Gpu
        Of this rank.
    command : sequence of str
        What is started.
    seconds : float
        That it may take.

    Returns
    -------
    str
        For people.
    """
    folder = environ.get("NUMBA_CACHE_DIR", "")
    path = Path(folder, f"messages-{_state(environ, gpu)}.json")
    if folder:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(path.read_text("utf-8"))["fault"])
    fault, certain = _try(environ, command, seconds)
    if folder and certain:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({"fault": fault}), "utf-8")
            part.replace(path)
    return fault


def _try(
    environ: Mapping[str, str], command: Sequence[str], seconds: float
) -> tuple[str, bool]:
    """Return what a trial has found, and whether another one would find the same."""
    begin = "MPI was not given GPU memory: the process that tries it"
    try:
        done = subprocess.run(
            command,
            env=alone(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return f"{begin} took longer than {seconds:g} s", False
    except OSError as error:
        return f"{begin} cannot be started: {error.strerror}", False
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"MPI does not take GPU memory: {world.library()} ended by {name}", True
    lines = done.stderr.strip().splitlines()
    if done.returncode:
        last = lines[-1] if lines else "without a word"
        return f"{begin} failed with exit code {done.returncode}: {last}", False
    try:
        fault = str(json.loads(done.stdout.splitlines()[-1])["fault"])
    except (ValueError, LookupError, TypeError):
        return f"{begin} did not tell what it found", False
    return (f"MPI does not take GPU memory: {fault}" if fault else ""), True


def alone(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that no launcher has started.

    Parameters
    ----------
    environ : mapping
        Of a rank.

    Returns
    -------
    dict of str to str
        Without what its launcher has told it; settings of the MPI library stay, and the
        child finds this hpcapp.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (SETTINGS in name or not name.startswith(LAUNCHED))
        and not name.startswith(LAUNCHED_SETTINGS)
    }
    package = str(Path(__file__).parent.parent.parent)
    found = kept.get("PYTHONPATH", "")
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (package, found)))
    return kept


def _state(environ: Mapping[str, str], gpu: Gpu) -> str:
    """Return digits that change when the outcome of a trial may."""
    from hpcapp.mpi.trial import library_text

    facts = [world.host(), library_text(), gpu.name, gpu.driver, sys.prefix]
    facts += [f"{name}={environ[name]}" for name in sorted(environ) if _tunes(name)]
    for package in ("mpi4py", "numba-cuda"):
        with suppress(metadata.PackageNotFoundError):
            facts.append(metadata.version(package))
    return hashlib.blake2b("\n".join(facts).encode(), digest_size=8).hexdigest()


def _tunes(name: str) -> bool:
    # which of its GPUs a rank has got does not matter
    return name.startswith(TUNING) and name != "CUDA_VISIBLE_DEVICES"
