# SPDX-License-Identifier: MIT
"""From what a user gives - a file, a mapping, a Config - to an order of a run."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcapp.config import Config
from hpcapp.errors import ConfigError
from hpcapp.interactive.orders import Order
from hpcapp.problem import Problem, dump_yaml, parse_problem
from hpcapp.run_directory import CONFIG

__all__ = ["Given", "as_settings", "fresh_directory", "read_given", "read_run"]

SECTIONS = ("run", "output", "checkpoint")


@dataclass(frozen=True)
class Given:
    """A configuration as given, validated.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        For messages, and for ``{name}`` in the run directory.
    settings : tuple of str
        ``KEY=VALUE``.
    problem : Problem
        What comes of it.
    """

    text: str
    name: str
    settings: tuple[str, ...]
    problem: Problem

    def order(self) -> Order:
        """Return the order of a run in a directory of its own.

        Returns
        -------
        Order
            Whose directory exists, and is empty if nobody named it.

        Raises
        ------
        ConfigError
            If it cannot be made.
        """
        directory = self.problem.config.output.directory
        return Order(
            text=self.text,
            name=self.name,
            directory=fresh_directory(directory),
            settings=self.settings,
            folder=os.getcwd(),
            command=f"hpcapp.Session.run({self.name!r})",
        )


def read_given(
    config: str | os.PathLike[str] | Mapping[str, Any] | Config,
    overrides: Mapping[str, Any],
) -> Given:
    """Read and validate what a user gives.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    overrides : mapping
        Parameters of the workload by name; `run`, `output` and `checkpoint` are
        mappings of the keys in those sections.

    Returns
    -------
    Given
        Ready for engines.

    Raises
    ------
    ConfigError
        One message with every fault, as on the command line.
    """
    if isinstance(config, Config):
        text, name = dump_yaml(config.document()), config.origin
    elif isinstance(config, Mapping):
        text = dump_yaml(dict(config))
        name = str(config.get("workload", "configuration"))
    else:
        name = os.fspath(config)
        text = _read(name)
    settings = tuple(as_settings(overrides))
    problem = parse_problem(text, name, settings)
    problem.check()
    return Given(text, name, settings, problem)


def read_run(directory: str, overrides: Mapping[str, Any]) -> tuple[Given, Order]:
    """Read the configuration of a run that is to go on.

    Parameters
    ----------
    directory : str
        The run directory.
    overrides : mapping
        As for `read_given`.

    Returns
    -------
    (Given, Order)
        What it is, and what to ask the engines for.

    Raises
    ------
    ConfigError
        If there is none, or an override is wrong.
    """
    path = os.path.abspath(directory)
    given = read_given(os.path.join(path, CONFIG), overrides)
    command = f"hpcapp.Session.resume({directory!r})"
    order = Order(None, given.name, path, given.settings, os.getcwd(), command)
    return given, order


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8, got {error.reason}") from None


def as_settings(overrides: Mapping[str, Any]) -> list[str]:
    """Return overrides as the command line has them.

    Parameters
    ----------
    overrides : mapping
        As for `read_given`.

    Returns
    -------
    list of str
        ``KEY=VALUE``.

    Raises
    ------
    ConfigError
        If a value has no form in YAML.
    """
    found = []
    for name, value in overrides.items():
        if name in SECTIONS:
            if not isinstance(value, Mapping):
                raise ConfigError(
                    f"{name}: must be a mapping, such as {name}={{'KEY': value}}, got "
                    f"{value!r}"
                )
            keys = {f"{name}.{key}": one for key, one in value.items()}
        else:
            keys = {f"parameters.{name}": value}
        found += [f"{key}={_plain(key, one)}" for key, one in keys.items()]
    return found


def _plain(key: str, value: Any) -> str:
    """Return a value as YAML reads it back."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{key}: must be a number, text, list or mapping, got {value!r}"
        ) from None


def fresh_directory(base: str) -> str:
    """Make the first directory BASE-1, BASE-2, ... that does not exist.

    Results stay where they are: a dataset reads its values when they are asked for.

    Parameters
    ----------
    base : str
        `output.directory`.

    Returns
    -------
    str
        Its absolute path.

    Raises
    ------
    ConfigError
        If it cannot be made.
    """
    base = os.path.abspath(base)
    number = 1
    try:
        os.makedirs(os.path.dirname(base), exist_ok=True)
        while True:
            try:
                os.mkdir(f"{base}-{number}")
                return f"{base}-{number}"
            except FileExistsError:
                number += 1
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {base}-{number}: {error.strerror}",
            key="output.directory",
        ) from None
