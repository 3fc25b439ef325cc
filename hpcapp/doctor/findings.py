# SPDX-License-Identifier: MIT
"""From what the ranks see to findings with their fixes. No MPI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hpcapp.doctor.limits import Limits
from hpcapp.doctor.survey import Rank
from hpcapp.doctor.trials import Exchange, Trial
from hpcapp.planning import BASELINE, show_bytes

__all__ = [
    "Finding",
    "by_host",
    "check_cache",
    "check_cores",
    "check_directory",
    "check_imports",
    "check_limits",
    "check_memory",
    "check_messages",
    "check_versions",
    "ranges",
]

# an import that takes longer waits for its file system
LONG_IMPORT = 10.0

# one way for 8 bytes: beyond this not even Ethernet is to blame
LONG_LATENCY = 1e-3

# all ranks together: a single disk of the last century wrote as fast; and what a file
# system takes to make a file when nobody disturbs it
SLOW_FILES, LONG_CREATE = 20e6, 0.1

LOCAL = "set HPCAPP_CACHE to a folder on a disk of the node itself"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Parameters
    ----------
    level : {"ok", "warning", "fault"}
        A fault makes runs fail, wrong or many times slower.
    name : str
        What was checked, in a word.
    text : str
        What was found.
    fix : str
        What to do about it; "" where nothing need be done.
    """

    level: Literal["ok", "warning", "fault"]
    name: str
    text: str
    fix: str = ""


def ranges(numbers: Sequence[int]) -> str:
    """Return numbers as a list of ranges.

    Parameters
    ----------
    numbers : sequence of int
        Ascending.

    Returns
    -------
    str
        For people.

    Examples
    --------
    >>> ranges([0, 1, 2, 5])
    '0-2,5'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def check_versions(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell whether all ranks run the same versions, and none is missing."""
    first = ranks[0].versions
    missing = [name for name, version in first.items() if version == "missing"]
    if missing:
        text = f"not installed: {', '.join(missing)}"
        return [Finding("fault", "versions", text, f"pip install {' '.join(missing)}")]
    for rank, seen in enumerate(ranks):
        for name in {**first, **seen.versions}:
            # what only GPUs need may be on one node alone
            here, there = (found.get(name, "none") for found in (first, seen.versions))
            if here != there:
                text = (
                    f"rank {rank} on {seen.host} has {name} {there}, rank 0 on "
                    f"{ranks[0].host} has {here}"
                )
                fix = "let all nodes use one environment: results depend on it"
                return [Finding("fault", "versions", text, fix)]
    return [Finding("ok", "versions", "the same on all ranks")]


