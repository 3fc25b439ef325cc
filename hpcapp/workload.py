# SPDX-License-Identifier: MIT
"""The contract of a workload.

A workload is one file or folder that nobody else mentions by name. It declares
parameters and fields and computes in a generator of steps; the driver turns the
crank, so no workload writes a line about files, signals or logs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hpcapp.config import Model, Run
from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.errors import ConfigError
from hpcapp.fields import Field, Part, State
from hpcapp.messages import shown
from hpcapp.steps import Answer, Step
from hpcapp.validity import Check, Read

if TYPE_CHECKING:
    from hpcapp.device import Device
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Answer",
    "Check",
    "Context",
    "Field",
    "Network",
    "Part",
    "State",
    "Step",
    "Workload",
]


@dataclass(frozen=True)
class Network:
    """What a model of times takes for the machine.

    Parameters
    ----------
    latency : float
        Seconds of a message of no length.
    bandwidth : float
        Bytes that a rank sends in a second.
    rate : float
        Updates (the workload's unit of work) that a rank does in a second.
    """

    latency: float
    bandwidth: float
    rate: float


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
    unit : str
        Of the work that steps report, in the plural, such as "updates".
    growing : str
        What `hpcapp list` says of `extendable` where a parameter is required, so
        that there is no instance to ask.
    traffic : float
        Bytes that a unit of work moves through memory where nothing stays in caches;
        0 where arithmetic is the limit. `hpcapp report` compares with the machine.
    tuning : frozenset of str
        Parameters that change no number and may change when a run goes on.
    watched : str
        What one looks at while it computes, such as the residual; "" for nothing.

    Notes
    -----
    Every rank yields the same steps in the same order, a rank without work
    too. A step is bounded by a count that the configuration fixes, never by a
    clock. At a yield `ctx.state` is complete: a run that is stopped there and
    goes on elsewhere gives the same bits.
    """

    Parameters: ClassVar[type[Model]] = Model
    summary: ClassVar[str] = ""
    unit: ClassVar[str] = "steps"
    growing: ClassVar[str] = ""
    traffic: ClassVar[float] = 0.0
    tuning: ClassVar[frozenset[str]] = frozenset()
    watched: ClassVar[str] = ""

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
            With its argument `key`, such as ``parameters.inputs``, and without
            the place of the configuration, which the caller knows.
        """

    def without_gpu(self) -> str:
        """Return why this cannot compute on a GPU, or ""; pure."""
        return "this workload has kernels for the CPU only"

    def input_files(self) -> Sequence[str]:
        """Return the files that are read; called on rank 0 before the first step.

        Returns
        -------
        sequence of str
            In an order that stays; by default there are none. Their sizes and SHA-256
            are kept with checkpoints and the result, and a run goes on only with the
            same files, or with more behind them where it can be extended.
        """
        return ()

    def extendable(self) -> frozenset[str]:
        """Return the parameters that may grow after the end; pure.

        Returns
        -------
        frozenset of str
            `resume` then computes only what is new, and the result keeps the
            state. What growing means says `check_extension`. May depend on the
            other parameters; by default there are none.
        """
        return frozenset()

    def check_extension(self, before: Mapping[str, Any]) -> None:
        """Refuse to go on from a state that lies beyond what is asked for; pure.

        What a straight run with the parameters of now would pass through must
        lead through that state: else its bits would differ. By default a
        parameter of `extendable` that is a number must not become smaller.

        Parameters
        ----------
        before : mapping
            The parameters that led to the state, as plain values.

        Raises
        ------
        ConfigError
            With its argument `key`, such as ``parameters.samples``.
        """
        for name in sorted(self.extendable()):
            self.refuse_less(name, before.get(name))

    def grown(self, factor: float) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return the parameters of a larger problem of the same kind; pure.

        For weak scaling: each rank of many gets as much to do as one rank alone.

        Parameters
        ----------
        factor : float
            How many times the points, samples, terms, ...; > 0, 1 for the same.

        Returns
        -------
        mapping or None
            What changes, as plain values; None, the default, where the size is not
            in the parameters.

        Raises
        ------
        ConfigError
            If there is no problem of that size; with its argument `key`.
        """
        return None

    def refuse_less(self, name: str, old: Any) -> None:
        """Refuse a parameter that became smaller than it was.

        Parameters
        ----------
        name : str
            The parameter.
        old : object
            Its value before; anything but a number is let through.

        Raises
        ------
        ConfigError
            Naming it.
        """
        now = getattr(self.parameters, name)
        both = (old, now)
        if all(isinstance(n, int | float) for n in both) and now < old:
            raise ConfigError(
                f"must not become smaller when a run goes on, was {shown(old)}, got "
                f"{shown(now)}; start another run",
                key=f"parameters.{name}",
            )

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
        sizes = (np.dtype(f.dtype).itemsize for f in self.fields() if f.distributed)
        return layout.block(rank).size * sum(sizes)

    def gpu_memory(self, layout: Layout, rank: int) -> tuple[int, int]:
        """Return what a rank on a GPU needs beside `memory`; pure, used by `plan`.

        Parameters
        ----------
        layout : Layout
            The blocks.
        rank : int
            The rank.

        Returns
        -------
        gpu : int
            Bytes of arrays on the GPU, at most; by default 0, which stands for not
            known: nothing is shown and nothing refused.
        pinned : int
            Bytes of buffers of the host through which messages go.
        """
        del layout, rank
        return 0, 0

    @classmethod
    def tables(cls, read: Read) -> Iterator[tuple[str, Iterable[str]]]:  # noqa: ARG003
        """Return plain files by which other programs know the results.

        ``hpcapp export --format dat`` writes them.

        Parameters
        ----------
        read : callable
            Returns a variable of a result, by its name, as an array.

        Returns
        -------
        iterator of (str, iterable of str)
            Name and lines of each file; by default there are none.
        """
        return iter(())

    def checks(self, read: Read) -> Iterable[Check]:  # noqa: ARG002
        """Compare a result with theory; called after the run, on one process.

        ``hpcapp report`` calls a result VALID if all pass, ``hpcapp verify`` grades so.

        Parameters
        ----------
        read : callable
            Returns a variable by its name (``state/NAME`` for kept state), to be cut
            like an array: take whole only what is small.

        Returns
        -------
        iterable of Check
            By default there are none.
        """
        return ()

    def plan_rows(
        self, layout: Layout, network: Network | None = None
    ) -> tuple[tuple[str, str], ...]:
        """Return further lines for `plan`: names and texts; pure.

        Parameters
        ----------
        layout : Layout
            The blocks.
        network : Network, optional
            Where times on many ranks are asked for.

        Returns
        -------
        tuple of (str, str)
            By default none.
        """
        del layout, network
        return ()

    def warm_up(self, device: "Device") -> None:  # noqa: B027
        """Call each kernel once on tiny arrays of the types that `steps` uses.

        The driver does this on one rank of each node first, so that kernels
        are compiled once and loaded by the others.

        Parameters
        ----------
        device : Device
            Launches kernels.
        """
