#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hpcapp on LUMI's cray-python, which has mpi4py on Cray MPICH.
#
#   slurm/setup-cray.sh [FOLDER]       default: $HOME/hpcapp-lumi
#
# LUMI asks to keep large trees of Python files off its parallel file systems: for many
# users or many nodes wrap this environment (LUMI container wrapper) or take the container.
# For h5py built with MPI: module load EasyBuild-user; eb h5py-3.11.0-cpeGNU-25.03-parallel.eb -r
# UNTESTED on LUMI.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${HPCAPP_VENV:-$HOME/hpcapp-lumi}}

# the function module is not written for set -u
set +u
module load LUMI/25.03 partition/C cray-python/3.11.7
set -u

python -m venv --system-site-packages "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check "$here"
echo "ready: HPCAPP_VENV=$folder"
