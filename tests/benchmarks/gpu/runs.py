# SPDX-License-Identifier: MIT
"""The steps of a run of hpcapp on one rank, on a device."""

from typing import Any

__all__ = ["run_steps"]


def run_steps(device: Any, workload: str, parameters: str) -> Any:
    """Do all steps of a workload.

    Parameters
    ----------
    device : Device
        Where its kernels run.
    workload : str
        Its name.
    parameters : str
        YAML.

    Returns
    -------
    State
        Complete.
    """
    from mpi4py import MPI

    from hpcapp.mpi.comm import Comm
    from hpcapp.problem import parse_problem
    from hpcapp.workload import Context

    text = f"workload: {workload}\nparameters: {parameters}\n"
    problem = parse_problem(text, "benchmark.yaml")
    context = Context(Comm(MPI.COMM_SELF), device, problem.layout(1))
    for _ in problem.workload.steps(context):
        pass
    return context.state
