# SPDX-License-Identifier: MIT
"""The configuration: frozen models and their validation.

Needs no MPI and no workload: the model of `parameters` is an argument.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from hpcapp.errors import ConfigError
from hpcapp.messages import explain
from hpcapp.values import (
    Count,
    Duration,
    Grid,
    Integer,
    NamedPath,
    PathText,
    Real,
    Threads,
    expand_path,
)
from hpcapp.yaml_source import Source, parse_override

__all__ = [
    "FORMAT_VERSION",
    "Checkpoint",
    "Config",
    "Count",
    "Duration",
    "Integer",
    "Model",
    "Output",
    "PathText",
    "Real",
    "Run",
    "apply_settings",
    "build_config",
    "document_model",
    "expand_path",
    "parameter",
    "rule_broken",
]

FORMAT_VERSION = 1


class Model(BaseModel):
    """Base of every part of a configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def parameter(default: Any, meaning: str, unit: str = "1", **rules: Any) -> Any:
    """Declare a parameter with its default, meaning and unit.

    Parameters
    ----------
    default : object
        Its default; ``...`` makes it required.
    meaning : str
        One line, shown by ``hpcapp list`` and written into starter files.
    unit : str
        UDUNITS spelling; "1" for a pure number, "" where units make no sense.
    **rules : object
        Rules of pydantic's ``Field``, such as ``gt=0``.

    Returns
    -------
    object
        The field information for pydantic.
    """
    return Field(
        default, description=meaning, json_schema_extra={"unit": unit}, **rules
    )


def rule_broken(key: str, rule: str) -> PydanticCustomError:
    """Return the error for a model validator that finds one key at fault.

    Parameters
    ----------
    key : str
        The parameter at fault, relative to the model.
    rule : str
        What must hold.

    Returns
    -------
    PydanticCustomError
        To be raised.
    """
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "key": key})


class Run(Model):
    """Section ``run``: how to compute. Nothing here may change a result's bits."""

    device: Literal["cpu", "cuda", "auto"] = parameter(
        "cpu", "where the kernels run; only auto may fall back, and says so", ""
    )
    transport: Literal["auto", "host", "gpu"] = parameter(
        "auto",
        "messages between GPUs: through buffers of the host, or MPI gets GPU memory; "
        "auto: that, where a trial has shown that it works",
        "",
    )
    threads: Threads = parameter(
        "auto", "threads of a rank; auto: its cores shared among ranks on them"
    )
    seed: Integer = parameter(0, "seed of random workloads", ge=0, le=2**64 - 1)
    wall_time: Duration | None = parameter(
        None, "stop with a checkpoint and exit code 75 before this time is over", "s"
    )
    stall: Duration | None = parameter(
        "120 s", "end the job when all ranks have waited so long for one another", "s"
    )
    memory: Literal["check", "warn", "off"] = parameter(
        "check", "what to do when the plan does not fit into memory", ""
    )
    process_grid: Grid | None = parameter(
        None, "ranks along each axis, as [2, 2]; null: the grid with the least halo"
    )


class Output(Model):
    """Section ``output``: where the result goes and who writes it."""

    directory: NamedPath = parameter(
        "results/{name}", "run directory; {name} is the file's name, ~ and ${VAR}", ""
    )
    writer: Literal["auto", "direct", "hdf5", "netcdf", "gather"] = parameter(
        "auto",
        "direct: all ranks through MPI-IO; hdf5, netcdf: through libraries built with "
        "MPI; gather: through rank 0",
        "",
    )
    format: Literal["netcdf", "hdf5"] = parameter(
        "netcdf",
        "netcdf: result.nc; hdf5: result.h5, the same made without the NetCDF library",
        "",
    )
    compression: Integer = parameter(
        0,
        "0: none, 1: fast, 9: smallest result; not with the writer direct",
        ge=0,
        le=9,
    )
    every: Count | None = parameter(
        None, "steps between snapshots, which snapshots.nc holds; null: none"
    )


class Checkpoint(Model):
    """Section ``checkpoint``: how often, and how many are kept."""

    every: Duration | None = parameter(
        "600 s", "time between checkpoints; null: only when stopped", "s"
    )
    keep: Count = parameter(2, "checkpoints kept", le=100)


