# SPDX-License-Identifier: MIT
"""Engines of ipyparallel: started here, or connected to; ended without leftovers."""

import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpcapp.errors import LaunchError
from hpcapp.interactive.check import check_engines
from hpcapp.interactive.engine import SIGNAL, examine
from hpcapp.interactive.keeper import MARK, Keeper, find_segments
from hpcapp.interactive.orders import Engine
from hpcapp.studies.launching import find_launcher, launch_environ

__all__ = ["Engines", "connect", "renew", "start", "survey"]

# all ranks are on this machine: no MPI library has to listen to others
INTERFACE = "lo" if sys.platform == "linux" else "lo0"
LOOPBACK = {
    "FI_TCP_IFACE": INTERFACE,
    "UCX_NET_DEVICES": INTERFACE,
    "OMPI_MCA_btl_tcp_if_include": INTERFACE,
}

# lines of a log that are shown
SHOWN = 15

# seconds for the other engines of an MPI world of which the first have come
COMING = 15.0


class Engines:
    """Engines that form one MPI world, and what is known of their processes.

    Parameters
    ----------
    client : ipyparallel.Client
        Connected.
    known : mapping
        What each engine says of itself.
    cluster : ipyparallel.Cluster or None
        Where they can be started again.
    close : callable
        Gives back what was started or opened here.
    """

    def __init__(
        self,
        client: Any,
        known: Mapping[int, Engine],
        cluster: Any = None,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self.client, self.known, self.cluster = client, dict(known), cluster
        self.close = close
        self.view = client.direct_view(sorted(known))

    @property
    def size(self) -> int:
        """Number of engines."""
        return len(self.known)

    def each(self, function: Any, *arguments: Any) -> list[Any]:
        """Call a function on every engine; return the results to come, by rank."""
        return [
            self.client[key].apply_async(function, *arguments)
            for key in sorted(self.known)
        ]

    def ask_to_stop(self) -> None:
        """Send every engine the signal that asks what it runs to stop."""
        for key, engine in self.known.items():
            if engine.host == _host():
                with suppress(OSError):
                    os.kill(engine.pid, SIGNAL)
            else:
                self.client.send_signal(int(SIGNAL), targets=key, block=False)

    def lost(self) -> dict[int, str]:
        """Return the engines that have ended or were stopped, and how they are."""
        present = set(self.client.ids)
        found = {}
        for key, engine in self.known.items():
            state = _state(engine.pid) if engine.host == _host() else ""
            if not state and key not in present:
                state = "has ended"
            if state:
                found[key] = (
                    f"engine {key} (rank {key}, process {engine.pid} on {engine.host}) "
                    f"{state}"
                )
        return found


def start(n: int, timeout: float) -> Engines:
    """Start a controller and MPI engines on this machine.

    Parameters
    ----------
    n : int
        Number of engines.
    timeout : float
        Seconds until all of them must be there.

    Returns
    -------
    Engines
        Listening on the loopback address only; connection files are in a directory that
        only this user can read.

    Raises
    ------
    LaunchError
        If there is no launcher, if they do not come in time, or are not one MPI world.
    """
    command = find_launcher(os.environ, n)
    started = _Started(n, command[0])
    try:
        client = started.go(time.monotonic() + timeout)
        known = survey(client, n, timeout)
        check_engines(known)
        started.note(known)
    except BaseException as error:
        said = started.said()
        started.close()
        if not isinstance(error, LaunchError):
            raise
        raise LaunchError(f"{error}{said}") from None
    return Engines(client, known, close=started.close)


def connect(profile: str | None, client: Any, n: int | None, timeout: float) -> Engines:
    """Connect to engines that run.

    Parameters
    ----------
    profile : str or None
        Of a cluster that runs, as ``ipcluster start --profile`` has it.
    client : ipyparallel.Client or None
        One that exists, instead.
    n : int or None
        Engines that there must be; None for those that there are.
    timeout : float
        Seconds to wait for them.

    Returns
    -------
    Engines
        Which go on when they are closed here.

    Raises
    ------
    LaunchError
        If there is no such cluster, or its engines are not one MPI world.
    """
    cluster, mine = getattr(client, "cluster", None), client is None
    if client is None:
        client = _open(profile or "default", timeout)
    try:
        known = survey(client, n, timeout)
        if n is None:
            known = _all_of_them(client, known, timeout)
        check_engines(known)
    except BaseException:
        if mine:
            client.close()
        raise
    return Engines(client, known, cluster, client.close if mine else lambda: None)


def _all_of_them(
    client: Any, known: dict[int, Engine], timeout: float
) -> dict[int, Engine]:
    """Wait for the other engines of an MPI world, which come one after another."""
    sizes = [engine.world[1] for engine in known.values() if engine.world]
    until = time.monotonic() + min(timeout, COMING)
    while len(client.ids) < max(sizes, default=0) and time.monotonic() < until:
        time.sleep(0.05)
    return survey(client, None, timeout) if len(client.ids) > len(known) else known


def renew(engines: Engines, timeout: float) -> Engines:
    """Start the engines of a cluster again that was connected to.

    Parameters
    ----------
    engines : Engines
        As they were.
    timeout : float
        Seconds until all of them must be there.

    Returns
    -------
    Engines
        As many others.

    Raises
    ------
    LaunchError
        If their cluster cannot be reached, or they do not come.
    """
    if engines.cluster is None or not engines.cluster.engines:
        raise LaunchError(
            "session: these engines were not started here: stop their cluster, start "
            "it again, and connect to it with a new session"
        )
    old = _identities(engines.client)
    engines.cluster.restart_engines_sync()
    for engine in engines.known.values():
        # a launcher that was killed leaves them behind
        if engine.host == _host():
            with suppress(OSError):
                os.kill(engine.pid, signal.SIGKILL)
    until = time.monotonic() + timeout
    while old & _identities(engines.client) and time.monotonic() < until:
        time.sleep(0.05)
    known = survey(engines.client, engines.size, timeout)
    check_engines(known)
    return Engines(engines.client, known, engines.cluster, engines.close)


def _identities(client: Any) -> set[tuple[int, str]]:
    """Return id and unique name of the engines: others may get the same id."""
    # the client has no public word for the names
    return set(client._engines.items())


def survey(client: Any, n: int | None, timeout: float) -> dict[int, Engine]:
    """Wait for engines and let each say what it is.

    Parameters
    ----------
    client : ipyparallel.Client
        Connected.
    n : int or None
        Engines that there must be; None for those that there are.
    timeout : float
        Seconds.

    Returns
    -------
    dict
        By the engine's id.

    Raises
    ------
    LaunchError
        If they are not there in time or cannot answer.
    """
    import ipyparallel as ipp

    until = time.monotonic() + timeout
    while len(client.ids) < (n or 1) and time.monotonic() < until:
        time.sleep(0.02)
    keys = list(client.ids)
    if len(keys) < (n or 1):
        raise LaunchError(
            f"session: {len(keys)} of {n or 1} engines have come within {timeout:g} s; "
            "start more of them, or ask for fewer"
        )
    asked = {key: client[key].apply_async(examine) for key in keys}
    found = {}
    for key, result in asked.items():
        try:
            found[key] = result.get(max(1.0, until - time.monotonic()))
        except TimeoutError:
            raise LaunchError(
                f"session: engine {key} does not answer within {timeout:g} s: it is "
                "busy or hangs; wait for it, or start the cluster again"
            ) from None
        except ipp.error.RemoteError as error:
            raise LaunchError(
                f"session: engine {key} cannot load hpcapp ({error.ename}: "
                f"{error.evalue}): start the engines in the same environment"
            ) from None
    return found


def _open(profile: str, timeout: float) -> Any:
    import ipyparallel as ipp

    # a folder, or the name of one in ~/.ipython
    where = "profile_dir" if os.sep in profile else "profile"
    try:
        return ipp.Client(**{where: profile}, timeout=timeout)
    except (OSError, TimeoutError, ipp.error.TimeoutError) as error:
        raise LaunchError(
            f"session: profile {profile}: no cluster to connect to ({error}); start "
            f"one with: ipcluster start --{where.replace('_', '-')}={profile} -n 4 "
            "--engines=MPI"
        ) from None


class _Started:
    """A cluster of our own."""

    def __init__(self, n: int, mpirun: str) -> None:
        import ipyparallel as ipp
        from traitlets.config import Config

        self.n = n
        self.folder = tempfile.mkdtemp(prefix="hpcapp-session-")
        self.token = secrets.token_hex(8)
        self._keeper = Keeper(self.token, self.folder)
        self.client: Any = None
        config = Config()
        config.MPILauncher.mpi_cmd = [mpirun]
        # signals go to the processes directly: one process less for each engine
        config.MPIEngineSetLauncher.engine_args = ["--IPEngine.enable_nanny=False"]
        self.cluster = ipp.Cluster(
            engines="mpi",
            n=n,
            config=config,
            profile_dir=self.folder,
            load_profile=False,
            cluster_id="",
            # it would be written again after the directory is gone
            cluster_file="",
            controller_ip="127.0.0.1",
            delay=0.0,
            log_level=50,
            shutdown_atexit=False,
        )

    def go(self, until: float) -> Any:
        """Start everything; return a client that sees all engines."""
        environ = launch_environ({**LOOPBACK, **os.environ}, self.n)
        environ[MARK] = self.token
        cluster = self.cluster
        cluster.start_controller_sync(environment={MARK: self.token})
        changed = {k: v for k, v in environ.items() if os.environ.get(k) != v}
        cluster.start_engines_sync(environment=changed)
        self.client = cluster.connect_client_sync()
        while len(self.client.ids) < self.n:
            # the process itself: ipyparallel hears of its end only while it is asked
            ended = "has ended" in _state(cluster.engine_set.pid)
            if ended or time.monotonic() > until:
                raise LaunchError(
                    f"session: {len(self.client.ids)} of {self.n} engines have come"
                    + (", and their launcher has ended" if ended else " in time")
                )
            time.sleep(0.02)
        return self.client

    def note(self, known: Mapping[int, Engine]) -> None:
        """Let what the engines share be removed also where none of them is left."""
        self._keeper.note(find_segments(engine.pid for engine in known.values()))

    def said(self) -> str:
        """Return the last lines of what the engines and the controller have logged."""
        lines: list[str] = []
        for path in sorted(Path(self.folder, "log").glob("*.log")):
            text = path.read_text(errors="replace").strip().splitlines()
            if text:
                lines += [f"{path.name}:", *(f"  {line}" for line in text[-SHOWN:])]
        return "\n" + "\n".join(lines) if lines else ""

    def close(self) -> None:
        """End every process that was started, and remove the directory."""
        if self.client is not None:
            with suppress(Exception):
                self.client.close()
        self._keeper.end()
        # the threads that watch the launchers end with them
        with suppress(Exception):
            self.cluster.stop_cluster_sync()


def _state(pid: int) -> str:
    """Return how a process of this machine is, "" where it lives."""
    import psutil

    try:
        status = psutil.Process(pid).status()
    except psutil.Error:
        return "has ended: it was killed or has crashed"
    if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
        return "has ended: it was killed or has crashed"
    return "was stopped" if status == psutil.STATUS_STOPPED else ""


def _host() -> str:
    return socket.gethostname().partition(".")[0]
