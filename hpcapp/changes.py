# SPDX-License-Identifier: MIT
"""What may be different when a run goes on: what changes none of its numbers."""

from typing import Any

from hpcapp.errors import ConfigError, ResultError
from hpcapp.problem import Problem, check_version
from hpcapp.store.reader import load_attributes
from hpcapp.yaml_source import parse_yaml

__all__ = ["refuse_changes"]


def refuse_changes(problem: Problem, path: str) -> bool:
    """Refuse to go on with a configuration that changes the problem.

    Parameters
    ----------
    problem : Problem
        As configured now.
    path : str
        The checkpoint or result, which holds the configuration of then.

    Returns
    -------
    bool
        Whether the run is finished and nothing new is asked for.

    Raises
    ------
    ConfigError
        Naming each key that may not change, or not so; or if a newer hpcapp
        wrote it.
    ResultError
        If the file says nothing of its configuration, or is in a newer format.
    """
    attributes = load_attributes(path)
    text = attributes.get("hpcapp_config")
    if not isinstance(text, str):
        raise ResultError(f"{path}: does not hold its configuration")
    source = parse_yaml(text, path)
    check_version(source)
    changed = _differences(source.values, parse_yaml(problem.text(), "now").values)
    workload, where = problem.workload, problem.config.where
    extendable = workload.extendable()
    refused = [
        f"{where(*key)}: {'.'.join(key)}: must not change when a run goes on, was "
        f"{old}, got {new}"
        for key, old, new in changed
        if not _may_change(key, extendable | workload.tuning)
    ]
    if refused:
        raise ConfigError("\n".join(refused))
    with problem.config.placing():
        workload.check_extension(source.values.get("parameters") or {})
    finished = attributes.get("hpcapp_state") == "finished"
    more = any(key[0] == "parameters" for key, _, _ in changed)
    if finished and more and not extendable:
        raise ConfigError(
            f"{path}: is finished, and {problem.config.workload} cannot be extended; "
            "start another run"
        )
    return finished and not more


def _may_change(key: tuple[str, ...], allowed: frozenset[str]) -> bool:
    section = key[0]
    if section == "parameters":
        return key[1] in allowed
    if section == "run":
        return key[1] != "seed"
    return section in ("output", "checkpoint")


def _differences(
    before: Any, now: Any, key: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for name in sorted({*before, *now}):
            found += _differences(before.get(name), now.get(name), (*key, name))
        return found
    return [] if before == now else [(key, before, now)]
