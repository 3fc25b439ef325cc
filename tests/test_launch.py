# SPDX-License-Identifier: MIT
"""Laws of the check that launcher and MPI agree; variables as launchers set them."""

import pytest

from hpcapp.errors import Exit, LaunchError
from hpcapp.mpi.world import Launch, check_launch, find_launch

OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}
HYDRA = {"PMI_SIZE": "4", "PMI_RANK": "2"}
SRUN = {"SLURM_STEP_NUM_TASKS": "16", "SLURM_PROCID": "5", "SLURM_NTASKS": "16"}


@pytest.mark.parametrize(
    ("environ", "launch"),
    [
        ({}, Launch("", 1, 0)),
        (OPEN_MPI, Launch("Open MPI's mpirun", 4, 3)),
        (HYDRA, Launch("MPICH's mpirun or a PMI launcher", 4, 2)),
        (SRUN, Launch("srun", 16, 5)),
        (
            {"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"},
            Launch("MVAPICH's mpirun", 2, 1),
        ),
        # under mpirun in a job the launcher counts, not the job
        ({**SRUN, **OPEN_MPI}, Launch("Open MPI's mpirun", 4, 3)),
        ({**SRUN, **HYDRA}, Launch("MPICH's mpirun or a PMI launcher", 4, 2)),
        # remote ranks of a job see one task: it must not be believed
        ({"SLURM_NTASKS": "1", "SLURM_JOB_ID": "7"}, Launch("", 1, 0)),
        ({"PMI_SIZE": "four", "PMI_RANK": "2"}, Launch("", 1, 0)),
    ],
)
def test_size_and_rank_are_what_the_launcher_says(environ, launch):
    assert find_launch(environ) == launch


@pytest.mark.parametrize(
    ("launch", "size"),
    [
        (Launch("", 1, 0), 1),
        (Launch("srun", 16, 3), 16),
        # a launcher whose variables are unknown, or one part of a larger job
        (Launch("", 1, 0), 8),
        (Launch("srun", 4, 3), 8),
    ],
)
def test_world_as_large_as_the_launch_or_larger_is_fine(launch, size):
    check_launch(launch, size, "MPICH 5.0.2")


@pytest.mark.parametrize("prefix", ["", "/opt/env"])
def test_runs_of_one_rank_each_are_refused_with_the_right_launcher(prefix):
    with pytest.raises(LaunchError) as caught:
        check_launch(Launch("srun", 16, 5), 1, "MPICH 5.0.2", prefix)
    message = str(caught.value)
    assert message.startswith(
        "launch: srun started 16 processes, but MPICH 5.0.2 sees a world of 1: "
        "launcher and MPI library do not match"
    )
    hint = "/opt/env/bin/mpirun" if prefix else "the mpirun of that library"
    assert f"tart with {hint}, or with srun --mpi=pmix or pmi2" in message
    assert caught.value.code == Exit.USAGE
