# SPDX-License-Identifier: MIT
"""From what is asked to a job that the site allows; refusals say what is allowed."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpcapp.errors import ConfigError
from hpcapp.slurm.profile import Environment, Gpu, Profile, Queue
from hpcapp.slurm.times import clock

__all__ = ["Job", "Request", "check_name", "choose"]

HOUR = 3600.0


@dataclass(frozen=True)
class Request:
    """What a user asks for; None and "" stand for what the profile says.

    Parameters
    ----------
    nodes : int
        Of each job.
    account : str
        To be charged.
    seconds : float or None
        Time limit.
    gpu : bool
        Whether ranks want GPUs.
    queue, partition, qos, reservation : str
        An entry of the profile; options of sbatch.
    ranks, threads : int or None
        Ranks on a node; threads of a rank.
    launcher, mpi : str
        srun or mpirun; plugin of srun.
    venv : str
        Folder of the Python environment.
    settings : tuple of str
        ``KEY=VALUE`` for hpcapp run.
    """

    nodes: int = 1
    account: str = ""
    seconds: float | None = None
    gpu: bool = False
    queue: str = ""
    partition: str = ""
    qos: str = ""
    reservation: str = ""
    ranks: int | None = None
    threads: int | None = None
    launcher: str = ""
    mpi: str = ""
    venv: str = ""
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job that the site allows, as far as its profile knows.

    Parameters
    ----------
    profile : Profile
        Of the site.
    queue : Queue
        Where it goes; its layout is that of the job.
    environment : Environment
        What it loads; its launcher is that of the job.
    request : Request
        As asked.
    account, partition, qos : str
        For sbatch; "" where none is given.
    seconds : float
        Time limit, a whole number of minutes.
    unknown : str
        What the profile does not know of the partition or QOS asked for, or "".
    """

    profile: Profile
    queue: Queue
    environment: Environment
    request: Request
    account: str
    partition: str
    qos: str
    seconds: float
    unknown: str = ""

    @property
    def ranks(self) -> int:
        """Ranks on each node."""
        return self.queue.layout.ranks

    @property
    def threads(self) -> int:
        """Threads of each rank."""
        return self.queue.layout.threads

    @property
    def lead(self) -> int:
        """Seconds before the time limit at which a checkpoint is asked for."""
        # Slurm may send the signal 60 s earlier: of a minute a quarter must do
        return int(min(300, self.seconds / 4))


def choose(request: Request, profile: Profile, environ: Mapping[str, str]) -> Job:
    """Return the job that a site allows.

    Parameters
    ----------
    request : Request
        What is asked for.
    profile : Profile
        What is known of the site.
    environ : mapping
        The process environment, for ``SBATCH_ACCOUNT``.

    Returns
    -------
    Job
        Complete.

    Raises
    ------
    ConfigError
        If the site does not allow it: nodes, time, account, GPUs, layout; if
        ``SBATCH_ACCOUNT`` is no name.
    """
    queue, unknown = _queue(request, profile)
    queue = _laid_out(request, queue, profile)
    account = _account(request, profile, queue, environ)
    return Job(
        profile=profile,
        queue=queue,
        environment=_environment(request, profile.environments[queue.environment]),
        request=request,
        account=account,
        partition=request.partition or queue.partition or "",
        qos=request.qos or _filled(queue.qos or "", account),
        seconds=_seconds(request, queue),
        unknown=unknown,
    )


def _queue(request: Request, profile: Profile) -> tuple[Queue, str]:
    """Return the entry of a profile, and what it does not know."""
    if request.gpu and not any(queue.gpu for queue in profile.queues):
        raise ConfigError(
            f"--gpu: site {profile.site} has no GPU queue in its profile; leave --gpu "
            "out, or write a profile that has one"
        )
    found: Sequence[Queue] = profile.queues
    if request.queue:
        found = [queue for queue in found if queue.name == request.queue]
        if not found:
            raise ConfigError(
                f"--queue {request.queue}: site {profile.site} has no such queue; "
                f"known: {_names(profile.queues)}"
            )
    found, unlisted = _matching(request, profile, found)
    suited = [queue for queue in found if bool(queue.gpu) == request.gpu]
    queue = (suited or found)[0]
    if not any(queue.gpu is None for queue in profile.queues) and not request.gpu:
        raise ConfigError(
            f"site {profile.site}: all queues of its profile have GPUs; give --gpu"
        )
    if not unlisted:
        return _suited(request, queue, profile), ""
    limits = ("max_nodes", "max_time", "min_nodes", "min_time")
    lifted: dict[str, object] = dict.fromkeys(limits)
    if unlisted[0].startswith("partition "):
        # what else decides there is not known
        lifted |= {"partition": None, "qos": None}
    unknown = (
        f"site {profile.site}: {' and '.join(unlisted)} not in the profile: nodes, "
        f"time and memory are those of {queue.name}, unchecked"
    )
    return _suited(request, queue.model_copy(update=lifted), profile), unknown


