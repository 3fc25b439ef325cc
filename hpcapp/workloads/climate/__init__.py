# SPDX-License-Identifier: MIT
"""Means of a variable over time, latitude and longitude in NetCDF files."""

from collections.abc import Iterator
from functools import cached_property
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hpcapp import reduction
from hpcapp.config import Model
from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.device import Device
from hpcapp.errors import ConfigError
from hpcapp.validity import Check, Read
from hpcapp.workload import Answer, Context, Field, Part, State, Step, Workload
from hpcapp.workloads.climate.checks import check_means
from hpcapp.workloads.climate.inputs import (
    Header,
    Survey,
    find_files,
    read_block,
    read_header,
)
from hpcapp.workloads.climate.means import RunningMean, nearest, weights
from hpcapp.workloads.climate.parameters import Parameters
from hpcapp.workloads.climate.survey import survey
from hpcapp.workloads.climate.units import (
    Conversion,
    find_conversion,
    is_temperature,
)

__all__ = ["Climate"]

# bytes of the whole grid that all ranks together read in a step, as doubles, and
# steps that there are at least where there are as many times
STEP_BYTES = 1 << 28
STEPS = 4

# saved between steps: sums over all times and over the times of the present year
SUMS = ("all", "year")


class Climate(Workload):
    """Take means over time, of calendar years, over the globe, and at one place.

    Notes
    -----
    Each rank reads its own latitudes of each file. Sums over time are taken at each
    point in the order of time, with the error of each addition added up beside: right
    to the last bit but for cancellations of 16 digits. Sums over the globe are exact
    (`hpcapp.reduction`), of products with the weight that are rounded once. Neither
    depends on the layout.
    """

    Parameters: ClassVar[type[Model]] = Parameters
    summary: ClassVar[str] = "means of climate data over time, years and the globe"
    unit: ClassVar[str] = "values"
    traffic: ClassVar[float] = 8.0

    @cached_property
    def files(self) -> list[str]:
        """The input files in order."""
        return find_files(self.parameters.inputs)

    @cached_property
    def header(self) -> Header:
        """What the first file says."""
        return read_header(self.files[0], self.parameters.variable)

    @cached_property
    def survey(self) -> Survey:
        """What all files say; to be asked for on one rank."""
        return survey(self.files, self.parameters.variable)

    @cached_property
    def place(self) -> tuple[int, int]:
        """Indices of the grid point nearest to `point`."""
        point = self.parameters.point
        return nearest(self.header.lat, self.header.lon, (point.lat, point.lon))

    @cached_property
    def conversion(self) -> Conversion:
        """From the units of the inputs to those of the result."""
        return find_conversion(self.header.units, self.units)

    @property
    def units(self) -> str:
        """The units of the result."""
        return self.parameters.units or self.header.units

    def domain(self) -> Domain:
        """Return the grid; rows of one latitude stay whole."""
        shape = (len(self.header.lat), len(self.header.lon))
        return Domain(("lat", "lon"), shape, cut=1)

    def fields(self) -> tuple[Field, ...]:
        """Return means, their coordinates, and the sums that they are made of."""
        header = self.header
        what = header.long_name or self.parameters.variable
        spread: dict[str, Any] = {"kind": "both", "distributed": True}
        place = "point_lat point_lon"
        return (
            self._mean("time_mean", ("lat", "lon"), f"time mean of {what}", **spread),
            self._mean(
                "annual_mean",
                ("year", "lat", "lon"),
                f"annual mean of {what}",
                "year: mean",
                **spread,
            ),
            self._mean(
                "global_mean",
                ("time",),
                f"global mean of {what}",
                "area: mean",
                kind="both",
            ),
            self._mean(
                "point_series",
                ("time",),
                f"{what} at the point",
                place=place,
                kind="both",
            ),
            self._mean(
                "point_annual",
                ("year",),
                f"annual mean of {what} at the point",
                place=place,
                kind="both",
            ),
            _axis("time", "time", header.time_units, "T", calendar=header.calendar),
            _axis("lat", "latitude", "degrees_north", "Y"),
            _axis("lon", "longitude", "degrees_east", "X"),
            Field("year", ("year",), "1", "calendar year", "int32"),
            _axis("point_lat", "latitude", "degrees_north", dims=()),
            _axis("point_lon", "longitude", "degrees_east", dims=()),
            *(
                Field(
                    f"{name}_{part}",
                    ("lat", "lon"),
                    "1",
                    f"sum over {name}: {part}",
                    dtype,
                    "state",
                    distributed=True,
                )
                for name in SUMS
                for part, dtype in (
                    ("high", "float64"),
                    ("low", "float64"),
                    ("count", "int64"),
                )
            ),
            Field("done", (), "1", "times done", "int64", "state"),
        )

    def _mean(
        self,
        name: str,
        dims: tuple[str, ...],
        long_name: str,
        methods: str = "",
        place: str = "",
        **options: Any,
    ) -> Field:
        found = {
            "standard_name": self.header.standard_name,
            "cell_methods": methods,
            "coordinates": place,
        }
        units = self.units or "1"
        if is_temperature(units):
            # CF 1.11, section 3.1.2: no difference of temperatures
            found["units_metadata"] = "temperature: on_scale"
        attributes = {key: text for key, text in found.items() if text}
        return Field(name, dims, units, long_name, attributes=attributes, **options)

    def memory(self, layout: Layout, rank: int) -> int:
        """Return bytes of sums, of a batch with its copies, and of annual means."""
        times = len(self.survey.years)
        years = int(self.survey.years[-1] - self.survey.years[0] + 1)
        batch = 2 * self._batch(times) + 6
        return 8 * layout.block(rank).size * (len(SUMS) * 3 + years + batch)

    def check(self) -> None:
        """Look at all files; refuse a point or a unit that does not fit them.

        Raises
        ------
        ConfigError
            With the file and the variable.
        """
        _ = self.survey
        try:
            _ = self.place
        except ValueError as error:
            raise ConfigError(
                f"must be inside the grid of {self.files[0]}: {error}",
                key="parameters.point",
            ) from None
        try:
            _ = self.conversion
        except ValueError as error:
            raise ConfigError(str(error), key="parameters.units") from None

    def without_gpu(self) -> str:
        """Return why there are no CUDA kernels."""
        what = "climate reads each value from a file and adds it up"
        return f"{what}: it has kernels for the CPU only"

    def input_files(self) -> list[str]:
        """Return the input files in order."""
        return self.files

    def checks(self, read: Read) -> Iterator[Check]:
        """Compare means with one another."""
        return check_means(read)

    def warm_up(self, device: Device) -> None:  # noqa: ARG002
        """Compile the exact sum."""
        reduction.add(reduction.zeros(), np.zeros(2))

    def _batch(self, times: int) -> int:
        most = max(1, STEP_BYTES // (8 * len(self.header.lat) * len(self.header.lon)))
        return min(most, ceil(times / STEPS))

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Read a batch of times and add it to all sums, at each step."""
        known = ctx.comm.on_root(lambda: self.survey)
        work = _Work(self, ctx, known)
        times, done = len(known.years), int(ctx.state.get("done", 0))
        batch = self._batch(times)
        if done:
            # where nothing is left to do, what was read back is the result
            work.publish(done)
        while done < times:
            stop = min(times, (done // batch + 1) * batch)
            work.add(done, stop)
            count, done = stop - done, stop
            work.publish(done)
            points = len(self.header.lat) * len(self.header.lon)
            yield Step(done / times, f"time {done} of {times}", float(count * points))

    def answer(self, state: State) -> Answer:
        """Return the global mean over all times, and the mean at the point."""
        series, at = state["global_mean"], state["point_series"]
        there = series[~np.isnan(series)]
        mean = float(there.mean())
        years = state["year"]
        span = f"{years[0]}" if len(years) == 1 else f"{years[0]} to {years[-1]}"
        text = (
            f"{self.parameters.variable}, {len(series)} times in {span}: global mean "
            f"{mean:.6g} {self.units}"
        )
        values = {"global_mean": mean, "times": float(len(series))}
        local = at[~np.isnan(at)]
        if len(local):
            values["point_mean"] = float(local.mean())
            text += (
                f", {values['point_mean']:.6g} {self.units} at "
                f"{state['point_lat']:g} N {state['point_lon']:g} E"
            )
        return Answer(text, values)


class _Work:
    """The sums of one rank.

    Parameters
    ----------
    owner : Climate
        What is computed.
    ctx : Context
        The rank.
    known : Survey
        The files.
    """

    def __init__(self, owner: Climate, ctx: Context, known: Survey) -> None:
        self.owner, self.ctx, self.known = owner, ctx, known
        self.block, state = ctx.block, ctx.state
        shape = self.block.shape
        self.sums = {name: RunningMean.zeros(shape) for name in SUMS}
        self.years = np.unique(known.years)
        self.annual = np.full((len(self.years), *shape), np.nan)
        for name, mean in self.sums.items():
            state.read(f"{name}_high", self.block, mean.high)
            state.read(f"{name}_low", self.block, mean.low)
            state.read(f"{name}_count", self.block, mean.count)
        state.read("annual_mean", self._over_years(), self.annual)
        self.series = {
            name: np.array(state.get(name, np.full(len(known.years), np.nan)))
            for name in ("global_mean", "point_series")
        }
        header, (j, i) = owner.header, owner.place
        state["time"], state["year"] = known.time, self.years.astype(np.int32)
        state["lat"], state["lon"] = header.lat, header.lon
        state["point_lat"], state["point_lon"] = header.lat[j], header.lon[i]
        self.weights = weights(header.lat)[self.block.start[0] : self.block.stop[0]]

    def _over_years(self) -> Block:
        block, empty = self.block, self.block.empty
        years = 0 if empty else len(self.years)
        return Block((0, *block.start), (years, *block.stop))

    def add(self, begin: int, end: int) -> None:
        """Add the values of some times."""
        block, known = self.block, self.known
        box = tuple(slice(a, b) for a, b in zip(block.start, block.stop, strict=True))
        if block.empty:
            values = np.empty((end - begin, *block.shape))
        else:
            name = self.owner.parameters.variable
            values = read_block(known, name, (begin, end), box)
        for number, index in enumerate(range(begin, end)):
            if index and known.years[index] != known.years[index - 1]:
                self.sums["year"].clear()
            for mean in self.sums.values():
                mean.add(values[number])
            year = int(np.searchsorted(self.years, known.years[index]))
            last = index + 1 == len(known.years)
            if last or known.years[index + 1] != known.years[index]:
                self.annual[year] = self._converted(self.sums["year"].mean())
        self.series["global_mean"][begin:end] = self._global(values)
        self.series["point_series"][begin:end] = self._at_point(values)

    def _converted(self, values: Any) -> Any:
        by = self.owner.conversion
        return values * by.factor + by.offset

    def _global(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means over the globe; collective."""
        limbs = np.zeros((len(values), 2, reduction.LIMBS), np.int64)
        weight = np.broadcast_to(self.weights[:, np.newaxis], self.block.shape)
        for number, value in enumerate(values):
            there = ~np.isnan(value)
            reduction.add(limbs[number, 0], (value * weight)[there])
            reduction.add(limbs[number, 1], weight[there])
        total = self.ctx.comm.sum(limbs)
        means = np.full(len(values), np.nan)
        for number, (above, below) in enumerate(total):
            reduction.normalise(above)
            reduction.normalise(below)
            weight_sum = reduction.to_float(below)
            if weight_sum > 0:
                means[number] = reduction.to_float(above) / weight_sum
        return np.asarray(self._converted(means))

    def _at_point(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at the point, from the rank that has it; collective."""
        (j, i), block = self.owner.place, self.block
        mine = np.zeros(len(values))
        if block.start[0] <= j < block.stop[0]:
            mine[:] = values[:, j - block.start[0], i]
        # bits of one rank, zeros of the others
        bits = self.ctx.comm.sum(mine.view(np.int64))
        return np.asarray(self._converted(bits.view(np.float64)))

    def publish(self, done: int) -> None:
        """Make the state complete."""
        state, block = self.ctx.state, self.block
        for name, mean in self.sums.items():
            state[f"{name}_high"] = [Part(block, mean.high)]
            state[f"{name}_low"] = [Part(block, mean.low)]
            state[f"{name}_count"] = [Part(block, mean.count)]
        state["time_mean"] = [Part(block, self._converted(self.sums["all"].mean()))]
        state["annual_mean"] = [Part(self._over_years(), self.annual)]
        for name, series in self.series.items():
            state[name] = series
        state["point_annual"] = self._annual_at_point()
        state["done"] = np.int64(done)

    def _annual_at_point(self) -> NDArray[np.float64]:
        """Return the annual means of the series at the point."""
        (j, i), block = self.owner.place, self.block
        mine = np.zeros(len(self.years))
        if block.start[0] <= j < block.stop[0]:
            mine[:] = self.annual[:, j - block.start[0], i]
        bits = self.ctx.comm.sum(mine.view(np.int64))
        return bits.view(np.float64)


def _axis(
    name: str,
    standard: str,
    units: str,
    axis: str = "",
    dims: tuple[str, ...] | None = None,
    **more: str,
) -> Field:
    """Return a coordinate; CF 1.11, section 4."""
    attributes = {"standard_name": standard, **({"axis": axis} if axis else {}), **more}
    attributes["coverage_content_type"] = "coordinate"
    dims = (name,) if dims is None else dims
    return Field(name, dims, units, standard, attributes=attributes)
