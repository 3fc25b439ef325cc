# SPDX-License-Identifier: MIT
"""Whether engines form one MPI world; what is wrong where they do not."""

from collections.abc import Mapping

from hpcapp import __version__
from hpcapp.errors import LaunchError
from hpcapp.interactive.orders import Engine

__all__ = ["check_engines"]

RIGHT = (
    "start them with hpcapp.Session(n=4), with ipyparallel.Cluster(engines='mpi', n=4) "
    "or with: ipcluster start -n 4 --engines=MPI"
)


def check_engines(engines: Mapping[int, Engine]) -> None:
    """Refuse engines that are not one MPI world with engine id = rank.

    Parameters
    ----------
    engines : mapping
        What each engine says of itself, by its id.

    Raises
    ------
    LaunchError
        Saying which mistake leads to that, and what to do.
    """
    if not engines:
        raise LaunchError(f"session: there are no engines; {RIGHT}")
    count = len(engines)
    without = sorted(key for key, engine in engines.items() if engine.world is None)
    if without:
        verb = "has" if len(without) == 1 else "have"
        raise LaunchError(
            f"session: {_these(without)} of {count} {verb} not started "
            "MPI: engines=... was not set to mpi when the cluster was "
            "started (ipyparallel takes Cluster(environments='mpi') without a word and "
            f"starts engines without MPI); {RIGHT}"
        )
    worlds = {key: engine.world for key, engine in engines.items() if engine.world}
    sizes = {size for _, size in worlds.values()}
    if sizes == {1} and count > 1:
        first = next(iter(engines.values()))
        raise LaunchError(
            f"session: {count} engines, each an MPI world of its own: their launcher "
            f"is not that of {first.library}; use the mpiexec that belongs to it "
            "(MPILauncher.mpi_cmd), or srun with --mpi=pmix or pmi2; hpcapp doctor "
            "tells more"
        )
    if sizes != {count}:
        found = ", ".join(str(size) for size in sorted(sizes))
        raise LaunchError(
            f"session: {count} engines, but the size of their MPI world is {found}: "
            "not all of its engines have come, or some are of an earlier start; "
            "stop the cluster and start it again"
        )
    wrong = sorted(key for key, (rank, _) in worlds.items() if rank != key)
    if wrong:
        key = wrong[0]
        raise LaunchError(
            f"session: engine {key} has rank {worlds[key][0]}, but they must be equal: "
            "the ids of earlier engines were still in use; stop the cluster and start "
            "it again"
        )
    _check_versions(engines)


def _check_versions(engines: Mapping[int, Engine]) -> None:
    for key, engine in sorted(engines.items()):
        if engine.version != __version__:
            raise LaunchError(
                f"session: engine {key} on {engine.host} has hpcapp {engine.version}, "
                f"this process {__version__}: start the engines in the same environment"
            )


def _these(keys: list[int]) -> str:
    numbers = ", ".join(str(key) for key in keys[:8]) + (" ..." if keys[8:] else "")
    return f"engine{'s' if len(keys) > 1 else ''} {numbers}"
