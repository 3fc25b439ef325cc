# SPDX-License-Identifier: MIT
"""When a run writes snapshots, and what becomes of them at its end."""

import os
from collections.abc import Callable
from typing import Any

from hpcapp.decomposition import Domain
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.fields import Field, State
from hpcapp.problem import Problem
from hpcapp.session import Session
from hpcapp.store.snapshots import (
    SNAPSHOTS,
    clear_snapshots,
    collect,
    single,
    snapshot_fields,
    snapshot_path,
)

__all__ = ["Snapshots", "check_snapshots"]

Save = Callable[[str, list[Field], State, dict[str, Any], Domain], Any]


def check_snapshots(problem: Problem) -> None:
    """Refuse snapshots of a workload that has nothing to show between its steps.

    Parameters
    ----------
    problem : Problem
        A valid configuration.

    Raises
    ------
    ConfigError
        If there is no field that is whole at each step.
    """
    workload = problem.workload
    wanted = problem.config.output.every is not None
    if wanted and not snapshot_fields(workload.fields(), workload.domain()):
        raise ConfigError(
            f"must be null: {problem.config.workload} has no field that is whole "
            "between its steps",
            key="output.every",
        )


class Snapshots:
    """Counts steps; writes a snapshot after every few of them.

    Parameters
    ----------
    session : Session
        The run.
    save : callable
        Writes a file of these fields; collective.

    Attributes
    ----------
    steps : int
        Done since the beginning of the run, also before a stop.
    """

    def __init__(self, session: Session, save: Save) -> None:
        self._session, self._save = session, save
        self._every = session.problem.config.output.every
        workload = session.problem.workload
        self._domain = workload.domain()
        self._all = workload.fields()
        self._fields = snapshot_fields(self._all, self._domain)
        saved = session.saved
        self.steps = int(saved.attributes.get("hpcapp_steps", 0)) if saved else 0
        if saved is None:
            session.comm.on_root(lambda: clear_snapshots(session.directory))

    def after_step(self, state: State) -> None:
        """Count a step and write a snapshot if it is time; collective."""
        self.steps += 1
        if self._every is None or self.steps % self._every:
            return
        path = snapshot_path(self._session.directory, self.steps)
        self._session.comm.on_root(lambda: _make_folder(path))
        found = single(self.steps, state, self._fields, self._domain, self._axes(state))
        outcome = {"hpcapp_state": "snapshot"}
        self._save(path, found.fields, found.state, outcome, found.domain)

    def finish(self, state: State) -> None:
        """Make one file of all snapshots; collective."""
        session = self._session
        if self._every is None:
            return
        found = collect(
            session.comm,
            session.directory,
            self._fields,
            self._domain,
            self._axes(state),
        )
        if found is None:
            return
        path = os.path.join(session.directory, SNAPSHOTS)
        outcome = {"hpcapp_state": "snapshots"}
        self._save(path, found.fields, found.state, outcome, found.domain)
        session.comm.on_root(lambda: clear_snapshots(session.directory))
        session.log.info(f"snapshots in {path}")

    def _axes(self, state: State) -> list[tuple[Field, Any]]:
        """Return the coordinates of the domain, as far as they are known yet."""
        return [
            (field, state[field.name])
            for field in self._all
            if field.published
            and field.dims == (field.name,)
            and field.name in self._domain.dims
            and field.name in state
        ]


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path)
    try:
        # not its parents: where they vanished, what was written would not be found
        if not os.path.isdir(folder):
            os.mkdir(folder)
    except OSError as error:
        raise HpcappError(
            f"{folder}: no snapshot can be written there: {error.strerror}"
        ) from None
