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
from hpcapp.yaml_source import Source, parse_yaml, read_yaml

__all__ = ["Problem", "parse_problem", "read_problem"]


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
        return _arrive, (config.workload, config.origin, pickle.dumps(config))

    @cached_property
    def workload(self) -> Workload:
        """The workload with its parameters."""
        config = self.config
        cls = find_workload(config.workload, config.origin)
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
        domain = self.workload.domain()
        try:
            return Layout.choose(domain, ranks, self.config.run.process_grid)
        except ValueError as error:
            raise ConfigError(
                f"{self.config.origin}: run.process_grid: {error}"
            ) from None

    def check(self) -> None:
        """Let the workload look at its values and inputs.

        Raises
        ------
        ConfigError
            If it refuses them.
        """
        try:
            self.workload.check()
        except ConfigError as error:
            raise ConfigError(f"{self.config.origin}: {error}") from None

    def text(self) -> str:
        """Return the whole configuration as YAML, defaults included."""
        return dump_yaml(self.config.document())


def read_problem(
    path: str, settings: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> Problem:
    """Read and validate a configuration file.

    Parameters
    ----------
    path : str
        The YAML file.
    settings : tuple of str
        ``KEY=VALUE`` of the command line.
    environ : mapping, optional
        The process environment.

    Returns
    -------
    Problem
        Ready to plan or run.

    Raises
    ------
    ConfigError
        One message with every fault.
    """
    return _problem(read_yaml(path), settings, environ)


def parse_problem(
    text: str,
    name: str,
    settings: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> Problem:
    """Validate the text of a configuration; like `read_problem`."""
    return _problem(parse_yaml(text, name), settings, environ)


def _arrive(workload: str, origin: str, data: bytes) -> Problem:
    find_workload(workload, origin)
    return Problem(pickle.loads(data))


def dump_yaml(document: dict[str, Any]) -> str:
    """Return a plain mapping as YAML 1.2 text that reads back equal."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    # through JSON: tuples become lists, which YAML knows
    text = json.dumps(document, ensure_ascii=False)
    # unescaped, these would read back as the blank of a folded line
    yaml.allow_unicode = not any(char in text for char in "\x85\u2028\u2029")
    yaml.dump(json.loads(text), stream)
    return stream.getvalue()


def _problem(
    source: Source, settings: tuple[str, ...], environ: Mapping[str, str] | None
) -> Problem:
    environ = os.environ if environ is None else environ
    apply_settings(source, settings, environ)
    version = source.values.get("version", FORMAT_VERSION)
    if isinstance(version, int) and version > FORMAT_VERSION:
        place = source.where(("version",)).origin
        raise ConfigError(
            f"{place}: version: must be <= {FORMAT_VERSION}, got {version}: "
            "written for a newer hpcapp"
        )
    name = source.values.get("workload")
    if name is None:
        raise ConfigError(
            f"{source.name}: workload: is required; hpcapp list shows what there is"
        )
    cls = find_workload(name, source.where(("workload",)).origin)
    return Problem(build_config(source, cls.Parameters, environ))
