# SPDX-License-Identifier: MIT
"""What may be different when a run goes on: what changes none of its numbers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hpcapp.errors import ConfigError, ResultError
from hpcapp.problem import Problem, check_version
from hpcapp.store.reader import load_attributes
from hpcapp.yaml_source import parse_yaml

__all__ = ["inputs_of", "refuse_changes", "refuse_inputs"]


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


def inputs_of(path: str, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a checkpoint or result tells of the files that were read.

    Parameters
    ----------
    path : str
        The file.
    attributes : mapping
        Its global attributes.

    Returns
    -------
    list of dict
        As `fingerprints` returns them, empty where it tells nothing.

    Raises
    ------
    ResultError
        If they cannot be understood.
    """
    try:
        found = json.loads(attributes.get("hpcapp_inputs", "[]"))
        return [{**entry, "path": str(entry["path"])} for entry in found]
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(
            f"{path}: hpcapp_inputs: does not tell what was read: {error!r}: damaged"
        ) from None


def refuse_inputs(
    path: str,
    then: Sequence[Mapping[str, Any]],
    now: Sequence[Mapping[str, Any]],
    more: bool,
) -> None:
    """Refuse to go on with input files that are not those of before.

    Parameters
    ----------
    path : str
        The checkpoint or result to go on from.
    then, now : sequence of mapping
        As `fingerprints` returns them.
    more : bool
        Whether further files may follow those of before.

    Raises
    ------
    ConfigError
        Naming the first file that is another one.
    """
    last = max(len(then), len(now)) if not more else len(then)
    for number in range(last):
        old = then[number] if number < len(then) else {}
        new = now[number] if number < len(now) else {}
        # of a file that could not be read then only the name is known
        keys = ("path",) if "fault" in old else ("path", "sha256")
        if all(old.get(key) == new.get(key) for key in keys):
            continue
        raise ConfigError(
            f"{old.get('path') or new['path']}: must not change when a run goes on: "
            f"file {number + 1} of the input was {_told(old)} when {path} was written, "
            f"got {_told(new)}; put it back as it was, or start another run"
        )


def _told(entry: Mapping[str, Any]) -> str:
    if "sha256" in entry:
        digest = entry["sha256"][:12]
        return f"{entry['path']} of {entry['bytes']} bytes with SHA-256 {digest}..."
    return f"{entry['path']}: {entry['fault']}" if entry else "none"


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
