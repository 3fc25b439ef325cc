# SPDX-License-Identifier: MIT
"""Result files as the studies see them: variables, dimensions, bounded pieces."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from hpcapp.decomposition import Domain, Layout
from hpcapp.errors import ResultError
from hpcapp.store.checkpoints import RESULTS, find_result

__all__ = ["Spread", "dimensions", "pieces", "result_path", "spread_of", "variables"]

# how netCDF-4 marks a dimension that has no coordinate variable
PLACEHOLDER = b"This is a netCDF dimension but not a netCDF variable"


def result_path(path: str) -> str:
    """Return the result file that a path means.

    Parameters
    ----------
    path : str
        A file, or a run directory.

    Returns
    -------
    str
        The file itself.

    Raises
    ------
    ResultError
        If a run directory has no result.
    """
    if not os.path.isdir(path):
        return path
    file = find_result(path)
    if not file:
        raise ResultError(
            f"{path}: has no {RESULTS['netcdf']}: no run of hpcapp has finished there"
        )
    return file


def variables(file: Any) -> dict[str, Any]:
    """Return the variables of the root group of an open NetCDF-4 file.

    Parameters
    ----------
    file : h5py.File
        The file.

    Returns
    -------
    dict of str to h5py.Dataset
        In the file's order, coordinates included.
    """
    import h5py

    return {
        name: item
        for name, item in file.items()
        if isinstance(item, h5py.Dataset)
        and not bytes(item.attrs.get("NAME", b"")).startswith(PLACEHOLDER)
    }


def dimensions(variable: Any) -> tuple[str, ...]:
    """Return the names of a variable's dimensions, "?" for one without a name."""
    if variable.attrs.get("CLASS") == b"DIMENSION_SCALE" and variable.ndim == 1:
        return (variable.name.rpartition("/")[2],)
    return tuple(
        scales[0].name.rpartition("/")[2] if len(scales) else "?"
        for scales in variable.dims
    )


def pieces(
    shape: tuple[int, ...], item_bytes: int, limit: int = 1 << 23
) -> Iterator[tuple[slice, ...]]:
    """Cut an array into boxes that follow one another in C order.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    item_bytes : int
        Bytes of one element.
    limit : int
        Bytes of a box, at most; at least one element is in it.

    Yields
    ------
    tuple of slice
        The next box; () for a scalar.

    Examples
    --------
    >>> list(pieces((2, 3), 8, 16))[:2]
    [(slice(0, 1, None), slice(0, 2, None)), (slice(0, 1, None), slice(2, 3, None))]
    """
    if not shape:
        yield ()
        return
    axis = 0
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) * item_bytes > limit:
        axis += 1
    inner = tuple(slice(0, n) for n in shape[axis + 1 :])
    step = max(1, limit // max(1, prod(shape[axis + 1 :]) * item_bytes))
    for index in np.ndindex(*shape[:axis]):
        outer = tuple(slice(i, i + 1) for i in index)
        for at in range(0, shape[axis], step):
            yield (*outer, slice(at, min(at + step, shape[axis])), *inner)


@dataclass(frozen=True)
class Spread:
    """How the ranks that wrote a file divided the domain.

    Parameters
    ----------
    ranks : int
        How many there were.
    layout : Layout
        Their blocks.
    dealt : bool
        Whether the workload dealt its parts out itself: nobody owns a block.
    """

    ranks: int
    layout: Layout
    dealt: bool = False


def spread_of(attributes: Mapping[str, Any]) -> Spread | None:
    """Return the rank layout that a file records.

    Parameters
    ----------
    attributes : mapping
        The file's global attributes.

    Returns
    -------
    Spread or None
        None where it records none that makes sense.
    """
    try:
        facts = json.loads(attributes["hpcapp_layout"])
        domain = Domain(tuple(facts["dims"]), tuple(map(int, facts["shape"])))
        grid = tuple(map(int, facts["grid"]))
        ranks = int(facts["ranks"])
        return Spread(ranks, Layout.choose(domain, ranks, grid), facts["dealt"])
    except (KeyError, TypeError, ValueError):
        # a foreign file: there is only less to say
        return None
