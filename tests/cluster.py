# SPDX-License-Identifier: MIT
"""A real Slurm cluster of several nodes on this machine, in a temporary directory.

munge, slurmctld and one slurmd a node on the loopback address; no systemd, no cgroups,
nothing outside of the directory. Each node has a hostname, /etc/hosts and /dev/shm of
its own, so that MPI sees several nodes. Debian: slurmctld slurmd slurm-client munge.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")

# how a daemon gets a hostname and /etc/hosts of its own, as root and as a user
UNSHARE = (
    ["unshare", "--uts", "--mount"],
    ["unshare", "--user", "--map-current-user", "--keep-caps", "--uts", "--mount"],
)
NODE = """
hostname "$1" && mount --bind "$2/hosts" /etc/hosts || exit 1
mount -t tmpfs -o mode=1777 tmpfs /dev/shm 2>/dev/null
exec slurmd -D -N "$1" -f "$2/slurm.conf"
"""

# A requeued job is held for cred_expire + 1 s. One TmpFS a node: mpi/pmix makes a
# folder in it under the same name on each. No cgroups, no accounts.
CONF = """\
ClusterName=testbed
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
SrunPortRange={srun}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
TmpFS={folder}/tmp/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=5
InactiveLimit=0
MinJobAge=3600
SlurmctldTimeout=30
SlurmdTimeout=20
MessageTimeout=30
GresTypes=gpu
"""
LARGE = """\
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=INFINITE
NodeName=large[1-66] CPUs=288 CoresPerSocket=288 RealMemory=2000000 Gres=gpu:8 \
State=CLOUD
"""


def missing_programs():
    """Return what a cluster needs and this machine has not."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


