# SPDX-License-Identifier: MIT
"""Comparison of a profile with the machine: what Slurm and the node themselves say."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hpcapp.errors import Exit
from hpcapp.slurm.machine import Group, Machine, read_machine
from hpcapp.slurm.profile import Environment, Profile, Queue
from hpcapp.slurm.times import clock

__all__ = ["Findings", "check_site", "compare"]


@dataclass
class Findings:
    """What a comparison has found.

    Attributes
    ----------
    differences : list of str
        Profile and machine, of one fact each.
    notes : list of str
        What was not compared, and what the profile does not know.
    """

    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, fact: str, profile: object, here: object) -> None:
        """Add a difference if two values are not equal; None is not known."""
        if profile is None:
            self.notes.append(f"{fact}: not in the profile, here {here}")
        elif profile != here:
            self.differ(fact, profile, here)

    def differ(self, fact: str, profile: object, here: object) -> None:
        """Add a difference."""
        self.differences.append(f"{fact}: profile {profile}, here {here}")


def check_site(
    profile: Profile, environ: Mapping[str, str], say: Callable[[str], object]
) -> int:
    """Compare a profile with the machine, and say every difference.

    Parameters
    ----------
    profile : Profile
        Of the site.
    environ : mapping
        The process environment.
    say : callable
        Takes a line.

    Returns
    -------
    int
        `DONE` without a difference, else `FAILED`.

    Raises
    ------
    LaunchError
        If Slurm is not installed or does not answer.
    """
    machine = read_machine(environ)
    findings = compare(profile, machine)
    cluster = machine.config.get("ClusterName", "?")
    version = machine.config.get("SLURM_VERSION", "?")
    say(f"site {profile.site} compared with cluster {cluster}, Slurm {version}")
    for line in findings.differences:
        say(f"differs: {line}")
    for line in findings.notes:
        say(f"note: {line}")
    count = len(findings.differences)
    say(f"{count} difference{'s' * (count != 1)}")
    return Exit.FAILED if count else Exit.DONE


def compare(profile: Profile, machine: Machine) -> Findings:
    """Return the differences between a profile and a machine."""
    findings = Findings()
    enforced = "associations" in machine.config.get("AccountingStorageEnforce", "")
    if profile.account.needed is not None and profile.account.needed != enforced:
        words = {True: "needed", False: "not needed"}
        needed = words[profile.account.needed]
        if enforced:
            findings.differ("account", needed, words[enforced])
        else:
            findings.notes.append(f"account: profile {needed}, not enforced here")
    if machine.config.get("JobRequeue") == "0":
        findings.notes.append("requeue: jobs are requeued only if they ask, as ours do")
    for name, environment in profile.environments.items():
        _compare_launcher(f"environment {name}", environment, machine, findings)
    for queue in profile.queues:
        _compare_queue(queue, machine, findings)
    _compare_node(profile, machine, findings)
    return findings


def _compare_launcher(
    name: str, environment: Environment, machine: Machine, findings: Findings
) -> None:
    plugin = environment.mpi
    if plugin is not None and plugin not in machine.mpi:
        findings.differ(f"{name}: srun --mpi", plugin, ", ".join(machine.mpi))
    if environment.launcher == "srun" and plugin is None:
        default = machine.config.get("MpiDefault", "?")
        findings.notes.append(f"{name}: srun --mpi: the site's default, here {default}")


def _compare_queue(queue: Queue, machine: Machine, findings: Findings) -> None:
    name = f"queue {queue.name}"
    if queue.qos is not None and "{" not in queue.qos:
        if machine.qos is None:
            findings.notes.append(f"{name}: qos {queue.qos}: no accounts here to look")
        elif queue.qos not in machine.qos:
            findings.differ(f"{name}: qos", queue.qos, _list(machine.qos))
        elif machine.qos[queue.qos]:
            _compare_time(name, queue, machine.qos[queue.qos], findings)
    if queue.partition is None:
        findings.notes.append(f"{name}: no partition in the profile: limits as of QOS")
        _compare_hardware(name, queue, _alike(queue, machine), findings)
        return
    partition = machine.partitions.get(queue.partition)
    if partition is None:
        findings.differ(
            f"{name}: partition", queue.partition, _list(machine.partitions)
        )
        return
    # where a QOS sets the limits, those of the partition are others
    if queue.qos is None:
        _compare_limits(name, queue, partition, findings)
    _compare_hardware(name, queue, machine.groups.get(queue.partition, ()), findings)


def _compare_limits(
    name: str, queue: Queue, partition: Mapping[str, str], findings: Findings
) -> None:
    _compare_time(name, queue, partition.get("MaxTime", ""), findings)
    most = partition.get("MaxNodes", "")
    total = partition.get("TotalNodes", "")
    if most.isdecimal():
        findings.expect(f"{name}: nodes of a job", queue.max_nodes, int(most))
    elif total.isdecimal() and (queue.max_nodes or 0) > int(total):
        fact = f"{name}: nodes of a job"
        findings.differ(fact, queue.max_nodes, f"{total} nodes in all")


def _compare_time(name: str, queue: Queue, text: str, findings: Findings) -> None:
    limit = _seconds(text)
    shown = clock(limit) if math.isfinite(limit) else "unlimited"
    profile = None if queue.max_time is None else clock(queue.max_time)
    findings.expect(f"{name}: time limit", profile, shown)


def _alike(queue: Queue, machine: Machine) -> tuple[Group, ...]:
    """Return the nodes that most look like those of a queue, wherever they are."""
    groups = [group for groups in machine.groups.values() for group in groups]
    gpus = queue.gpu.count if queue.gpu is not None else 0
    cores = queue.node.cores + (queue.node.reserved or 0)
    same = [group for group in groups if (group.cores, group.gpus) == (cores, gpus)]
    groups = same or [group for group in groups if group.gpus == gpus] or groups
    return tuple(dict.fromkeys(groups))


def _compare_hardware(
    name: str, queue: Queue, groups: tuple[Group, ...], findings: Findings
) -> None:
    if not groups:
        findings.notes.append(f"{name}: has no nodes here")
        return
    # the kind of node that most of the partition has
    group = max(groups, key=lambda group: group.count)
    if len(groups) > 1:
        kinds = f"{len(groups)} kinds of nodes; compared with the {group.count} of one"
        findings.notes.append(f"{name}: {kinds}")
    node = queue.node
    cores = node.cores + (node.reserved or 0)
    findings.expect(f"{name}: cores of a node", cores, group.cores)
    findings.expect(f"{name}: threads of a core", node.threads, group.threads)
    if node.memory is None:
        findings.expect(f"{name}: memory of a node", None, f"{group.memory} MiB")
    elif node.memory > group.memory:
        fact = f"{name}: memory of a node"
        findings.differ(fact, f"{node.memory} MiB", f"{group.memory} MiB")
    elif node.memory < group.memory:
        # a part may be kept for the system
        findings.notes.append(
            f"{name}: memory of a node: profile {node.memory} MiB, here {group.memory} "
            "MiB"
        )
    wanted = queue.gpu.count if queue.gpu is not None else 0
    if queue.gpu is not None or group.gpus == 0:
        findings.expect(f"{name}: GPUs of a node", wanted, group.gpus)


def _compare_node(profile: Profile, machine: Machine, findings: Findings) -> None:
    queues = [q for q in profile.queues if q.partition == machine.partition]
    if not machine.node or not queues:
        findings.notes.append(
            "hardware of a node: looked at inside of a job of a partition of the "
            "profile alone: srun -n 1 hpcapp submit --check ..."
        )
        return
    queue, found = queues[0], machine.node
    name = f"queue {queue.name}: this node"
    findings.expect(f"{name}: architecture", queue.node.arch, found["arch"])
    cores = int(found.get("Socket(s)", "1")) * int(found.get("Core(s) per socket", "0"))
    usable = queue.node.cores + (queue.node.reserved or 0)
    findings.expect(f"{name}: cores", usable, cores)
    numa = int(found.get("NUMA node(s)", "0"))
    findings.expect(f"{name}: NUMA nodes", queue.node.numa, numa)


def _seconds(text: str) -> float:
    """Read Slurm's D-HH:MM:SS; what is no time is without limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", text)
    if not match:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 86400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds


def _list(names: Mapping[str, object]) -> str:
    return f"only {', '.join(sorted(names))}" if names else "none at all"
