# SPDX-License-Identifier: MIT
"""The contract of a workload, and how one is found by name.

A workload is one file or folder that nobody else mentions by name. It declares
parameters and fields and computes in a generator of steps; the driver turns the
crank, so no workload writes a line about files, signals or logs.
"""

import importlib
import inspect
import pkgutil
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from hpcapp.config import Model, Run
from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.errors import ConfigError
from hpcapp.messages import nearest, shown

if TYPE_CHECKING:
    from hpcapp.device import Device
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Answer",
    "Context",
    "Field",
    "Part",
    "State",
    "Step",
    "Workload",
    "find_workload",
    "workload_names",
]


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
    """

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    dtype: str = "float64"
    kind: Literal["result", "state", "both"] = "result"
    distributed: bool = False

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


@dataclass(frozen=True)
class Step:
    """What a workload says at a yield.

    Parameters
    ----------
    fraction : float
        Estimated share of the whole run that is done, 0 to 1.
    note : str
        A few words for the progress line, such as the residual.
    """

    fraction: float
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """The outcome in a line and in numbers.

    Parameters
    ----------
    text : str
        One line with the uncertainty or residual.
    values : mapping
        Numbers for ``--json``.
    converged : bool or None
        Whether what was asked for was reached; None where that means nothing.
    work : float
        Amount of work done since this start, in `unit`.
    unit : str
        Unit of work, such as "updates".
    warning : str
        What the user should know; "" for nothing.
    """

    text: str
    values: Mapping[str, float]
    converged: bool | None
    work: float
    unit: str
    warning: str = ""


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
        With ``read(name, block, out)``, the saved distributed fields.
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


@dataclass
class Context:
    """What `Workload.steps` computes with.

    Parameters
    ----------
    comm : Comm
        The ranks.
    device : Device
        Launches kernels.
    layout : Layout
        The blocks of all ranks.
    state : State
        Fields; complete at every yield.
    """

    comm: "Comm"
    device: "Device"
    layout: Layout
    state: State = field(default_factory=State)

    @property
    def block(self) -> Block:
        """Block of this rank; empty where it owns nothing."""
        return self.layout.block(self.comm.rank)


class Workload(ABC):
    """One kind of computation.

    Parameters
    ----------
    parameters : Model
        Validated, an instance of the class's `Parameters`.
    run : Run
        The section of that name: device, threads, seed.

    Attributes
    ----------
    summary : str
        One line for listings and titles.
    extendable : frozenset of str
        Parameters that may grow after the end: `resume` then computes only what
        is new. The result keeps the state of such a workload.
    tuning : frozenset of str
        Parameters that change no number and may change when a run goes on.

    Notes
    -----
    Every rank yields the same steps in the same order, a rank without work
    too. A step is bounded by a count that the configuration fixes, never by a
    clock. At a yield `ctx.state` is complete: a run that is stopped there and
    goes on elsewhere gives the same bits.
    """

    Parameters: ClassVar[type[Model]] = Model
    summary: ClassVar[str] = ""
    extendable: ClassVar[frozenset[str]] = frozenset()
    tuning: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, parameters: Any, run: Run) -> None:
        self.parameters = parameters
        self.run = run

    @abstractmethod
    def domain(self) -> Domain:
        """Return the global index space; pure, used by `plan`."""

    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """Return what is written, saved and restored."""

    @abstractmethod
    def steps(self, ctx: Context) -> Iterator[Step]:
        """Compute, from `ctx.state` alone, yielding between bounded steps."""

    @abstractmethod
    def answer(self, state: State) -> Answer:
        """Return the outcome, after the last step."""

    def check(self) -> None:  # noqa: B027
        """Refuse what only a look at the values or the inputs can tell.

        Called on rank 0, before any file is touched.

        Raises
        ------
        ConfigError
            Naming the key, without the place of the configuration.
        """

    def halo(self, layout: Layout) -> int:
        """Return the points exchanged with neighbours; pure, used by `plan`.

        Parameters
        ----------
        layout : Layout
            The blocks.

        Returns
        -------
        int
            At most `layout.halo`, the default.
        """
        return layout.halo

    def memory(self, layout: Layout, rank: int) -> int:
        """Return the bytes of arrays that a rank holds while it computes.

        Parameters
        ----------
        layout : Layout
            The blocks.
        rank : int
            The rank.

        Returns
        -------
        int
            By default one copy of each distributed field.
        """
        points = layout.block(rank).size
        return sum(
            points * np.dtype(f.dtype).itemsize for f in self.fields() if f.distributed
        )

    def warm_up(self, device: "Device") -> None:  # noqa: B027
        """Call each kernel once on tiny arrays of the types that `steps` uses.

        The driver does this on one rank of each node first, so that kernels
        are compiled once and loaded by the others.

        Parameters
        ----------
        device : Device
            Launches kernels.
        """


def workload_names() -> list[str]:
    """Return the names of the workloads in this package, sorted."""
    import hpcapp.workloads

    return sorted(
        module.name for module in pkgutil.iter_modules(hpcapp.workloads.__path__)
    )


def find_workload(name: str, place: str) -> type[Workload]:
    """Import the workload of a name.

    Parameters
    ----------
    name : str
        One of `workload_names`, or the dotted name of a module of the user's.
    place : str
        Where the name was written, for messages.

    Returns
    -------
    type of Workload
        The class that the module defines.

    Raises
    ------
    ConfigError
        If there is no such module, it cannot be imported, or it does not
        define exactly one workload.
    """
    parts = name.split(".") if isinstance(name, str) else [""]
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{place}: workload: must be a name, got {shown(name)}")
    if "." in name:
        return _only_workload(_import_own(name, place), place)
    if name not in workload_names():
        raise ConfigError(
            f"{place}: workload: no workload '{name}'"
            f"{nearest(name, workload_names())} (one of your own is named "
            "package.module)"
        )
    return _only_workload(importlib.import_module(f"hpcapp.workloads.{name}"), place)


def _import_own(name: str, place: str) -> Any:
    # the console script does not put the working directory on the path; -m does
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{place}: workload: no module '{name}' in the working directory "
                "or the environment"
            ) from None
        raise _broken(name, place, error) from None
    except Exception as error:
        raise _broken(name, place, error) from None


def _broken(name: str, place: str, error: Exception) -> ConfigError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    at = f" at {last.filename}:{last.lineno}"
    if isinstance(error, SyntaxError) or "importlib" in last.filename:
        # the last frame is the import system's: the message must do
        at = ""
    return ConfigError(
        f"{place}: workload: {name} cannot be imported: {type(error).__name__}{at}: "
        f"{error}"
    )


def _only_workload(module: Any, place: str) -> type[Workload]:
    package = module.__name__
    found = {
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Workload)
        and not inspect.isabstract(value)
        and (value.__module__ == package or value.__module__.startswith(package + "."))
    }
    if len(found) != 1:
        raise ConfigError(
            f"{place}: workload: {package} must define one Workload, it has "
            f"{len(found)}"
        )
    return found.pop()
