# SPDX-License-Identifier: MIT
"""Fields of a workload: what they are, their parts on a rank, their values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hpcapp.decomposition import Block

__all__ = ["Field", "LatePart", "Part", "State"]


@dataclass(frozen=True)
class Field:
    """One variable of a result or of the state.

    Parameters
    ----------
    name : str
        Its name in files and in `State`.
    dims : tuple of str
        Its dimensions, the last one fastest; () for a scalar. A dimension that
        is not one of the domain's takes its length from the data when written.
    units : str
        UDUNITS spelling, "1" for a pure number.
    long_name : str
        One line for axes and listings.
    dtype : str
        NumPy dtype; "str" for text.
    kind : {"result", "state", "both"}
        Whether it is written at the end, saved in checkpoints, or both.
    distributed : bool
        True: each rank holds parts of it. False: all ranks hold it whole, and
        it must be small.
    listed : bool
        Whether it is a list, of one dimension of its own, of which each rank holds
        some entries: parts are numbered from 0 on each rank and stand in the file
        in the order of ranks. Only for state: the order depends on the layout.
    partial : bool
        Whether a checkpoint may lack points of it, since another field tells which
        are there. A result may not.
    attributes : mapping
        Further attributes of CF, such as ``standard_name`` (only of its table),
        ``cell_methods`` or ``calendar``.
    view : str
        How a picture shows it. "curves": a line for each index of the first
        dimension; "power law": so too, with logarithmic axes and a straight line
        through each; "": what suits its dimensions.
    """

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    dtype: str = "float64"
    kind: Literal["result", "state", "both"] = "result"
    distributed: bool = False
    listed: bool = False
    partial: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    view: Literal["", "curves", "power law"] = ""

    @property
    def saved(self) -> bool:
        """Whether a checkpoint holds it."""
        return self.kind in ("state", "both")

    @property
    def published(self) -> bool:
        """Whether it is a variable of the result."""
        return self.kind in ("result", "both")


@dataclass(frozen=True)
class Part:
    """A piece of a distributed field on this rank.

    Parameters
    ----------
    block : Block
        Its global indices.
    array : ndarray
        Its values, of the block's shape; may be a view.
    """

    block: Block
    array: np.ndarray


class LatePart(Part):
    """A piece whose values are elsewhere, such as on a GPU, until they are wanted.

    Parameters
    ----------
    block : Block
        Its global indices.
    fetch : callable
        Returns the values; called at most once, while the state is complete: at a
        yield, or at the end.
    """

    def __init__(self, block: Block, fetch: Callable[[], np.ndarray]) -> None:
        object.__setattr__(self, "block", block)
        object.__setattr__(self, "_fetch", fetch)

    @cached_property
    def array(self) -> np.ndarray:
        """The values, of the block's shape."""
        found: np.ndarray = self.__dict__["_fetch"]()
        return found


class State:
    """The values of fields, by name.

    A replicated field is a NumPy array or scalar, equal on all ranks. A
    distributed field is a sequence of `Part`. After a resumption the replicated
    ones stand here when `steps` begins, and `read` fills parts.

    Parameters
    ----------
    values : mapping, optional
        Saved values of replicated fields.
    reader : object, optional
        With ``read(name, block, out)`` and ``shape(name)``, the saved distributed
        fields.
    """

    def __init__(
        self, values: Mapping[str, Any] | None = None, reader: Any = None
    ) -> None:
        self._values: dict[str, Any] = dict(values or {})
        self._reader = reader

    @property
    def resumed(self) -> bool:
        """Whether the run goes on from saved values."""
        return self._reader is not None

    def __getitem__(self, name: str) -> Any:
        """Return the value of a field."""
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        """Set the value of a field."""
        self._values[name] = value

    def __contains__(self, name: str) -> bool:
        """Tell whether a field has a value."""
        return name in self._values

    def get(self, name: str, default: Any) -> Any:
        """Return the value of a field, or a default on a fresh start."""
        return self._values.get(name, default)

    def parts(self, name: str) -> Sequence[Part]:
        """Return the non-empty parts of a distributed field on this rank."""
        return [part for part in self._values.get(name, ()) if not part.block.empty]

    def length(self, name: str) -> int:
        """Return the number of saved entries of a listed field, 0 on a fresh start."""
        return 0 if self._reader is None else int(self._reader.shape(name)[0])

    def read(self, name: str, block: Block, out: np.ndarray) -> bool:
        """Fill an array with saved values.

        Parameters
        ----------
        name : str
            A distributed field that is saved.
        block : Block
            The global indices wanted; any, not only this rank's.
        out : ndarray
            Of the block's shape; written.

        Returns
        -------
        bool
            False on a fresh start, when `out` is left as it is.
        """
        if self._reader is None:
            return False
        if not block.empty:
            self._reader.read(name, block, out)
        return True
