#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hpcapp in a container (Apptainer or Singularity), built where that is allowed.
#
#   slurm/setup-container.sh [FOLDER]  default: $HOME/hpcapp-container
#
# The batch scripts activate FOLDER/bin/activate, which this makes: python is then the one
# inside of the container. Its MPICH has the ABI of Cray MPICH and Intel MPI, so that a
# site can bind its own over it; with its own, start with srun --mpi=pmi2.
# UNTESTED: containers cannot be built where these scripts are tested.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${HPCAPP_VENV:-$HOME/hpcapp-container}}

for tool in apptainer singularity ''; do
  [ -z "$tool" ] || ! command -v "$tool" >/dev/null || break
done
[ -n "$tool" ] || {
  echo "setup-container.sh: no apptainer or singularity on PATH" >&2
  exit 2
}
mkdir -p "$folder/bin"
(cd "$here" && "$tool" build "$folder/hpcapp.sif" slurm/hpcapp.def)
cat >"$folder/bin/python" <<END
#!/bin/sh
exec $tool exec --bind "\${HPCAPP_BIND:-\$PWD}" "$folder/hpcapp.sif" python "\$@"
END
chmod +x "$folder/bin/python"
echo "export PATH=\"$folder/bin:\$PATH\"" >"$folder/bin/activate"
echo "ready: HPCAPP_VENV=$folder"
