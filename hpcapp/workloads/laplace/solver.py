# SPDX-License-Identifier: MIT
"""What the workload needs of a method."""

from dataclasses import dataclass
from typing import Any, Protocol

from hpcapp.workload import Part

__all__ = ["Found", "Solver"]


@dataclass(frozen=True)
class Found:
    """An iterate in numbers.

    Parameters
    ----------
    residual : float
        Max |residual|.
    largest : float
        Max |u|, boundary included.
    correction : float
        The last correction, max norm; 0 where the method knows none.
    estimate : float
        Estimated distance to the discrete solution; inf where it is unknown.
    """

    residual: float
    largest: float
    correction: float = 0.0
    estimate: float = float("inf")


class Solver(Protocol):
    """A method on one rank. All its functions but `parts` are collective."""

    @property
    def parts(self) -> list[Part]:
        """The values that this rank has, after `measure`."""
        ...

    def more_parts(self) -> dict[str, Any]:
        """Return what else the state holds, by name, after `measure`."""
        ...

    def advance(self, count: int) -> float:
        """Do sweeps or cycles; return the updates of all ranks."""
        ...

    def measure(self) -> Found:
        """Return the state of the iterate."""
        ...

    def broken_source(self) -> tuple[int, int] | None:
        """Return row and column of the first source that is no number, or None."""
        ...

    def close(self) -> None:
        """Free the requests of exchanges."""
        ...
