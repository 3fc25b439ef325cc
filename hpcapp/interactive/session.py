# SPDX-License-Identifier: MIT
"""`hpcapp.Session`: MPI engines, and what one does with them from a notebook."""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hpcapp.config import Config
from hpcapp.device import cores
from hpcapp.errors import ConfigError, LaunchError
from hpcapp.interactive import calling, cluster
from hpcapp.interactive.configuring import Given, read_given, read_run
from hpcapp.interactive.engine import run
from hpcapp.interactive.explorer import Explorer
from hpcapp.interactive.live import follow, watcher
from hpcapp.interactive.orders import Order
from hpcapp.interactive.preview import Preview, preview
from hpcapp.interactive.running import Pending, Run, refuse_lost
from hpcapp.interactive.studying import batch_text, verified

if TYPE_CHECKING:
    import xarray

__all__ = ["Session"]

Configuration = str | os.PathLike[str] | Mapping[str, Any] | Config


class Session:
    """MPI engines that run hpcapp for a notebook, a script or IPython.

    Parameters
    ----------
    n : int, optional
        Number of engines; by default the cores of this process, or all engines of a
        cluster that runs.
    profile : str, optional
        Connect to the cluster that was started with ``ipcluster start --profile``.
    client : ipyparallel.Client, optional
        Use a client that exists.
    timeout : float
        Seconds until all engines must be there.

    Raises
    ------
    LaunchError
        If they are not, or are not one MPI world with engine id = rank.

    Examples
    --------
    >>> with hpcapp.Session(n=4) as s:  # doctest: +SKIP
    ...     ds = s.run("configs/laplace.yaml", accuracy=1e-6)
    """

    def __init__(
        self,
        n: int | None = None,
        *,
        profile: str | None = None,
        client: Any = None,
        timeout: float = 60.0,
    ) -> None:
        if n is not None and n < 1:
            raise LaunchError(f"session: n must be >= 1, got {n}")
        if profile is not None and client is not None:
            raise LaunchError("session: give a profile or a client, not both")
        self._timeout = timeout
        self._theirs = profile is not None or client is not None
        self._pending: list[Pending] = []
        self._engines: cluster.Engines | None = None
        if self._theirs:
            self._take(cluster.connect(profile, client, n, timeout))
        else:
            self._take(cluster.start(n or len(cores()), timeout))
        self._n = self._there().size

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Say what it is."""
        state = "closed" if self._engines is None else f"{self._n} MPI engines"
        return f"<hpcapp.Session: {state}>"

    @property
    def n(self) -> int:
        """Number of engines, which are the ranks of every run."""
        return self._n

    @property
    def client(self) -> Any:
        """The client of ipyparallel."""
        return self._there().client

    def close(self) -> None:
        """End what was started here; a cluster that was there before goes on."""
        self._engines, self._pending = None, []
        self._end()

    def restart(self) -> None:
        """End the engines, whatever they are at, and start as many others.

        Raises
        ------
        LaunchError
            If they do not come, or were not started here and cannot be reached.
        """
        if not self._theirs:
            self.close()
            self._take(cluster.start(self._n, self._timeout))
            return
        self._take(cluster.renew(self._there(), self._timeout))
        self._pending = []

    def _take(self, engines: cluster.Engines) -> None:
        self._engines = engines
        # also where a notebook forgets the session, and at its end
        self._end = weakref.finalize(self, engines.close)

    # --- runs

    def run(self, config: Configuration, **overrides: Any) -> "xarray.Dataset":
        """Run a configuration on all engines and wait for the result.

        Parameters
        ----------
        config : path, mapping or Config
            The configuration.
        **overrides : object
            Parameters of the workload; ``run=``, ``output=`` and ``checkpoint=`` are
            mappings of keys in those sections.

        Returns
        -------
        xarray.Dataset
            Lazy, from the run's file, in a directory of its own.

        Raises
        ------
        HpcappError
            As `Run.result` has them.
        """
        return self._shown(self._submitted(config, overrides))

    def submit(self, config: Configuration, **overrides: Any) -> Run:
        """Start a run and return at once.

        Parameters
        ----------
        config, **overrides
            As for `run`.

        Returns
        -------
        Run
            With `progress`, `result` and `cancel`.

        Raises
        ------
        ConfigError
            If the configuration is at fault.
        EngineError
            If engines still wait for one that failed.
        """
        running = self._submitted(config, overrides)
        follow(running, _title(running))
        return running

    def _submitted(self, config: Configuration, overrides: Mapping[str, Any]) -> Run:
        given = read_given(config, overrides)
        given.problem.layout(self._n)
        self._check_free()
        return self._send(given.order(), given)

    def resume(
        self, directory: str | os.PathLike[str], **overrides: Any
    ) -> "xarray.Dataset":
        """Go on with a run from its newest checkpoint, or extend a finished one.

        Parameters
        ----------
        directory : path
            The run directory.
        **overrides : object
            As for `run`.

        Returns
        -------
        xarray.Dataset
            The result.

        Raises
        ------
        HpcappError
            As `Run.result` has them.
        """
        given, order = read_run(os.fspath(directory), overrides)
        self._check_free()
        return self._shown(self._send(order, given))

    def _send(self, order: Order, given: Given) -> Run:
        engines = self._there()
        pending = Pending(engines, engines.each(run, order), order.directory)
        self._pending.append(pending)
        problem = given.problem
        return Run(pending, order, problem.workload.watched, problem.config.run.stall)

    def _shown(self, running: Run) -> "xarray.Dataset":
        """Wait for a run, and show meanwhile how it stands."""
        look = watcher(running, _title(running))
        try:
            return running.result(look=look)
        finally:
            look()

    # --- without the engines

    def plan(self, config: Configuration, **overrides: Any) -> Preview:
        """Show what a run on these engines will need, and which rank will own what.

        Parameters
        ----------
        config, **overrides
            As for `run`.

        Returns
        -------
        Preview
            A table and a picture in a notebook, text elsewhere.
        """
        return preview(read_given(config, overrides).problem, self._n)

    def verify(
        self, config: Configuration, ranks: Sequence[int] = (1, 2, 3), **overrides: Any
    ) -> bool:
        """Run a configuration on several rank counts and compare every bit.

        Parameters
        ----------
        config : path, mapping or Config
            The configuration.
        ranks : sequence of int
            How many; under mpirun, not on these engines.
        **overrides : object
            As for `run`.

        Returns
        -------
        bool
            Whether all are equal; what was found is printed.
        """
        return verified(read_given(config, overrides), tuple(ranks))

    def to_sbatch(
        self,
        config: Configuration,
        site: str = "generic",
        options: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> str:
        """Return the batch script that runs a configuration on a cluster.

        Parameters
        ----------
        config : path, mapping or Config
            The job reads a file: of anything else one is made in the working directory.
        site : str
            As for ``hpcapp submit --site``.
        options : mapping, optional
            Options of ``hpcapp submit``, such as ``{"nodes": 4, "account": "..."}``.
        **overrides : object
            As for `run`.

        Returns
        -------
        str
            The script.
        """
        return batch_text(config, site, options or {}, overrides)

    # --- functions

    def map(
        self,
        function: Callable[[Any, Any], Any],
        blocks: Sequence[Any] | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """Call a function on all engines at once, with a communicator of their own.

        Parameters
        ----------
        function : callable
            Called as ``function(comm, block)`` on every engine; `comm` is an
            ``mpi4py.MPI.Intracomm`` of all of them.
        blocks : sequence, optional
            One for each engine; None for all by default.
        timeout : float, optional
            Seconds after which the engines are interrupted.

        Returns
        -------
        list
            What it returned, by rank.

        Raises
        ------
        ConfigError
            If there is not one block for each engine.
        EngineError
            If it fails on an engine, or an engine was lost.
        Interrupted
            If the user has interrupted it.
        TimeoutError
            If the time was over first.
        """
        blocks = [None] * self._n if blocks is None else list(blocks)
        if len(blocks) != self._n:
            raise ConfigError(
                f"blocks: must be {self._n}, one for each engine, got {len(blocks)}"
            )
        self._check_free()
        pending = calling.send(self._there(), function, blocks)
        self._pending.append(pending)
        return calling.answers(pending, timeout)

    def blocks(self, shape: Sequence[int]) -> list[tuple[slice, ...]]:
        """Divide an array among the engines, in blocks with the least surface.

        Parameters
        ----------
        shape : sequence of int
            Of the array.

        Returns
        -------
        list of tuple of slice
            The block of each rank; empty where there are more ranks than points.
        """
        return calling.cut_blocks(shape, self._n)

    def explore_mandelbrot(
        self,
        center: tuple[float, float] = (-0.5, 0.0),
        width: float = 3.0,
        shape: tuple[int, int] = (600, 800),
        max_iterations: int = 1000,
    ) -> Any:
        """Return a widget to pan and zoom in the set, computed by the engines.

        Parameters
        ----------
        center : (float, float)
            Real and imaginary part of the first view.
        width : float
            Of it, along the real axis.
        shape : (int, int)
            Rows and columns.
        max_iterations : int
            Of a pixel.

        Returns
        -------
        anywidget.AnyWidget
            Drag to pan; wheel or click to zoom, with shift to zoom out.

        Raises
        ------
        EngineError
            If engines are lost, or wait for one that has failed.
        """
        self._check_free()
        engines = self._there()
        explorer = Explorer(partial(calling.computed, engines), shape, max_iterations)
        calling.prepared(engines, explorer.config(center, width))
        return explorer.widget(center, width)

    def _there(self) -> cluster.Engines:
        if self._engines is None:
            raise LaunchError(
                "session: closed; s.restart() starts its engines again, "
                "hpcapp.Session() others"
            )
        return self._engines

    def _check_free(self) -> None:
        refuse_lost(self._there(), self._pending)
        self._pending = [pending for pending in self._pending if not pending.done]


def _title(running: Run) -> str:
    return os.path.relpath(running.directory)
