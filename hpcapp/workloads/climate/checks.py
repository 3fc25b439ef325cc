# SPDX-License-Identifier: MIT
"""Laws of right means: they lie among what they are means of, whichever way."""

from collections.abc import Iterator

import numpy as np

from hpcapp.validity import Check, Read, near

__all__ = ["check_means"]


def check_means(read: Read) -> Iterator[Check]:
    """Compare means with one another.

    Parameters
    ----------
    read : callable
        Returns a variable of the result.

    Yields
    ------
    Check
        Each law that applies.
    """
    field, series = read("time_mean")[:], read("global_mean")[:]
    low, high = float(np.nanmin(field)), float(np.nanmax(field))
    mean = float(np.nanmean(series))
    text = f"{mean:.6g} lies between the means of all places, {low:.6g} to {high:.6g}"
    yield Check("global mean", low <= mean <= high, text)
    lat, lon = read("lat")[:], read("lon")[:]
    j = int(np.flatnonzero(lat == read("point_lat")[()])[0])
    i = int(np.flatnonzero(lon == read("point_lon")[()])[0])
    local = read("point_series")[:]
    if np.isnan(local).all():
        return
    there, mean = float(field[j, i]), float(np.nanmean(local))
    bound = 1e-10 * (1 + abs(mean))
    yield near("mean at the point", there, mean, bound, "mean of its series")
