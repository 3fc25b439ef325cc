#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hpcapp on a site's own modules of Python and MPI.
#
#   module load ...                    those of the site's script in slurm/
#   slurm/setup-modules.sh [FOLDER]    default: $HOME/hpcapp-modules; for a site's script
#                                      give the name that it looks for: $HOME/hpcapp-SITE
#
# mpi4py is built with the site's mpicc unless a module has it; HPCAPP_PARALLEL=yes builds
# h5py and netCDF4 with the site's libraries too (HDF5_DIR and NETCDF4_DIR name them).
# Without that all ranks still write one file: through MPI-IO, by hpcapp itself.
# UNTESTED on the sites; ./launch/parallel-io does the same on Debian and is tested.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${HPCAPP_VENV:-$HOME/hpcapp-modules}}

command -v mpicc >/dev/null || {
  echo "setup-modules.sh: no mpicc on PATH: load the modules of MPI and Python first" >&2
  exit 2
}
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup-modules.sh: Python >= 3.11 is needed: load a newer module" >&2
  exit 2
}

python3 -m venv --system-site-packages "$folder"
install=("$folder/bin/python" -m pip install --disable-pip-version-check)
if ! "$folder/bin/python" -c 'import mpi4py' 2>/dev/null; then
  CC=mpicc "${install[@]}" --no-binary mpi4py mpi4py
fi
if [ "${HPCAPP_PARALLEL:-no}" = yes ]; then
  "${install[@]}" setuptools wheel Cython pkgconfig numpy
  CC=mpicc HDF5_MPI=ON "${install[@]}" --no-build-isolation --no-binary h5py h5py
  CC=mpicc USE_NCCONFIG=0 "${install[@]}" --no-build-isolation --no-binary netCDF4 netCDF4
fi
"${install[@]}" "$here"
echo "ready: HPCAPP_VENV=$folder"
