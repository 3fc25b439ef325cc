# SPDX-License-Identifier: MIT
"""Means over time in fixed order with the rounding errors kept; nearest grid points.

References
----------
D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B (the
error of an addition is a double, too).
T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM Journal on
Scientific Computing 26 (2005) 1955-1988 (sums with their errors added up).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunningMean", "Window", "nearest", "weights"]


@dataclass
class RunningMean:
    """Sums of what is not missing, at each point; changed in place.

    Parameters
    ----------
    high, low : float64[ny, nx]
        The sum, and what was lost by rounding it: together about 32 digits.
    count : int64[ny, nx]
        Values in it.
    """

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    count: NDArray[np.int64]

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> "RunningMean":
        """Return sums of nothing."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))

    def add(self, values: NDArray[np.float64]) -> None:
        """Add one value at each point, NaN for none."""
        there = ~np.isnan(values)
        x = np.where(there, values, 0.0)
        high = self.high + x
        part = high - self.high
        # exact: the error of the addition
        self.low += (self.high - (high - part)) + (x - part)
        self.high[...] = high
        self.count += there

    def clear(self) -> None:
        """Forget everything."""
        for array in (self.high, self.low, self.count):
            array[...] = 0

    def mean(self) -> NDArray[np.float64]:
        """Return the means, NaN where nothing was added."""
        total = self.high + self.low
        there = self.count > 0
        return np.where(there, total / np.where(there, self.count, 1), np.nan)


def weights(lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of latitudes in degrees: cells of a regular grid."""
    # a pole is a point: cos(pi/2) in doubles would do, but may be negative
    return np.maximum(np.cos(np.deg2rad(lat)), 0.0)


@dataclass(frozen=True)
class Window:
    """What of a coordinate counts as inside the grid.

    Parameters
    ----------
    low, high : float
        Edges of the outermost cells, degrees.
    """

    low: float
    high: float


def _window(values: NDArray[np.float64]) -> Window:
    """Return the edges, half a spacing beyond the outermost points."""
    ordered = np.sort(values)
    if len(ordered) == 1:
        return Window(ordered[0] - 0.5, ordered[0] + 0.5)
    below, above = ordered[1] - ordered[0], ordered[-1] - ordered[-2]
    return Window(ordered[0] - below / 2, ordered[-1] + above / 2)


def nearest(
    lat: NDArray[np.float64], lon: NDArray[np.float64], point: tuple[float, float]
) -> tuple[int, int]:
    """Return the indices of the grid point that is nearest to a place.

    Nearest along each axis; longitude modulo 360. Of two as near, the first.

    Parameters
    ----------
    lat, lon : float64[n]
        Axes of the grid, degrees.
    point : (float, float)
        Latitude and longitude, degrees.

    Returns
    -------
    (int, int)
        Of latitude and longitude.

    Raises
    ------
    ValueError
        If the place lies outside the cells of the grid.
    """
    window = _window(lat)
    spacing = np.ptp(lat) / max(1, len(lat) - 1)
    # a grid that comes within a cell of a pole goes as far as the pole
    low = -90.0 if window.low - spacing < -90 else window.low
    high = 90.0 if window.high + spacing > 90 else window.high
    if not low <= point[0] <= high:
        raise ValueError(f"lat must be from {low:g} to {high:g}, got {point[0]:g}")
    window = _window(lon)
    # 3e-4: longitudes are often stored as float32
    around = window.high - window.low >= 360 - 3e-4
    beyond = (point[1] - window.low) % 360
    if not around and beyond > window.high - window.low:
        raise ValueError(
            f"lon must be from {window.low:g} to {window.high:g} (modulo 360), got "
            f"{point[1]:g}"
        )
    apart = np.abs((lon - point[1] + 180) % 360 - 180)
    return int(np.argmin(np.abs(lat - point[0]))), int(np.argmin(apart))
