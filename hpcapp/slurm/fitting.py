# SPDX-License-Identifier: MIT
"""Whether configurations are valid and fit into the nodes of a job, before it waits."""

import os
import re
from collections.abc import Sequence

from hpcapp.errors import ConfigError, PlanError
from hpcapp.planning import check_memory, make_plan
from hpcapp.problem import Problem, read_problem
from hpcapp.slurm.request import Job

__all__ = ["fit_problems"]

# of sizes as sbatch reads them, in KiB
UNITS = {"K": 1, "": 1 << 10, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}


def fit_problems(job: Job, configs: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Check that configurations are valid and fit into the memory of the nodes.

    Parameters
    ----------
    job : Job
        With nodes and layout.
    configs : sequence of str
        Paths.

    Returns
    -------
    outputs : tuple of str
        The run directory of each.
    warnings : list of str
        Where `run.memory` is warn.

    Raises
    ------
    ConfigError
        If one is wrong or does not fit, or two have one run directory.
    """
    outputs: dict[str, str] = {}
    warnings: list[str] = []
    for config in configs:
        problem = read_problem(config, job.request.settings)
        problem.check()
        output = problem.config.output.directory
        place = os.path.abspath(output)
        if place in outputs:
            raise ConfigError(
                f"{problem.config.where('output', 'directory')}: output.directory: "
                f"must be one for each configuration, got {output} twice"
            )
        outputs[place] = output
        warnings.append(_fit(problem, job))
    return tuple(outputs.values()), [text for text in warnings if text]


def _fit(problem: Problem, job: Job) -> str:
    """Return a warning, or "", where the plan does not fit into the nodes."""
    memory = _granted(job)
    if memory is None or job.unknown:
        return ""
    nodes = [
        f"node {number} of queue {job.queue.name}"
        for number in range(1, job.request.nodes + 1)
        for _ in range(job.ranks)
    ]
    plan = make_plan(problem, len(nodes))
    warning = check_memory(problem, plan, nodes, dict.fromkeys(nodes, memory << 20))
    share = _share(job, memory)
    if warning or share == memory:
        return warning
    try:
        return check_memory(problem, plan, nodes, dict.fromkeys(nodes, share << 20))
    except PlanError as error:
        cores = f"{job.ranks * job.threads} of {job.queue.node.cores} cores"
        return f"{error} (a job of {cores} has so much where nodes are shared)"


def _share(job: Job, memory: int) -> int:
    """Return how much a job gets where it shares the node with others, in MiB."""
    alone = ("--exclusive", "--mem")
    if any(option.startswith(alone) for option in job.queue.header):
        return memory
    return memory * job.ranks * job.threads // job.queue.node.cores


def _granted(job: Job) -> int | None:
    """Return how much a job gets of a node, in MiB; None: not known."""
    memory = job.queue.node.memory
    for option in job.queue.header:
        match = re.fullmatch(r"--(mem|mem-per-cpu)=([1-9]\d*)([KMGT]?)B?", option)
        if match:
            asked = int(match[2]) * UNITS[match[3]] >> 10
            if match[1] == "mem-per-cpu":
                asked *= job.ranks * job.threads
            memory = min(asked, memory or asked)
    return memory
