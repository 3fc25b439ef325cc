# SPDX-License-Identifier: MIT
"""What a machine with Slurm says of itself."""

import json
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from hpcapp.errors import LaunchError
from hpcapp.slurm.call import call_slurm

__all__ = ["Group", "Machine", "read_machine"]

# of sinfo: partition, nodes, memory in MiB, GRES, sockets, cores, threads
NODES = "%R|%D|%m|%G|%X|%Y|%Z"

# a word alone on a line, or a version of pmix anywhere
PLUGIN = r"(?<=\s)[a-z]\w*(?=\s*$)|pmix_v\d+"


@dataclass(frozen=True)
class Group:
    """Nodes of one kind in a partition.

    Parameters
    ----------
    count : int
        How many.
    cores, threads, memory, gpus : int
        Cores, hardware threads of each, MiB, GPUs.
    """

    count: int
    cores: int
    threads: int
    memory: int
    gpus: int


@dataclass(frozen=True)
class Machine:
    """What the machine says of itself.

    Parameters
    ----------
    config : mapping
        Of ``scontrol show config``.
    partitions : mapping
        From names to the mappings of ``scontrol show partition``.
    groups : mapping
        From names of partitions to their kinds of nodes.
    mpi : tuple of str
        Plugins of srun.
    qos : mapping or None
        From names to time limits; None where nobody keeps accounts.
    node : mapping
        Of ``lscpu`` on a node of a job, empty outside.
    partition : str
        Of the job, "" outside.
    """

    config: Mapping[str, str]
    partitions: Mapping[str, Mapping[str, str]]
    groups: Mapping[str, tuple[Group, ...]]
    mpi: tuple[str, ...]
    qos: Mapping[str, str] | None = None
    node: Mapping[str, str] = field(default_factory=dict)
    partition: str = ""


def read_machine(environ: Mapping[str, str]) -> Machine:
    """Ask Slurm, and inside of a job the node.

    Parameters
    ----------
    environ : mapping
        The process environment.

    Returns
    -------
    Machine
        At this moment.

    Raises
    ------
    LaunchError
        If Slurm is not installed or does not answer.
    """
    config = call_slurm(["scontrol", "show", "config"], environ)
    partitions = call_slurm(["scontrol", "show", "partition", "-o"], environ)
    kinds = call_slurm(["sinfo", "-h", "-o", NODES], environ)
    # the list goes to stdout or stderr
    plugins = call_slurm(["srun", "--mpi=list"], environ, both=True)
    inside = "SLURM_JOB_ID" in environ
    return Machine(
        config=dict(re.findall(r"^(\w+)\s*= *(.*?) *$", config, re.MULTILINE)),
        partitions={
            found["PartitionName"]: found
            for line in partitions.splitlines()
            if "PartitionName" in (found := dict(re.findall(r"(\w+)=(\S*)", line)))
        },
        groups=_groups(kinds),
        mpi=tuple(re.findall(PLUGIN, plugins, re.MULTILINE)),
        qos=_qos(environ),
        node=_node() if inside else {},
        partition=environ.get("SLURM_JOB_PARTITION", "") if inside else "",
    )


def _groups(text: str) -> dict[str, tuple[Group, ...]]:
    groups: dict[str, tuple[Group, ...]] = {}
    for line in text.splitlines():
        name, count, memory, gres, sockets, cores, threads = line.split("|")
        gpus = sum(
            int(number) for number in re.findall(r"gpu(?::[^:,(]+)?:(\d+)", gres)
        )
        group = Group(
            count=_number(count),
            cores=_number(sockets) * _number(cores),
            threads=_number(threads),
            memory=_number(memory),
            gpus=gpus,
        )
        groups[name] = (*groups.get(name, ()), group)
    return groups


def _qos(environ: Mapping[str, str]) -> dict[str, str] | None:
    command = ["sacctmgr", "-nP", "show", "qos", "format=name,maxwall"]
    try:
        text = call_slurm(command, environ)
    except LaunchError:
        # many sites keep no accounts, or let nobody read them
        return None
    return dict(line.partition("|")[::2] for line in text.splitlines())


def _node() -> dict[str, str]:
    found = {"arch": platform.machine()}
    with suppress(OSError, subprocess.SubprocessError, ValueError, KeyError):
        done = subprocess.run(
            ["lscpu", "-J"], capture_output=True, text=True, check=True, timeout=60
        )
        for entry in json.loads(done.stdout)["lscpu"]:
            found[entry["field"].rstrip(":")] = entry["data"]
            for inner in entry.get("children", ()):
                found[inner["field"].rstrip(":")] = inner["data"]
                for last in inner.get("children", ()):
                    found[last["field"].rstrip(":")] = last["data"]
    return found


def _number(text: str) -> int:
    # "128+" stands for nodes of several kinds
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0