def _matching(
    request: Request, profile: Profile, found: Sequence[Queue]
) -> tuple[Sequence[Queue], list[str]]:
    """Return the queues of the partition and QOS asked for, and which no queue has."""
    unlisted = []
    for option in ("partition", "qos"):
        asked = getattr(request, option)
        known = {
            queue.name: _filled(getattr(queue, option) or "", request.account)
            for queue in profile.queues
        }
        if asked and asked not in known.values():
            unlisted.append(f"{option} {asked}")
        elif asked:
            matching = [queue for queue in found if known[queue.name] == asked]
            if not matching:
                others = [q for q in profile.queues if known[q.name] == asked]
                raise ConfigError(
                    f"--{option} {asked}: not that of queue {_names(found)} of site "
                    f"{profile.site}, but of --queue {_names(others)}"
                )
            found = matching
    return found, unlisted


def _suited(request: Request, queue: Queue, profile: Profile) -> Queue:
    if request.gpu and queue.gpu is None:
        others = [queue for queue in profile.queues if queue.gpu]
        raise ConfigError(
            f"--gpu: queue {queue.name} of site {profile.site} has no GPUs; those "
            f"that have: {_names(others)}"
        )
    if queue.gpu is not None and not request.gpu:
        others = [queue for queue in profile.queues if not queue.gpu]
        why = queue.gpu.refused or "give --gpu for a job that wants them"
        raise ConfigError(
            f"queue {queue.name} of site {profile.site} has GPUs: {why}; those without "
            f"GPUs: {_names(others)}"
        )
    if queue.gpu is not None and queue.gpu.refused:
        raise ConfigError(f"--gpu: site {profile.site}: {queue.gpu.refused}")
    most = queue.max_nodes
    if most is not None and request.nodes > most:
        raise ConfigError(
            f"--nodes {request.nodes}: must be <= {most} in queue {queue.name} of "
            f"site {profile.site}{_elsewhere(request, queue, profile)}"
        )
    limit = queue.max_time
    if limit is not None and (request.seconds or 0) > limit:
        raise ConfigError(
            f"--time {clock(request.seconds or 0)}: must be <= {clock(limit)} in queue "
            f"{queue.name} of site {profile.site}{_elsewhere(request, queue, profile)}"
            "; a run that needs longer goes on by itself: it is requeued at the limit"
        )
    _not_too_small(request, queue, profile)
    return queue


def _not_too_small(request: Request, queue: Queue, profile: Profile) -> None:
    least = queue.min_nodes
    if least is not None and request.nodes < least:
        raise ConfigError(
            f"--nodes {request.nodes}: must be >= {least} in queue {queue.name} of "
            f"site {profile.site}{_elsewhere(request, queue, profile)}"
        )
    shortest = queue.min_time
    if shortest is not None and (request.seconds or HOUR) < shortest:
        raise ConfigError(
            f"--time {clock(request.seconds or 0)}: must be >= {clock(shortest)} in "
            f"queue {queue.name} of site {profile.site}"
            f"{_elsewhere(request, queue, profile)}"
        )


def _elsewhere(request: Request, queue: Queue, profile: Profile) -> str:
    """Return which other queues of this kind allow it."""
    allowed = [
        other
        for other in profile.queues
        if bool(other.gpu) == bool(queue.gpu)
        and (other.min_nodes or 1) <= request.nodes
        and request.nodes <= (other.max_nodes or request.nodes)
        and (other.min_time or 0) <= (request.seconds or HOUR)
        and (request.seconds or 0) <= (other.max_time or math.inf)
    ]
    return f"; allowed in --queue {_names(allowed)}" if allowed else ""


