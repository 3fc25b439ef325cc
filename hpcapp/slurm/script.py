# SPDX-License-Identifier: MIT
"""The text of batch scripts. A script is made to be read, and to be edited."""

import shlex
from dataclasses import dataclass

from hpcapp.slurm.request import Job
from hpcapp.slurm.times import clock

__all__ = [
    "Subject",
    "batch_script",
    "environment",
    "interactive_text",
    "launch_line",
    "launcher_parts",
    "resources",
]

ARGUMENTS = """\
if [ $# -eq 0 ]; then
  echo "usage: sbatch [options] {name} CONFIG..." >&2
  exit 2
fi
# several: sbatch --array=0-2 {name} A.yaml B.yaml C.yaml
CONFIGS=("$@")
CONFIG=${{CONFIGS[${{SLURM_ARRAY_TASK_ID:-0}}]}}
# goes before output.directory of the configuration
OUTPUT=results/$(basename "$CONFIG" .yaml)
"""

FIXED = """\
CONFIGS=({configs})
OUTPUTS=({outputs})
CONFIG=${{CONFIGS[${{SLURM_ARRAY_TASK_ID:-0}}]}}
OUTPUT=${{OUTPUTS[${{SLURM_ARRAY_TASK_ID:-0}}]}}
"""

VARIABLES = """\
# threads are hpcapp's own: the libraries underneath shall start none
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# compiled kernels: on the node, not on a file system that all ranks share
export HPCAPP_CACHE="${SLURM_TMPDIR:-${TMPDIR:-/tmp}}"
export HPCAPP_PROGRESS=lines
"""

STRIPES = """\
# one large shared file: over several servers; files inherit it from their folder
mkdir -p "$OUTPUT"
if command -v lfs >/dev/null; then
  lfs setstripe --stripe-count {count} --stripe-size {size} "$OUTPUT"
fi
"""

# mpirun, unlike srun, shows all GPUs of a node to each rank
OWN_GPU = (
    'bash -c \'IFS=, read -ra all <<<"${CUDA_VISIBLE_DEVICES:-}"; '
    "rank=${OMPI_COMM_WORLD_LOCAL_RANK:-$MPI_LOCALRANKID}; "
    'export CUDA_VISIBLE_DEVICES=${all[rank]:-$rank}; exec "$@"\' own-gpu'
)

# first of all: without a trap the signal would end the script
TRAP = """\
child=
trap '[ -z "$child" ] || kill -USR1 "$child" 2>/dev/null' USR1
"""

WAITING = """\
child=$!
# bash runs a trap only while it waits for a child in the background; the signal ends
# that wait, not the child
wait "$child"
status=$?
while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do
  wait "$child"
  status=$?
done
if [ "$status" -gt 128 ]; then
  # the child may have ended as the signal came; 127: its status is told once alone
  wait "$child"
  last=$?
  [ "$last" -eq 127 ] || status=$last
fi
"""

REQUEUE = """\
# 75: not finished, with a checkpoint. The next start goes on from there; after so many
# starts, or three without any progress, something else is wrong.
starts=${SLURM_RESTART_COUNT:-0}
if [ "$status" -eq 75 ]; then
  # of an array this task alone
  job=$SLURM_JOB_ID
  [ -z "${SLURM_ARRAY_JOB_ID:-}" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  idle=$(python -m hpcapp status --json "$OUTPUT" |
    sed -n 's/.*"idle_starts": \\([0-9]*\\).*/\\1/p')
  if [ "$starts" -ge "${HPCAPP_RESTARTS:-100}" ]; then
    echo "hpcapp: not finished after $starts restarts: sbatch this again to go on" >&2
  elif [ "${idle:-0}" -ge 3 ]; then
    echo "hpcapp: not requeued: the last $idle starts brought the run no further" >&2
  else
    echo "hpcapp: not finished: requeueing job $job"
    # ends this script
    if scontrol requeue "$job"; then
      sleep 60
    else
      echo "hpcapp: job $job could not be requeued: sbatch this again to go on" >&2
    fi
  fi
fi
exit "$status"
"""


@dataclass(frozen=True)
class Subject:
    """What a script runs.

    Parameters
    ----------
    configs, outputs : tuple of str
        Configurations and their run directories; none: arguments of the script.
    name : str
        Of the script, or the command that makes it.
    """

    configs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    name: str = ""


