# SPDX-License-Identifier: MIT
"""What the estimators of `montecarlo` have in common: shares, keys, outcomes."""

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, NamedTuple

from hpcapp.decomposition import part_of
from hpcapp.device import Device
from hpcapp.fields import Field, State
from hpcapp.workload import Context

__all__ = ["Estimator", "Outcome", "root", "share"]


class Outcome(NamedTuple):
    """An estimate and its standard error.

    Parameters
    ----------
    estimate : float
        The estimate.
    error : float
        Its standard error; NaN where a single sample tells none.
    """

    estimate: float
    error: float


class Estimator(ABC):
    """One way to count samples.

    Parameters
    ----------
    parameters : Parameters
        Validated.
    seed : int
        0 <= seed < 2**64.

    Attributes
    ----------
    what : str
        Name of the samples, in the plural.
    meaning : str
        What is estimated, for labels.
    align : int
        Ranges of samples are cut at multiples of it.
    most : int
        Samples that one core takes about half a second for.
    """

    what: str = "samples"
    meaning: str = ""
    align: int = 1
    most: int = 1

    def __init__(self, parameters: Any, seed: int) -> None:
        self.parameters = parameters
        self.key = (seed & 0xFFFFFFFF, seed >> 32)

    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """Return the fields of this estimator alone."""

    @abstractmethod
    def start(self, state: State) -> None:
        """Put sums that no sample was added to."""

    def prepare(self, state: State) -> None:  # noqa: B027
        """Put what follows from parameters alone, on a resumption too."""

    @abstractmethod
    def advance(self, ctx: Context, first: int, last: int) -> None:
        """Add a range of samples to the state; collective."""

    @abstractmethod
    def outcome(self, state: State, samples: int) -> Outcome:
        """Return what the state, which holds so many samples, says."""

    @abstractmethod
    def tell(self, estimate: str) -> str:
        """Return a sentence around the estimate."""

    @abstractmethod
    def warm_up(self, device: Device) -> None:
        """Call each kernel once."""

    def memory(self, threads: int) -> int:  # noqa: ARG002
        """Return the bytes of arrays of a rank."""
        return 1 << 14

    def gpu_memory(self) -> int:
        """Return the bytes of arrays on the GPU of a rank, at most."""
        return 64

    def publish(self, state: State) -> None:  # noqa: B027
        """Put what follows from the state."""

    def mine(self, ctx: Context, first: int, last: int) -> list[tuple[int, int]]:
        """Return this rank's share of a range, a piece for each thread.

        On a GPU it is one piece, whose threads are the kernel's affair.
        """
        a, b = share(first, last, ctx.comm.size, ctx.comm.rank, self.align)
        threads = 1 if ctx.device.name == "cuda" else ctx.device.threads
        pieces = [share(a, b, threads, n, self.align) for n in range(threads)]
        return [piece for piece in pieces if piece[0] < piece[1]]


def share(
    first: int, last: int, parts: int, index: int, align: int = 1
) -> tuple[int, int]:
    """Return one part of a range that is cut at multiples of a number.

    Parameters
    ----------
    first, last : int
        The range, `last` excluded.
    parts, index : int
        Number of parts, and which one.
    align : int
        Where to cut, counted from `first`.

    Returns
    -------
    (int, int)
        Start and stop; the last part may end between two multiples.

    Examples
    --------
    >>> [share(6, 16, 3, index, 3) for index in range(3)]
    [(6, 12), (12, 15), (15, 16)]
    """
    a, b = part_of(-(-(last - first) // align), parts, index)
    return min(first + a * align, last), min(first + b * align, last)


def root(square: Fraction) -> float:
    """Return the square root of a rational number >= 0, of any size.

    Parameters
    ----------
    square : Fraction
        The number.

    Returns
    -------
    float
        Its root to the precision of a double; subnormal and huge squares too.

    Examples
    --------
    >>> root(Fraction(1, 10**400))
    1e-200
    """
    if square == 0:
        return 0.0
    # an even power of two brings the square to about 1
    size = square.numerator.bit_length() - square.denominator.bit_length()
    half = size // 2
    scaled = square / Fraction(4) ** half
    return float(float(scaled) ** 0.5 * 2.0**half)