class Cluster:
    """A running cluster.

    Parameters
    ----------
    nodes : int
        Nodes of the default partition, of 4 cores and 2 GPUs each.
    partitions : sequence of str
        More of them, of nodes that are as large as one of any site and that a cloud
        would give: jobs can wait for them, none can run there.
    """

    def __init__(self, nodes=3, partitions=()):
        self.folder = Path(tempfile.mkdtemp(prefix="hpcapp-slurm-", dir="/tmp"))
        small = [f"n{number}" for number in range(1, nodes + 1)]
        self.names = small
        self.processes = {}
        self.port = free_ports(nodes + 100)
        self.apart = self._find_unshare()
        self._configure(small, partitions)

    @property
    def environ(self):
        """The environment of a user of this cluster."""
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        return {**os.environ, "PATH": path, "SLURM_CONF": f"{self.folder}/slurm.conf"}

    def start(self):
        """Start what is not running; return when all nodes can be used."""
        folder = self.folder
        socket_path = folder / "munge.socket"
        options = ["key-file=key", "socket=munge.socket", "pid-file=munged.pid"]
        options += ["log-file=log/munged.log", "seed-file=seed"]
        words = [f"--{option.replace('=', f'={folder}/')}" for option in options]
        self._launch("munged", ["munged", "--foreground", *words])
        self._wait("munge", lambda: socket_path.exists())
        self._launch(
            "slurmctld", ["slurmctld", "-D", "-i", "-f", f"{folder}/slurm.conf"]
        )
        for name in self.names:
            self.start_node(name)
        self._wait("nodes", self.ready)

    def start_node(self, name):
        """Start the daemon of one node."""
        command = ["slurmd", "-D", "-N", name, "-f", f"{self.folder}/slurm.conf"]
        if self.apart:
            command = [*self.apart, "sh", "-c", NODE, "node", name, str(self.folder)]
        self._launch(name, command)

    def kill_node(self, name):
        """Kill the daemon of a node and all that it started: the node is gone."""
        # before its daemon, whose children they are
        victims = [pid for pid in self._strays() if name in _words_of(pid)]
        daemon = self.processes.pop(name)
        daemon.kill()
        daemon.wait()
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def ready(self):
        """Tell whether all nodes can be used."""
        states = self.call("sinfo", "-h", "-N", "-o", "%N %t", check=False).split("\n")
        usable = {word.split()[0] for word in states if word.endswith(("idle", "mix"))}
        return usable >= set(self.names)

    def call(self, *command, check=True, **options):
        """Call a command of Slurm; return its stdout."""
        done = subprocess.run(
            command,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            **options,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def job(self, number):
        """Return what scontrol says of a job, as a mapping."""
        text = self.call("scontrol", "show", "job", "-o", str(number))
        return dict(part.partition("=")[::2] for part in text.split() if "=" in part)

    def wait(self, number, *states, timeout=400):
        """Wait for a job to be in one of some states; return what is known of it."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            job = self.job(number)
            if job["JobState"] in states:
                return job
            time.sleep(0.2)
        raise AssertionError(f"job {number} is {job['JobState']}, not {states}: {job}")

    def stop(self):
        """End all jobs and daemons, and remove the directory."""
        with suppress(subprocess.SubprocessError, OSError):
            user = f"--user={os.getuid()}"
            self.call("scancel", "--full", "--signal=KILL", user, check=False)
            self.call("scancel", user, check=False)
        for name in [*self.names, "slurmctld", "munged"]:
            process = self.processes.pop(name, None)
            if process is not None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(8)
                process.kill()
                process.wait()
        for pid in self._strays():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self, name, command):
        if name in self.processes and self.processes[name].poll() is None:
            return
        with (self.folder / "log" / f"{name}.out").open("w") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, what, condition, timeout=60):
        until = time.monotonic() + timeout
        while not condition():
            ended = [n for n, p in self.processes.items() if p.poll() is not None]
            if ended or time.monotonic() > until:
                logs = [
                    path.read_text()[-1500:] for path in (self.folder / "log").iterdir()
                ]
                raise AssertionError(f"no {what}; ended: {ended}; {logs}")
            time.sleep(0.1)

    def _find_unshare(self):
        probe = ["sh", "-c", "hostname probe && mount --bind /etc/hosts /etc/hosts"]
        for command in UNSHARE:
            done = subprocess.run([*command, *probe], capture_output=True)
            if done.returncode == 0:
                return command
        return []

    def _configure(self, small, partitions):
        folder, host = self.folder, socket.gethostname().partition(".")[0]
        for name in ("log", "state", "spool", "tmp", "dev"):
            (folder / name).mkdir()
        for name in self.names:
            (folder / "tmp" / name).mkdir()
            (folder / "spool" / name).mkdir()
        (folder / "key").write_bytes(random.randbytes(128))
        (folder / "key").chmod(0o600)
        # munged refuses folders that others may write or cannot enter
        folder.chmod(0o755)
        for number in range(2):
            (folder / "dev" / f"gpu{number}").symlink_to("/dev/null")
        hosts = "".join(f"127.0.0.1 {name}\n" for name in self.names)
        (folder / "hosts").write_text(f"127.0.0.1 localhost {host}\n{hosts}")
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        srun = f"{self.port + 20}-{self.port + 99}"
        text = CONF.format(
            host=host, user=user, port=self.port, srun=srun, folder=folder
        )
        gpus = "AutoDetect=off\n"
        for number, name in enumerate(self.names, start=1):
            text += (
                f"NodeName={name} NodeHostname={name if self.apart else host} "
                f"NodeAddr=127.0.0.1 Port={self.port + number} Sockets=1 "
                "CoresPerSocket=4 ThreadsPerCore=1 RealMemory=4000 "
                "Gres=gpu:2 State=UNKNOWN\n"
            )
            gpus += f"NodeName={name} Name=gpu File={folder}/dev/gpu[0-1]\n"
        text += LARGE if partitions else ""
        text += (
            f"PartitionName=test Nodes={','.join(small)} Default=YES MaxTime=60 "
            "MaxNodes=2 DefaultTime=10 State=UP\n"
        )
        for name in partitions:
            text += (
                f"PartitionName={name} Nodes=large[1-66] MaxTime=UNLIMITED State=UP\n"
            )
        (folder / "slurm.conf").write_text(text)
        (folder / "gres.conf").write_text(gpus)
        # with the tree fence of Slurm 22.05, ranks that arrive late die in MPI_Init
        (folder / "mpi.conf").write_text("PMIxCollFence=ring\n")

    def _strays(self):
        """Return processes that the daemons left: steps and jobs."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        daemons = {process.pid for process in self.processes.values()}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return [pid for pid in found if pid not in {*daemons, os.getpid()}]


def _words_of(pid):
    """Return the node of a process as its environment tells, and its arguments."""
    with suppress(OSError):
        environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        mark = "SLURMD_NODENAME="
        nodes = [w[len(mark) :] for w in environ.split("\0") if w.startswith(mark)]
        return [*nodes, *command.replace("\0", " ").split()]
    return []


def free_ports(count):
    """Return the first of some consecutive ports that nobody listens on."""
    for _ in range(50):
        first = random.randrange(20000, 31000 - count)
        with suppress(OSError):
            for port in (first, first + count - 1):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")
