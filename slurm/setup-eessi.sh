#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hpcapp on EESSI, which all EuroHPC systems mount: mpi4py, h5py and netCDF4 built with
# MPI, Numba; what is missing comes from PyPI.
#
#   slurm/setup-eessi.sh [FOLDER]      default: $HOME/hpcapp-eessi; for a site's script
#                                      give the name that it looks for: $HOME/hpcapp-SITE
#
# On a login node with the network, on the architecture of the compute nodes.
# UNTESTED: there is no EESSI where these scripts are tested.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${HPCAPP_VENV:-$HOME/hpcapp-eessi}}

# modules of the site and of EESSI do not mix
unset MODULEPATH
# what follows is not written for set -u
set +u
source /cvmfs/software.eessi.io/versions/2023.06/init/lmod/bash
module load h5py/3.9.0-foss-2023a netcdf4-python/1.6.4-foss-2023a numba/0.58.1-foss-2023a
set -u

# no -c constraints.txt: the versions of the modules count
python -m venv --system-site-packages "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check "$here"
echo "ready: HPCAPP_VENV=$folder"
