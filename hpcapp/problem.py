# SPDX-License-Identifier: MIT
"""A configuration together with the workload that it names."""

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hpcapp.config import (
    FORMAT_VERSION,
    Config,
    apply_settings,
    build_config,
)
from hpcapp.decomposition import Layout
from hpcapp.discovery import find_workload
from hpcapp.errors import ConfigError
from hpcapp.workload import Workload
from hpcapp.yaml_source import Source, parse_override, parse_yaml, read_yaml

__all__ = ["Problem", "check_version", "parse_problem", "read_problem"]


@dataclass(frozen=True)
class Problem:
    """What to compute and how.

    Parameters
    ----------
    config : Config
        Validated; the workload itself is made from it where it is needed, so
        that a problem travels between ranks as plain data.
    """

    config: Config

    def __reduce__(self) -> Any:
        # on another rank the classes inside exist once the workload is found
        config = self.config
        place = config.where("workload")
        return _arrive, (config.workload, place, pickle.dumps(config))

    @cached_property
    def workload(self) -> Workload:
        """The workload with its parameters."""
        config = self.config
        cls = find_workload(config.workload, config.where("workload"))
        return cls(config.parameters, config.run)

    def layout(self, ranks: int) -> Layout:
        """Divide the workload's domain over ranks.

        Parameters
        ----------
        ranks : int
            How many.

        Returns
        -------
        Layout
            The blocks.

        Raises
        ------
        ConfigError
            If `run.process_grid` does not fit.
        """
        domain, config = self.workload.domain(), self.config
        try:
            return Layout.choose(domain, ranks, config.run.process_grid)
        except ValueError as error:
            place = config.where("run", "process_grid")
            raise ConfigError(f"{place}: run.process_grid: {error}") from None

    def check(self) -> None:
        """Let the workload look at its values and inputs.

        Raises
        ------
        ConfigError
            If it refuses them.
        """
        with self.config.placing():
            self.workload.check()

    def text(self) -> str:
        """Return the whole configuration as YAML, defaults included."""
        return dump_yaml(self.config.document())


def read_problem(
    path: str,
    settings: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    directory: tuple[str, str] | None = None,
) -> Problem:
    """Read and validate a configuration file.

    Parameters
    ----------
    path : str
        The YAML file, or the Python file of a workload, with its defaults.
    settings : tuple of str
        ``KEY=VALUE`` of the command line.
    environ : mapping, optional
        The process environment.
    directory : (str, str), optional
        The run directory that goes before all settings; first the option that
        gives it, for messages.

    Returns
    -------
    Problem
        Ready to plan or run.

    Raises
    ------
    ConfigError
        One message with every fault.
    """
    # a workload of one file needs no configuration: all its parameters have defaults
    alone = path.endswith(".py") and os.path.isfile(path)
    quoted = path.replace("'", "''")
    source = parse_yaml(f"workload: '{quoted}'", path) if alone else read_yaml(path)
    return _complete(source, settings, environ, directory)


def parse_problem(
    text: str,
    name: str,
    settings: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    directory: tuple[str, str] | None = None,
) -> Problem:
    """Validate the text of a configuration; like `read_problem`."""
    return _complete(parse_yaml(text, name), settings, environ, directory)


def check_version(source: Source) -> None:
    """Refuse a configuration that was written for a newer hpcapp.

    Parameters
    ----------
    source : Source
        As read, not validated: newer keys would be called unknown.

    Raises
    ------
    ConfigError
        If its `version` is newer.
    """
    version = source.values.get("version", FORMAT_VERSION)
    if isinstance(version, int) and version > FORMAT_VERSION:
        place = source.where(("version",)).origin
        raise ConfigError(
            f"{place}: version: must be <= {FORMAT_VERSION}, got {version}: "
            "written for a newer hpcapp"
        )


def _arrive(workload: str, place: str, data: bytes) -> Problem:
    find_workload(workload, place)
    return Problem(pickle.loads(data))


def dump_yaml(document: dict[str, Any]) -> str:
    """Return a plain mapping as YAML 1.2 text that reads back equal."""
    from io import StringIO

    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    class Representer(SafeRepresenter):
        """One of our own, since representers are kept by class."""

    Representer.add_representer(str, _represent_text)
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    # through JSON: tuples become lists, which YAML knows
    text = json.dumps(document, ensure_ascii=False)
    # unescaped, these would read back as the blank of a folded line
    yaml.allow_unicode = not any(char in text for char in "\x85\u2028\u2029")
    yaml.dump(json.loads(text), stream)
    return stream.getvalue()


def _represent_text(representer: Any, text: str) -> Any:
    # quoted where it begins with a sign: a plain ?0 is not read back
    plain = text[:1].isalnum() or text[:1] in ("", ".", "/", "_", "~")
    style = None if plain else "'"
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style)


def _complete(
    source: Source,
    settings: tuple[str, ...],
    environ: Mapping[str, str] | None,
    directory: tuple[str, str] | None,
) -> Problem:
    environ = os.environ if environ is None else environ
    apply_settings(source, settings, environ)
    if directory is not None:
        option, folder = directory
        # as YAML reads it, whatever is in it
        quoted = "'" + folder.replace("'", "''") + "'"
        source.override(*parse_override(f"output.directory={quoted}", option))
    check_version(source)
    name = source.values.get("workload")
    if name is None:
        raise ConfigError(
            f"{source.name}: workload: is required; hpcapp list shows what there is"
        )
    cls = find_workload(name, source.where(("workload",)).origin)
    return Problem(build_config(source, cls.Parameters, environ))
