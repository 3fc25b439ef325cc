# SPDX-License-Identifier: MIT
"""Profile of ipyparallel for engines that srun starts, inside of a Slurm allocation.

In a job or after salloc, in the environment of hpcapp:

    ipcluster start --profile-dir=launch/profile_slurm -n 8 --daemonize

and in a notebook on the same node ``hpcapp.Session(profile="launch/profile_slurm")``,
with the path that leads there. HPCAPP_SRUN has the command, where the MPI library
needs another plugin: ``srun --mpi=pmi2`` for MPICH and Intel MPI, ``srun --mpi=pmix``
for Open MPI.
"""

import os
import shlex
import socket

c = get_config()  # noqa: F821

c.Cluster.engine_launcher_class = "mpi"
c.MPILauncher.mpi_cmd = shlex.split(os.environ.get("HPCAPP_SRUN", "srun --mpi=pmix"))

# engines on other nodes of the job must reach the controller; its messages are signed
# and encrypted, and its connection files are this user's alone
if int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) > 1:
    c.Cluster.controller_ip = socket.gethostbyname(socket.gethostname())
