# SPDX-License-Identifier: MIT
# System packages by apt-get; sourced by launch/test and launch/parallel-io.
#
#   install_packages WHAT PACKAGE...   true if all are there in the end
#
# What is to be installed is listed first; SYSTEM=no declines.

SYSTEM=yes

# what launch/parallel-io builds with: libraries of HDF5 and NetCDF for Open MPI
PARALLEL_PACKAGES='gcc libc6-dev openmpi-bin libopenmpi-dev libhdf5-openmpi-dev
  libnetcdf-mpi-dev'

install_packages() { # WHAT PACKAGE...
  local what=$1 package missing='' command
  shift
  if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "$what: no Debian packages here; what needs $* is skipped"
    return 1
  fi
  for package; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
      *' installed') ;;
      *) missing="$missing $package" ;;
    esac
  done
  if [ -z "$missing" ]; then
    echo "$what: all there ($*)"
    return
  fi
  echo "$what missing:$missing"
  command="apt-get install -y --no-install-recommends$missing"
  if [ "$SYSTEM" = no ]; then
    echo '  not installed, as asked; what needs them is skipped'
  elif ! command -v apt-get >/dev/null 2>&1; then
    echo '  install them yourself; what needs them is skipped'
  elif [ "$(id -u)" -ne 0 ]; then
    echo "  to have them: sudo $command"
    echo '  what needs them is skipped'
  else
    echo "  installing: $command"
    install_missing "$command" && return
  fi
  return 1
}

install_missing() { # COMMAND
  local log begin=$SECONDS status=0
  log=$(mktemp "${TMPDIR:-/tmp}/hpcapp-packages.XXXXXX") || exit 1
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update >"$log" 2>&1 </dev/null && $1 >>"$log" 2>&1 </dev/null; then
    echo "  installed: $((SECONDS - begin)) s"
  else
    tail -n 5 "$log"
    echo '  FAILED to install; what needs them is skipped'
    status=1
  fi
  rm -f "$log"
  return "$status"
}
