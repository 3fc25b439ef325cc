#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hpcapp from conda-forge, with h5py and netCDF4 built with MPI.
#
#   slurm/setup-conda.sh [FOLDER]      default: $HOME/hpcapp-conda
#
# Takes micromamba, mamba or conda, whichever is on PATH. The batch scripts activate
# FOLDER/bin/activate, which this makes. Not for LUMI, which has no room for such trees.
# UNTESTED: conda-forge is out of reach where these scripts are tested.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${HPCAPP_VENV:-$HOME/hpcapp-conda}}

for tool in micromamba mamba conda ''; do
  [ -z "$tool" ] || ! command -v "$tool" >/dev/null || break
done
[ -n "$tool" ] || {
  echo "setup-conda.sh: no micromamba, mamba or conda on PATH" >&2
  exit 2
}
case $tool in
  micromamba) "$tool" create -y -p "$folder" -f "$here/launch/environment.yml" ;;
  *) "$tool" env create -p "$folder" -f "$here/launch/environment.yml" ;;
esac
"$folder/bin/python" -m pip install --no-deps "$here"

# what . FOLDER/bin/activate does for a virtual environment
cat >"$folder/bin/activate" <<END
export PATH="$folder/bin:\$PATH" CONDA_PREFIX="$folder"
END
echo "ready: HPCAPP_VENV=$folder"
