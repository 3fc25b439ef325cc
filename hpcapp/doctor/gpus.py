# SPDX-License-Identifier: MIT
"""Which GPUs each rank sees, and whether they are shared out well."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpcapp.doctor.findings import Finding, by_host, ranges
from hpcapp.doctor.survey import Rank

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["check_gpus", "list_gpus", "node_gpus"]

QUERY = ("--query-gpu=uuid", "--format=csv,noheader")


def list_gpus() -> tuple[str, ...]:
    """Return the UUIDs of this node's GPUs as ``nvidia-smi`` lists them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = subprocess.run(
            [program, *QUERY], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return tuple(line.strip() for line in lines if line.startswith("GPU-"))


def node_gpus(comm: "Comm") -> tuple[str, ...]:
    """Return this node's GPUs; collective, one rank of the node asks for all."""
    node = comm.node()
    found = node.broadcast(list_gpus() if node.root else ())
    node.free()
    return found


def check_gpus(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell whether ranks can use GPUs, and do not share one while another idles.

    Parameters
    ----------
    ranks : sequence of Rank
        All of them; a rank takes the GPU of its number on the node, modulo those
        that it sees.

    Returns
    -------
    list of Finding
        None where there are no GPUs.
    """
    found, seen = [], 0
    for host, members in by_host(ranks).items():
        gpus = ranks[members[0]].gpus
        seen += len(gpus)
        users: dict[str, list[int]] = {}
        for local, rank in enumerate(members):
            visible = ranks[rank].visible
            if visible:
                users.setdefault(visible[local % len(visible)], []).append(rank)
        idle = [number for number, gpu in enumerate(gpus) if gpu not in users]
        shared = [(gpu, group) for gpu, group in users.items() if len(group) > 1]
        if shared and idle:
            gpu, group = shared[0]
            text = (
                f"ranks {ranges(group)} share GPU {gpus.index(gpu)} on {host}, while "
                f"others are idle: {ranges(idle)}"
            )
            fix = (
                "srun --gpus-per-task=1; under mpirun leave CUDA_VISIBLE_DEVICES "
                "unset, or give each rank its own"
            )
            found.append(Finding("fault", "gpus", text, fix))
    found += _unusable(ranks)
    if found or not seen:
        return found
    kinds = "; ".join(sorted({rank.gpu for rank in ranks if rank.gpu}))
    text = f"{seen} on {len(by_host(ranks))} nodes" + (f": {kinds}" if kinds else "")
    return [Finding("ok", "gpus", text)]


def _unusable(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell the first reason for which a rank cannot use the GPUs of its node."""
    for number, rank in enumerate(ranks):
        if rank.gpu_fault:
            why, _, fix = rank.gpu_fault.partition("; ")
            count = len(rank.gpus)
            there = f"{count} GPU{'s' * (count != 1)}"
            text = f"rank {number} on {rank.host}, which has {there}: {why}"
            fix = fix or "run.device: cuda is refused, auto takes the CPU"
            return [Finding("warning", "gpus", text, fix)]
    return []