def _names(queues: Sequence[Queue]) -> str:
    return ", ".join(queue.name for queue in queues)


def _laid_out(request: Request, queue: Queue, profile: Profile) -> Queue:
    """Return the queue with the layout that is asked for."""
    ranks = request.ranks or queue.layout.ranks
    threads = request.threads or queue.layout.threads
    asked = request.ranks is not None or request.threads is not None
    if request.ranks is None and asked:
        ranks = max(1, min(ranks, queue.node.cores // threads))
    elif asked and request.threads is None:
        threads = max(1, min(threads, queue.node.cores // ranks))
    if ranks * threads > queue.node.cores:
        raise ConfigError(
            f"--ranks {ranks} --threads {threads}: ranks x threads must be <= "
            f"{queue.node.cores}, the cores of a node in queue {queue.name} of site "
            f"{profile.site}"
        )
    if request.gpu and queue.gpu is not None and ranks > queue.gpu.count:
        raise ConfigError(
            f"--ranks {ranks}: must be <= {queue.gpu.count}, the GPUs of a node in "
            f"queue {queue.name} of site {profile.site}: one rank for each"
        )
    if queue.gpu is not None:
        where = f"in queue {queue.name} of {profile.site}"
        _gpus_fit(request.nodes, ranks, threads, queue.gpu, where)
    layout = queue.layout.model_copy(update={"ranks": ranks, "threads": threads})
    return queue.model_copy(update={"layout": layout})


def _gpus_fit(nodes: int, ranks: int, threads: int, gpu: Gpu, where: str) -> None:
    total = nodes * ranks
    if gpu.counts and total not in gpu.counts and total % gpu.counts[-1]:
        counts = ", ".join(map(str, gpu.counts))
        raise ConfigError(
            f"--nodes {nodes} --ranks {ranks}: ranks in all must be one of {counts} or "
            f"a multiple of {gpu.counts[-1]} {where}: GPUs of a job, a rank for each"
        )
    if gpu.cores is not None and threads != gpu.cores:
        raise ConfigError(
            f"--threads {threads}: must be {gpu.cores} {where}: cores for each GPU"
        )


def _account(
    request: Request, profile: Profile, queue: Queue, environ: Mapping[str, str]
) -> str:
    account = request.account or environ.get("SBATCH_ACCOUNT", "")
    if not request.account:
        check_name("SBATCH_ACCOUNT", account)
    rule, suffix = profile.account, queue.account_suffix or ""
    example = f", such as {rule.example}{suffix}" if rule.example else ""
    if not account and rule.needed:
        raise ConfigError(
            f"--account: site {profile.site} needs one{example}; give it, or set "
            "SBATCH_ACCOUNT"
        )
    if account and rule.pattern and not re.fullmatch(rule.pattern, account):
        raise ConfigError(
            f"--account {account}: must match {rule.pattern} on site {profile.site}"
            f"{example}"
        )
    if account and not account.endswith(suffix):
        raise ConfigError(
            f"--account {account}: must end with {suffix} in queue {queue.name} of "
            f"site {profile.site}{example}"
        )
    return account


def check_name(option: str, value: str) -> None:
    """Check that an option of sbatch is one word.

    Parameters
    ----------
    option : str
        Where it comes from.
    value : str
        "" is allowed.

    Raises
    ------
    ConfigError
        If it has blanks or cannot be printed: it would end the option.
    """
    if not value.isprintable() or any(char.isspace() for char in value):
        raise ConfigError(f"{option}: must be a name, got {value!r}")


def _filled(text: str, account: str) -> str:
    return text.replace("{account}", account)


def _seconds(request: Request, queue: Queue) -> float:
    if request.seconds is not None:
        return request.seconds
    return min(HOUR, queue.max_time or HOUR)


def _environment(request: Request, environment: Environment) -> Environment:
    changed: dict[str, object] = {}
    if request.launcher and request.launcher != environment.launcher:
        # options of the one launcher mean nothing to the other
        changed = {"launcher": request.launcher, "options": (), "mpi": None}
    if request.mpi:
        changed["mpi"] = request.mpi
    return environment.model_copy(update=changed)
