# SPDX-License-Identifier: MIT
"""What there is to compute: listings and starter files, from the models. No MPI."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hpcapp.config import Checkpoint, Model, Output, Run
from hpcapp.discovery import find_workload, plugin_names, workload_names
from hpcapp.errors import ConfigError
from hpcapp.messages import nearest
from hpcapp.studies.schema import model_schema, schema_path
from hpcapp.studies.wording import flow, type_words
from hpcapp.workload import Workload

__all__ = ["Entry", "describe_workloads", "entries", "write_starter"]

WIDTH = 100

SECTIONS: Mapping[str, type[Model]] = {
    "run": Run,
    "output": Output,
    "checkpoint": Checkpoint,
}

SCHEMA_LINE = "# yaml-language-server: $schema="


@dataclass(frozen=True)
class Entry:
    """One key of a configuration, in words.

    Parameters
    ----------
    name : str
        With the sections that it stands in, such as ``boundary.left``.
    kind : str
        Its type in words; "section" for one that holds others.
    unit : str
        UDUNITS spelling, or "".
    default : str
        As YAML; "required" where there is none, "" for a section.
    meaning : str
        One line.
    """

    name: str
    kind: str
    unit: str
    default: str
    meaning: str


def entries(model: type[Model]) -> tuple[Entry, ...]:
    """Return the keys of a model, those of a nested section after it.

    Parameters
    ----------
    model : type of Model
        Parameters of a workload, or another section.

    Returns
    -------
    tuple of Entry
        In the order of the model.
    """
    schema = model_schema(model)
    return tuple(_walk(schema, schema.get("$defs", {}), ""))


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str
) -> Iterator[Entry]:
    needed = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        inner = definitions.get(part.get("$ref", "").rpartition("/")[2], {})
        meaning = part.get("description", inner.get("description", ""))
        unit = part.get("unit", "")
        meaning = meaning.removesuffix(f" (unit: {unit})")
        if "properties" in inner:
            yield Entry(prefix + name, "section", "", "", meaning)
            yield from _walk(inner, definitions, f"{prefix}{name}.")
            continue
        default = "required" if name in needed else flow(part.get("default"))
        kind = type_words({**inner, **part})
        yield Entry(prefix + name, kind, unit, default, meaning)


def describe_workloads(name: str | None) -> str:
    """Return what ``hpcapp list`` shows.

    Parameters
    ----------
    name : str or None
        A workload, for its parameters; ``run``, ``output`` or ``checkpoint``
        for the keys of that section; None for the names of all workloads.

    Returns
    -------
    str
        Plain text, 100 columns wide where its words allow.

    Raises
    ------
    ConfigError
        If there is no such workload or section.
    """
    if name is None:
        return _overview()
    if name in SECTIONS:
        model = SECTIONS[name]
        title = f"section {name}: {_summary(model)}"
        return "\n".join([title, "", *_table(entries(model))])
    offered = [*workload_names(), *plugin_names()]
    if "." not in name and name not in offered:
        known = [*offered, *SECTIONS]
        raise ConfigError(
            f"list: no workload or section '{name}'{nearest(name, known)}"
        )
    cls = find_workload(name, "list")
    lines = [f"{name}: {cls.summary}", "", *_table(entries(cls.Parameters))]
    growing = _growing(cls)
    if growing:
        lines += ["", f"A finished run can be extended by resume: {growing}"]
    return "\n".join([*lines, "", f"hpcapp init {name} writes a configuration."])


def _growing(cls: type[Workload]) -> str:
    """Return what may grow, with default parameters where these are complete."""
    if any(field.is_required() for field in cls.Parameters.model_fields.values()):
        return cls.growing
    return ", ".join(sorted(cls(cls.Parameters(), Run()).extendable()))


def _overview() -> str:
    names = workload_names()
    width = max(map(len, names), default=0)
    lines = ["workloads"]
    for name in names:
        cls = find_workload(name, "list")
        lines.append(f"  {name:<{width}}  {cls.summary}")
        tops = ", ".join(cls.Parameters.model_fields)
        indent = " " * (width + 4)
        lines += textwrap.wrap(
            tops, WIDTH, initial_indent=indent, subsequent_indent=indent
        )
    lines += [line for name in plugin_names() for line in _plugin(name, names)]
    note = (
        "hpcapp list WORKLOAD     type, unit, default and meaning of its parameters",
        f"hpcapp list SECTION      the same of {', '.join(SECTIONS)}, which all share",
        "hpcapp init WORKLOAD     writes a commented configuration to start from",
    )
    return "\n".join([*lines, "", *note])


def _plugin(name: str, taken: list[str]) -> Iterator[str]:
    """Yield what is told of a plug-in; a broken one must not hide the others."""
    if name in taken:
        yield f"  warning: plug-in {name}: hidden by the workload of that name"
        return
    try:
        cls = find_workload(name, "list")
    except ConfigError as error:
        yield f"  warning: {str(error).removeprefix('list: workload: ')}"
        return
    yield f"  {name}  {cls.summary} (plug-in)"


def _summary(model: type[Model]) -> str:
    first = (model.__doc__ or "").strip().splitlines()[0]
    return first.partition(": ")[2] or first


def _table(rows: tuple[Entry, ...]) -> list[str]:
    if not rows:
        return ["no parameters"]
    cells = [("parameter", "type", "unit", "default")]
    cells += [(row.name, row.kind, row.unit, row.default) for row in rows]
    widths = [max(len(cell[k]) for cell in cells) for k in range(3)]
    indent = " " * (widths[0] + 2)
    lines = [_line(cells[0], widths)]
    for row, cell in zip(rows, cells[1:], strict=True):
        lines.append(_line(cell, widths))
        lines += textwrap.wrap(
            row.meaning, WIDTH, initial_indent=indent, subsequent_indent=indent
        )
    return lines


def _line(cell: tuple[str, str, str, str], widths: list[int]) -> str:
    padded = [f"{text:<{width}}" for text, width in zip(cell[:3], widths, strict=True)]
    return "  ".join([*padded, cell[3]]).rstrip()


def write_starter(workload: str, output: str | None) -> str:
    """Write a commented configuration to start from.

    Parameters
    ----------
    workload : str
        A name from ``hpcapp list``, or a dotted module name.
    output : str or None
        The new file; by default WORKLOAD.yaml in the working directory.

    Returns
    -------
    str
        The path of the file.

    Raises
    ------
    ConfigError
        If there is no such workload, the file exists already, or it cannot be
        written.
    """
    cls = find_workload(workload, "init")
    stem = workload.removesuffix(".py").replace("/", ".").rpartition(".")[2]
    path = output or f"{stem}.yaml"
    text = _shipped(workload) or _generated(workload, cls.Parameters, cls.summary)
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(f"{SCHEMA_LINE}{schema_path()}\n{text}")
    except FileExistsError:
        raise ConfigError(
            f"{path}: exists already and is kept; name another file with --output"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _shipped(workload: str) -> str:
    """Return the package's own starter without its schema line, or ""."""
    file = resources.files("hpcapp") / "starters" / f"{workload}.yaml"
    if not file.is_file():
        return ""
    first, _, rest = file.read_text(encoding="utf-8").partition("\n")
    return rest if first.startswith(SCHEMA_LINE) else f"{first}\n{rest}"


def _generated(workload: str, parameters: type[Model], summary: str) -> str:
    lines = [f"# {summary}" if summary else "#", f"workload: {workload}"]
    for title, model in {"parameters": parameters, **SECTIONS}.items():
        keys = entries(model)
        lines += ["", f"{title}:" if keys else f"{title}: {{}}"]
        for entry in keys:
            lines += _starter_lines(entry)
    return "\n".join(lines) + "\n"


def _starter_lines(entry: Entry) -> list[str]:
    indent = "  " * entry.name.count(".") + "  "
    key = entry.name.rpartition(".")[2]
    comment = f"{indent}# "
    about = entry.meaning
    if entry.kind != "section":
        unit = f", in {entry.unit}" if entry.unit not in ("", "1") else ""
        about = f"{entry.meaning} ({entry.kind}{unit})"
    lines = textwrap.wrap(about, 88, initial_indent=comment, subsequent_indent=comment)
    if entry.default == "required":
        return [*lines, f"{indent}{key}:  # required"]
    return [*lines, f"{indent}{key}: {entry.default}".rstrip()]
