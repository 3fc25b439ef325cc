# SPDX-License-Identifier: MIT
"""Why figures of a point mean nothing, or nothing certain. No numbers of its own."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpcapp.studies.scaling.points import Point, Sample
from hpcapp.studies.scaling.watching import Watch

__all__ = ["Machine", "crowding", "disturbances", "faults"]

# a repeat is disturbed by more than these shares of the cores that a point uses
OTHERS, STOLEN, THROTTLED = 0.05, 0.05, 0.01

# or where the calibration kernel takes so many times its best
SLOW = 1.10

# cores that all work at once must each have this share of the speed of one alone:
# less is no lower clock, but two that share one
ALONE = 0.70


@dataclass(frozen=True)
class Machine:
    """What is known of the machine before anything runs.

    Parameters
    ----------
    host : str
        Its name.
    cores : int
        That may be used.
    quota : float
        Cores' worth of time that the control group allows.
    siblings : mapping
        Physical core of each; may be empty.
    together : float
        Speed of a core while all work, over that of one alone.
    model : str
        Name of the processor.
    """

    host: str
    cores: int
    quota: float
    siblings: Mapping[int, int]
    together: float
    model: str = ""


def crowding(
    point: Point, places: Sequence[tuple[str, Sequence[int]]], machine: Machine
) -> str:
    """Return why the ranks of a point do not have a core for each thread, or "".

    Parameters
    ----------
    point : Point
        With its threads.
    places : sequence of (str, sequence of int)
        Node and cores of each rank.
    machine : Machine
        Whose physical cores are known.

    Returns
    -------
    str
        The first node where that is so.
    """
    loads: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    ranks: dict[str, int] = defaultdict(int)
    for host, mask in places:
        known = machine.siblings if host == machine.host else {}
        real = {known.get(core, core) for core in mask}
        ranks[host] += 1
        for core in real:
            loads[host][core] += point.threads / len(real)
    for host, load in loads.items():
        if max(load.values()) > 1 + 1e-9:
            threads = f" x {point.threads} threads" if point.threads > 1 else ""
            count, many = len(load), ranks[host]
            return (
                f"{many} rank{'s' * (many > 1)}{threads} share {count} "
                f"core{'s' * (count > 1)} of {host}"
            )
    if point.cores > machine.quota and {machine.host} == set(loads):
        return f"the control group allows the time of {machine.quota:.3g} cores only"
    return ""


def disturbances(point: Point, watch: Watch, machine: Machine) -> list[str]:
    """Return what disturbed one repeat, in a few words each."""
    used = min(point.cores, machine.cores)
    free = machine.cores - used
    # other programs and the hypervisor first take cores that are free
    others = max(0.0, watch.others - free) / used
    stolen = max(0.0, watch.stolen - free) / used
    found = []
    if watch.slowness > SLOW:
        found.append("lower clocks or other programs between the runs")
    if others > OTHERS:
        found.append("other programs on these cores")
    if stolen > STOLEN:
        found.append("cores given to other machines by the hypervisor")
    if watch.throttled / used > THROTTLED:
        found.append("throttled at the CPU limit of the control group")
    if watch.pressed:
        found.append("the memory limit of the control group was reached")
    if watch.swapped:
        found.append("memory was swapped")
    return found


def faults(
    point: Point,
    places: Sequence[tuple[str, Sequence[int]]],
    samples: Sequence[Sample],
    machine: Machine,
) -> list[str]:
    """Return why the figures of a point are not valid; empty where they are.

    Parameters
    ----------
    point : Point
        The point.
    places : sequence of (str, sequence of int)
        Node and cores of each of its ranks.
    samples : sequence of Sample
        Its repeats. Medians bear that fewer than half of them are disturbed.
    machine : Machine
        Where the study runs.

    Returns
    -------
    list of str
        In words.
    """
    crowded = crowding(point, places, machine)
    found = [crowded] if crowded else []
    each = [disturbances(point, sample.watch, machine) for sample in samples]
    count = sum(bool(reasons) for reasons in each)
    if 2 * count >= len(samples):
        words = dict.fromkeys(reason for reasons in each for reason in reasons)
        found.append(f"{count} of {len(samples)} repeats disturbed: {', '.join(words)}")
    elif point.cores > 1 and machine.together < ALONE:
        # others that disturb would look like that too
        found.append(
            f"cores that all work have {machine.together:.0%} of the speed of one "
            "alone: they are not whole cores"
        )
    return found