def batch_script(job: Job, subject: Subject) -> str:
    """Return a whole batch script.

    Parameters
    ----------
    job : Job
        That the site allows.
    subject : Subject
        What it runs.

    Returns
    -------
    str
        For bash.
    """
    parts = [
        "#!/bin/bash -l\n" + _title(job, subject),
        "".join(f"#SBATCH {option}\n" for option in _header(job, subject)),
        TRAP + _arguments(subject),
        environment(job),
        _files(job),
        "# SIGUSR1 comes "
        f"{job.lead} s before the time limit, to this script alone: it is passed on,\n"
        "# hpcapp leaves a checkpoint and exits with 75; --resume goes on from one.\n"
        f"{launch_line(job)} &\n" + WAITING,
        REQUEUE,
    ]
    return "\n".join(part for part in parts if part)


def _title(job: Job, subject: Subject) -> str:
    profile = job.profile
    lines = [f"hpcapp on {profile.title}, queue {job.queue.name}"]
    if subject.configs:
        # a line break would end the comment
        name = "".join(c if c.isprintable() else repr(c)[1:-1] for c in subject.name)
        lines.append(f"made by: {name}")
    else:
        lines.append(f"sbatch {_needed(job)}{subject.name} CONFIG")
        lines.append("edit it as you like, or have one made: hpcapp submit --help")
    if profile.status == "draft":
        lines.append("a DRAFT: nobody has run it there; hpcapp submit --check compares")
    if profile.note:
        lines.append(profile.note)
    if job.request.gpu:
        lines += [
            "its Python needs numba-cuda: pip install 'numba-cuda[cu13]', [cu12] where",
            "the driver is of CUDA 12; a workload without CUDA kernels is refused, but",
            "where run.device=auto stands below",
        ]
    scratch = _folder(job)
    if scratch:
        lines.append(f"submit from, or write to: {scratch}")
    return "".join(f"# {line}\n" for line in lines)


def _folder(job: Job) -> str:
    """Return where results should go, with the names that stand for the project."""
    account = job.account or "ACCOUNT"
    names = {
        "{account}": account,
        "{account_lower}": account.lower(),
        "{project}": account.removesuffix(job.queue.account_suffix or ""),
    }
    scratch = job.profile.files.scratch
    for key, name in names.items():
        scratch = scratch.replace(key, name)
    return scratch


def _needed(job: Job) -> str:
    return "--account=ACCOUNT " if job.profile.account.needed else ""


def _header(job: Job, subject: Subject) -> list[str]:
    several = len(subject.configs) > 1
    name = "hpcapp"
    if len(subject.configs) == 1:
        stem = subject.configs[0].rpartition("/")[2].removesuffix(".yaml")
        name = "".join(
            char if char.isalnum() or char in "._-" else "_" for char in stem
        )
    options = [f"--job-name={name}"]
    options += resources(job)
    if several:
        options.append(f"--array=0-{len(subject.configs) - 1}")
    options += [
        f"--output={'%x-%A_%a' if several else '%x-%j'}.out",
        "--open-mode=append",
        f"--signal=B:USR1@{job.lead}",
        "--requeue",
    ]
    return options


def resources(job: Job) -> list[str]:
    """Return the options of a job that sbatch and salloc share."""
    request, queue = job.request, job.queue
    pairs = [
        ("--account", job.account),
        ("--partition", job.partition),
        ("--qos", job.qos),
        ("--reservation", request.reservation),
        ("--nodes", str(request.nodes)),
        ("--ntasks-per-node", str(job.ranks)),
        ("--cpus-per-task", str(job.threads)),
        ("--time", clock(job.seconds)),
    ]
    options = [f"{option}={value}" for option, value in pairs if value]
    if request.gpu and queue.gpu is not None:
        options.append(queue.gpu.request.replace("{gpus}", str(job.ranks)))
    return options + list(queue.header)


def _arguments(subject: Subject) -> str:
    if not subject.configs:
        return ARGUMENTS.format(name=subject.name)
    return FIXED.format(
        configs=shlex.join(subject.configs), outputs=shlex.join(subject.outputs)
    )