def check_cores(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell whether ranks have cores of their own, node by node."""
    found = []
    for host, members in by_host(ranks).items():
        used = sorted({core for rank in members for core in ranks[rank].cores})
        allowed = {core for rank in members for core in ranks[rank].allowed}
        idle = sorted(allowed - set(used))
        crowded = _crowded(ranks, members) if idle else ""
        if crowded:
            text = f"{crowded} on {host}, while others are idle: {ranges(idle)}"
            fix = (
                "mpirun --bind-to core (MPICH: -bind-to core), or srun "
                "--cpu-bind=cores with --cpus-per-task=1"
            )
            found.append(Finding("fault", "binding", text, fix))
        elif len(members) > len(used):
            text = (
                f"{len(members)} ranks share {len(used)} cores on {host}: results are "
                "the same, times say nothing about scaling"
            )
            fix = f"start at most {len(used)} ranks on {host}"
            found.append(Finding("warning", "cores", text, fix))
    return found or [Finding("ok", "cores", "at least one for each rank")]


def _crowded(ranks: Sequence[Rank], members: Sequence[int]) -> str:
    groups: dict[tuple[int, ...], list[int]] = {}
    for rank in members:
        groups.setdefault(ranks[rank].cores, []).append(rank)
    for mask, group in groups.items():
        if len(group) > len(mask):
            cores = f"core {mask[0]}" if len(mask) == 1 else f"cores {ranges(mask)}"
            return f"ranks {ranges(group)} are all bound to {cores}"
    return ""


def check_memory(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell whether each node has memory for its ranks' libraries alone."""
    texts = []
    for host, members in by_host(ranks).items():
        limit = min(ranks[rank].memory for rank in members)
        need = len(members) * BASELINE
        if need > limit:
            text = (
                f"{show_bytes(limit)} may be used on {host}, the libraries of its "
                f"{len(members)} ranks take {show_bytes(need)}"
            )
            fix = "ask the batch system for more memory, or start fewer ranks on a node"
            return [Finding("fault", "memory", text, fix)]
        texts.append((limit, f"{show_bytes(limit)} may be used on {host}"))
    least = min(texts)[1]
    return [Finding("ok", "memory", least + (", the least" if len(texts) > 1 else ""))]


def check_directory(trial: Trial, size: int) -> list[Finding]:
    """Tell whether results can be written, and by whom.

    Parameters
    ----------
    trial : Trial
        What came of trying.
    size : int
        Number of ranks.

    Returns
    -------
    list of Finding
        On the directory, and on the writers if it can be written to.
    """
    place = trial.directory
    if trial.fault:
        fix = "name a directory that exists and that you may write to"
        text = f"{place}: cannot be written to: {trial.fault}"
        return [Finding("fault", "directory", text, fix)]
    if trial.blind:
        text = f"{place}: ranks {ranges(trial.blind)} do not see what rank 0 writes"
        fix = "use a directory on a file system that all nodes share"
        return [Finding("fault", "directory", text, fix)]
    kind = f" ({trial.system})" if trial.system else ""
    found = [Finding("ok", "directory", f"{place}{kind}: can be written to")]
    if trial.direct:
        text = f"only gather works there, through rank 0; direct: {trial.direct}"
        fix = "for large results use a parallel file system; output.writer: auto copes"
        return [*found, Finding("warning", "writers", text, fix)]
    used = "gather is used by one rank" if size == 1 else "direct is used"
    return [*found, Finding("ok", "writers", f"direct and gather work there; {used}")]


def check_imports(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell whether programs load in reasonable time."""
    if any(rank.numba_seconds < 0 for rank in ranks):
        bad = [rank for rank, seen in enumerate(ranks) if seen.numba_seconds < 0]
        text = f"Numba cannot be imported on ranks {ranges(bad)}"
        return [Finding("fault", "imports", text, "python -c 'import numba' tells why")]
    start = [rank.start_seconds for rank in ranks]
    numba = [rank.numba_seconds for rank in ranks]
    text = (
        f"MPI {min(start):.2f} to {max(start):.2f} s with its start, Numba "
        f"{min(numba):.2f} to {max(numba):.2f} s"
    )
    if max(*start, *numba) < LONG_IMPORT:
        return [Finding("ok", "imports", text)]
    fix = "put the environment on a disk of the node, or into a container image"
    return [Finding("warning", "imports", text, fix)]


def check_cache(ranks: Sequence[Rank]) -> list[Finding]:
    """Tell whether compiled kernels are kept, and near."""
    for rank, seen in enumerate(ranks):
        if seen.cache_fault:
            text, _, fix = seen.cache_fault.partition("; ")
            text = f"rank {rank} on {seen.host}: {text}"
            return [Finding("fault", "cache", text, fix)]
        if seen.cache_shared:
            place = f"{seen.cache} on {seen.host}"
            text = f"{place} is on a shared file system ({seen.cache_shared})"
            return [Finding("warning", "cache", text, LOCAL)]
    return [Finding("ok", "cache", f"compiled kernels are kept in {ranks[0].cache}")]


def check_messages(exchange: Exchange | None, ranks: Sequence[Rank]) -> list[Finding]:
    """Tell how fast messages are between the first and the last rank."""
    if exchange is None:
        return []
    ends = (
        f"on {ranks[0].host}"
        if ranks[0].host == ranks[-1].host
        else f"from {ranks[0].host} to {ranks[-1].host}"
    )
    text = (
        f"8 bytes take {exchange.latency * 1e6:.3g} us, 1 MiB goes at "
        f"{show_bytes(exchange.rate)}/s, {ends}"
    )
    if exchange.latency < LONG_LATENCY:
        return [Finding("ok", "messages", text)]
    fix = "give each rank its own core; between nodes, let MPI use the fast network"
    return [Finding("warning", "messages", text, fix)]


def check_limits(limits: Limits, trial: Trial) -> list[Finding]:
    """Tell how fast memory and files are.

    Parameters
    ----------
    limits : Limits
        As measured.
    trial : Trial
        Where files were written.

    Returns
    -------
    list of Finding
        On memory; on files where they can be written.
    """
    text = f"{show_bytes(limits.memory)}/s copied by all ranks at once"
    found = [Finding("ok", "bandwidth", text)]
    if not limits.file:
        return found
    kind = f" ({trial.system})" if trial.system else ""
    text = (
        f"{show_bytes(limits.file)}/s by all ranks at once with fsync, "
        f"{limits.create * 1e3:.3g} ms for an empty one, in {trial.directory}{kind}"
    )
    if limits.file >= SLOW_FILES and limits.create < LONG_CREATE:
        return [*found, Finding("ok", "files", text)]
    fix = "write to the scratch file system of the machine: output.directory"
    return [*found, Finding("warning", "files", f"slow: {text}", fix)]


def by_host(ranks: Sequence[Rank]) -> dict[str, list[int]]:
    """Return the ranks of each node."""
    hosts: dict[str, list[int]] = {}
    for number, rank in enumerate(ranks):
        hosts.setdefault(rank.host, []).append(number)
    return hosts