@dataclass(frozen=True)
class Config:
    """A whole, valid configuration.

    Parameters
    ----------
    workload : str
        A name from ``hpcapp list`` or a dotted module name.
    parameters : Model
        The workload's own, validated.
    run, output, checkpoint : Model
        The other sections; paths are expanded.
    origin : str
        The file it came from, for messages.
    places : mapping
        From the path of each key that was set to where that was, such as
        ``configs/laplace.yaml:7``, ``--set`` or ``HPCAPP_RUN_THREADS``.
    """

    workload: str
    parameters: Any
    run: Run
    output: Output
    checkpoint: Checkpoint
    origin: str
    # the same values from elsewhere are the same configuration
    places: Mapping[tuple[str, ...], str] = field(
        default_factory=dict, compare=False, repr=False
    )

    def where(self, *key: str) -> str:
        """Return where a key was set, or the section around it, or the file."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.origin

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Put its place before the message of an error that names only its key."""
        try:
            yield
        except ConfigError as error:
            place = self.where(*error.key.split("."))
            raise type(error)(f"{place}: {error}") from None

    def document(self) -> dict[str, Any]:
        """Return the plain mapping that reads back as this configuration."""
        return {
            "version": FORMAT_VERSION,
            "workload": self.workload,
            "parameters": self.parameters.model_dump(mode="json"),
            "run": self.run.model_dump(mode="json"),
            "output": self.output.model_dump(mode="json"),
            "checkpoint": self.checkpoint.model_dump(mode="json"),
        }


def document_model(parameters: type[Model]) -> type[Model]:
    """Return the model of a whole file for the parameters of one workload."""
    needed = any(field.is_required() for field in parameters.model_fields.values())
    # made by validation, which knows the context, not by the class
    section: Any = ... if needed else Field(default_factory=dict)
    return create_model(
        "Document",
        __base__=Model,
        version=(
            Integer,
            parameter(FORMAT_VERSION, "format of this file", ge=1, le=FORMAT_VERSION),
        ),
        workload=(str, parameter(..., "what to compute", "")),
        parameters=(parameters, section),
        run=(Run, Field(default_factory=dict)),
        output=(Output, Field(default_factory=dict)),
        checkpoint=(Checkpoint, Field(default_factory=dict)),
    )


def apply_settings(
    source: Source, settings: tuple[str, ...], environ: Mapping[str, str]
) -> None:
    """Lay the environment and then the command line over what a file says.

    ``HPCAPP_RUN_THREADS=2`` sets ``run.threads``; likewise for the sections
    `output` and `checkpoint`.

    Parameters
    ----------
    source : Source
        What the file says; modified.
    settings : tuple of str
        ``KEY=VALUE`` of the command line, later ones win.
    environ : mapping
        The process environment.

    Raises
    ------
    ConfigError
        If a setting is malformed.
    """
    for name, text in sorted(environ.items()):
        for section in ("run", "output", "checkpoint"):
            prefix = f"HPCAPP_{section.upper()}_"
            if name.startswith(prefix):
                key = f"{section}.{name.removeprefix(prefix).lower()}"
                path, value, places = parse_override(f"{key}={text}", name)
                source.override(path, value, places)
    for setting in settings:
        path, value, places = parse_override(setting, "--set")
        source.override(path, value, places)


def build_config(
    source: Source, parameters: type[Model], environ: Mapping[str, str]
) -> Config:
    """Validate what was read.

    Parameters
    ----------
    source : Source
        Values and their places.
    parameters : type of Model
        The workload's parameters.
    environ : mapping
        For ``${VAR}`` in paths.

    Returns
    -------
    Config
        The configuration, frozen.

    Raises
    ------
    ConfigError
        One message that names every place, rule and value at fault.
    """
    model = document_model(parameters)
    context = {"environ": environ, "name": PurePath(source.name).stem}
    try:
        document: Any = model.model_validate(source.values, context=context)
    except ValidationError as error:
        raise ConfigError(explain(error, model, source)) from None
    return Config(
        workload=document.workload,
        parameters=document.parameters,
        run=document.run,
        output=document.output,
        checkpoint=document.checkpoint,
        origin=source.name,
        places={
            key: place.origin for key, place in source.places.items() if not place.made
        },
    )