def environment(job: Job, otherwise: str = " || exit 1") -> str:
    """Return the lines that give a job its modules and its Python.

    Parameters
    ----------
    job : Job
        That the site allows.
    otherwise : str
        What the shell does where there is no such Python.

    Returns
    -------
    str
        For bash.
    """
    wanted, venv = job.environment, job.request.venv
    lines = list(wanted.before)
    lines += [f"module load {name}" for name in wanted.modules]
    lines += wanted.after
    if not venv:
        lines.append(f"# made by slurm/{wanted.setup}")
    default = shlex.quote(venv) if venv else f"$HOME/hpcapp-{job.profile.site}"
    # not inside of "", where the quotes of a path would be part of it
    lines.append(f"HPCAPP_VENV=${{HPCAPP_VENV:-{default}}}")
    lines.append(f'. "$HPCAPP_VENV/bin/activate"{otherwise}')
    for key, value in wanted.variables.items():
        lines.append(f"export {key}={shlex.quote(value)}")
    return "\n".join(lines) + "\n" + VARIABLES


def _files(job: Job) -> str:
    files = job.profile.files
    text = ""
    if files.kind != "other":
        text = (
            "# the run directory has a lock of its own; HDF5's fails where the file\n"
            "# system has none\n"
            "export HDF5_USE_FILE_LOCKING=FALSE\n"
        )
    if files.kind == "lustre" and files.stripe_count:
        text += STRIPES.format(count=files.stripe_count, size=files.stripe_size or "1M")
    return text


def launch_line(job: Job) -> str:
    r"""Return the command that starts all ranks on ``$CONFIG``.

    Parameters
    ----------
    job : Job
        With its launcher and layout.

    Returns
    -------
    str
        Of several lines, joined by ``\``.
    """
    settings = [f"run.threads={job.threads}"]
    settings += ["run.device=cuda"] if job.request.gpu else []
    settings += job.request.settings
    program = 'python -m hpcapp run "$CONFIG" --output "$OUTPUT" --resume '
    program += " ".join(f"--set {shlex.quote(setting)}" for setting in settings)
    return " \\\n  ".join([*launcher_parts(job), program])


def launcher_parts(job: Job) -> list[str]:
    """Return the launcher of a job with its options, in one or two parts."""
    environment, queue = job.environment, job.queue
    layout = {"ranks": str(job.ranks), "threads": str(job.threads)}
    options = [_laid_out(option, layout) for option in environment.options]
    if environment.launcher == "mpirun":
        total = job.ranks * job.request.nodes
        own = [OWN_GPU] if job.request.gpu else []
        return [" ".join([f"mpirun -np {total}", *options]), *own]
    # sbatch's --cpus-per-task is not passed on to srun since Slurm 22.05
    first = ["srun -K", f"--cpus-per-task={job.threads}"]
    if environment.mpi:
        first.insert(1, f"--mpi={environment.mpi}")
    bind = list(queue.layout.bind)
    if job.request.gpu and queue.gpu is not None:
        bind += queue.gpu.bind
    return [" ".join(first), *([" ".join([*options, *bind])] if options + bind else [])]


def _laid_out(option: str, layout: dict[str, str]) -> str:
    for key, value in layout.items():
        option = option.replace(f"{{{key}}}", value)
    return option


def interactive_text(job: Job, subject: Subject) -> str:
    """Return the commands for work by hand: an allocation, a run, a notebook.

    Parameters
    ----------
    job : Job
        That the site allows.
    subject : Subject
        Whose first configuration is run; none: a name to be replaced.

    Returns
    -------
    str
        To be copied line by line.
    """
    if subject.configs:
        config, output = map(shlex.quote, (subject.configs[0], subject.outputs[0]))
    else:
        config, output = "YOURS.yaml", 'results/$(basename "$CONFIG" .yaml)'
    address = job.profile.notebooks
    lines = [
        "# an allocation: the shell inside of it has the nodes",
        shlex.join(["salloc", *resources(job)]),
        "",
        "# inside of it: the environment, once",
        # an exit would end the allocation
        environment(job, otherwise="").rstrip(),
        f"CONFIG={config}",
        f"OUTPUT={output}",
        _files(job),
        "# as often as needed",
        launch_line(job),
        "",
        "# a notebook on the first node of the allocation",
        "srun --overlap --nodes=1 --ntasks=1 --cpus-per-task="
        f"{job.threads} bash -c '{_notebook()}'",
        "# then, on your own machine, with the node that it names (LOGIN is the login",
        "# node), and http://localhost:8888 in a browser",
        "ssh -N -L 8888:NODE:8888 LOGIN",
    ]
    if address:
        lines += [f"# or the site's own notebooks: {address}"]
    return "\n".join(lines) + "\n"


def _notebook() -> str:
    return 'hostname; exec jupyter lab --no-browser --ip="$(hostname)" --port=8888'
