# SPDX-License-Identifier: MIT
"""Variables of a result as plain files: CSV, columns between blanks, NumPy. No MPI."""

import csv
import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from hpcapp.discovery import find_workload
from hpcapp.errors import ConfigError
from hpcapp.store.reader import open_file, read_attributes
from hpcapp.studies.results import dimensions, pieces, result_path, variables

__all__ = ["FORMATS", "export_result"]

FORMATS = ("csv", "dat", "npy")

FOLDER = "export"

# what holds all variables without dimensions, in csv and dat
SCALARS = "scalars"


def export_result(
    result: str, form: str, output: str | None = None, names: Sequence[str] = ()
) -> str:
    """Write variables of a result as plain files.

    Parameters
    ----------
    result : str
        Result file, or run directory.
    form : {"csv", "dat", "npy"}
        csv: a file for each variable, a row for each element: its coordinates, or
        indices where a dimension has none, and its value; dat: the files that other
        programs know the workload's results by, or columns between blanks; npy: a file
        for each variable.
    output : str, optional
        Folder, made if it is not there; by default `export` beside the result. Files
        in it are replaced.
    names : sequence of str
        Only these variables; by default all.

    Returns
    -------
    str
        A line that names the folder and its new files.

    Raises
    ------
    ConfigError
        If there is no such variable, or a file cannot be written.
    ResultError
        If there is no result, or it cannot be read.
    """
    path = result_path(result)
    folder = output or os.path.join(os.path.dirname(path), FOLDER)
    with open_file(path) as file:
        known = variables(file)
        for name in names:
            if name not in known:
                raise ConfigError(_unknown(name, list(known)))
        chosen = {name: known[name] for name in names or known}
        try:
            os.makedirs(folder, exist_ok=True)
            written = None
            if form == "dat" and not names:
                written = _write_own(folder, str(_workload(file)), known)
            if form == "npy":
                written = [_write_npy(folder, n, v) for n, v in chosen.items()]
            written = written or _write_tables(folder, form, known, chosen)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or folder}: cannot be written: {error.strerror}; "
                "name another folder with --output"
            ) from None
    return f"{folder}: {', '.join(written)}"


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"--variable: must be in the result, got {name}; {hint}"


def _workload(file: Any) -> Any:
    return read_attributes(file).get("hpcapp_workload", "")


def _write_own(folder: str, workload: str, known: dict[str, Any]) -> list[str]:
    """Write the files that the workload's results are known by, if there are any."""
    if not workload:
        return []
    tables = find_workload(workload, "hpcapp_workload").tables(
        lambda name: _values(known[name])
    )
    written = []
    for name, lines in tables:
        with _open(folder, name) as stream:
            stream.writelines(f"{line}\n" for line in lines)
        written.append(name)
    return written


def _write_npy(folder: str, name: str, variable: Any) -> str:
    target = os.path.join(folder, f"{name}.npy")
    if _is_text(variable) or variable.ndim == 0:
        np.save(target, _values(variable).astype(str if _is_text(variable) else None))
        return f"{name}.npy"
    open_array: Callable[..., Any] = np.lib.format.open_memmap
    shape, dtype = variable.shape, variable.dtype
    if not variable.size:
        np.save(target, np.zeros(shape, dtype))
        return f"{name}.npy"
    out = open_array(target, mode="w+", dtype=dtype, shape=shape)
    for box in pieces(shape, dtype.itemsize):
        out[box] = variable[box]
    out.flush()
    return f"{name}.npy"


def _write_tables(
    folder: str, form: str, known: dict[str, Any], chosen: dict[str, Any]
) -> list[str]:
    written = []
    scalars = {name: v for name, v in chosen.items() if v.ndim == 0}
    for name, variable in chosen.items():
        if name in scalars:
            continue
        dims = dimensions(variable)
        own = dims == (name,)
        head = [name] if own else [*_distinct(dims), name]
        rows = _rows(known, variable, () if own else dims)
        written.append(_write_rows(folder, f"{name}.{form}", [head], rows))
    if scalars:
        values = [(n, _plain(_values(v).item())) for n, v in scalars.items()]
        name = f"{SCALARS}.{form}"
        written.append(_write_rows(folder, name, [["name", "value"]], values))
    return written


def _distinct(dims: Sequence[str]) -> list[str]:
    return [f"{dim}{i}" if dims.count(dim) > 1 else dim for i, dim in enumerate(dims)]


def _rows(
    known: dict[str, Any], variable: Any, dims: Sequence[str]
) -> Iterator[list[Any]]:
    """Return a row for each element, in the order of the file."""
    axes = []
    for dim, length in zip(dims, variable.shape, strict=False):
        there = known.get(dim)
        fits = there is not None and there.shape == (length,)
        values = _values(there) if fits else np.arange(length)
        axes.append([_plain(value) for value in values.tolist()])
    for box in pieces(variable.shape, max(8, variable.dtype.itemsize)):
        values = _values(variable, box)
        start = [piece.start for piece in box]
        for index, value in zip(
            np.ndindex(values.shape), values.ravel().tolist(), strict=True
        ):
            place = [
                axis[first + i]
                for axis, first, i in zip(axes, start, index, strict=False)
            ]
            yield [*place, _plain(value)]


def _write_rows(
    folder: str, name: str, heads: list[list[str]], rows: Iterable[Sequence[Any]]
) -> str:
    with _open(folder, name) as stream:
        if name.endswith(".csv"):
            table = csv.writer(stream, lineterminator="\n")
            table.writerows([*heads])
            table.writerows(rows)
        else:
            stream.writelines(f"# {' '.join(head)}\n" for head in heads)
            stream.writelines(" ".join(map(str, row)) + "\n" for row in rows)
    return name


def _open(folder: str, name: str) -> TextIO:
    return open(os.path.join(folder, name), "w", encoding="utf-8", newline="")


def _is_text(variable: Any) -> bool:
    return bool(variable.dtype.kind == "O")


def _values(variable: Any, box: tuple[slice, ...] = ()) -> Any:
    return np.asarray(variable.asstr()[box] if _is_text(variable) else variable[box])


def _plain(value: Any) -> Any:
    # numbers as Python writes them: they read back with the same bits
    return repr(value) if isinstance(value, float) else value
