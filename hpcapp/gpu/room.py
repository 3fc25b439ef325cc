# SPDX-License-Identifier: MIT
"""Whether a run fits into the memory of its GPUs. No MPI."""

from collections.abc import Sequence

from hpcapp.gpu.hardware import Gpu

__all__ = ["lacking_room"]


def lacking_room(
    needs: Sequence[int], gpus: Sequence[Gpu], hosts: Sequence[str]
) -> str:
    """Tell which GPU is too small for the ranks that share it.

    Parameters
    ----------
    needs : sequence of int
        Bytes of arrays of each rank.
    gpus : sequence of Gpu
        Of each rank. The last rank to have opened a GPU has seen least of its memory
        free: what libraries take for each rank is gone by then.
    hosts : sequence of str
        Of each rank.

    Returns
    -------
    str
        "" if all fit, or nothing is known of a GPU's memory, as in the simulator.
    """
    sharing: dict[str, list[int]] = {}
    for rank, gpu in enumerate(gpus):
        sharing.setdefault(gpu.uuid, []).append(rank)
    for ranks in sharing.values():
        gpu, host = gpus[ranks[0]], hosts[ranks[0]]
        need, free = sum(needs[r] for r in ranks), min(gpus[r].free for r in ranks)
        if gpu.memory and need > free:
            who = f"rank {ranks[0]} has {gpu.name} on {host} and needs"
            if len(ranks) > 1:
                who = f"{len(ranks)} ranks share {gpu.name} on {host} and need"
            asked, left, whole = (f"{n / 2**30:.3g}" for n in (need, free, gpu.memory))
            return (
                f"does not fit into GPU memory: {who} {asked} GiB, {left} of {whole} "
                "GiB are free; use more GPUs, fewer ranks on each, a smaller problem, "
                "or device: cpu"
            )
    return ""
