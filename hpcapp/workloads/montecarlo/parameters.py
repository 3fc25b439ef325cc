# SPDX-License-Identifier: MIT
"""Parameters of the workload `montecarlo`."""

from typing import Any, Literal

from pydantic import model_validator as validator

from hpcapp.config import Count, Model, parameter, rule_broken
from hpcapp.values import FunctionOfX, Interval

__all__ = ["Parameters"]

# what the keys of one estimator stand for where they are not given
INTEGRAND = "sqrt(1 - x**2)"
BOUNDS = (0.0, 1.0)
STEPS = 1000
PATHS = 8

# keys that mean something to one estimator only
OWNERS = {
    "integrand": "integral",
    "bounds": "integral",
    "steps": "walk",
    "paths": "walk",
}

# positions of all paths that are kept, which every rank holds
POSITIONS = 10**7

# the sums of squares of walkers are 64-bit integers
SQUARES = 2**63


class Parameters(Model):
    """What to estimate, and from how many samples."""

    estimator: Literal["pi", "integral", "walk"] = parameter(
        "pi", "pi from a circle, an integral, or random walks on a line", ""
    )
    samples: Count = parameter(10_000_000, "points, or walkers", le=10**18)
    sampling: Literal["random", "stratified"] = parameter(
        "random", "independent samples, or one in each of equal cells (no walk)", ""
    )
    integrand: FunctionOfX | None = parameter(
        None, f"for integral: expression in x; null: {INTEGRAND}"
    )
    bounds: Interval | None = parameter(None, "for integral: [a, b]; null: [0, 1]")
    steps: Count | None = parameter(
        None, f"for walk: steps of each walker; null: {STEPS}", le=10**6
    )
    paths: Count | None = parameter(
        None, f"for walk: walkers whose whole paths are kept; null: {PATHS}", le=64
    )

    @validator(mode="after")
    def _consistent(self) -> "Parameters":
        for key, owner in OWNERS.items():
            if getattr(self, key) is not None and self.estimator != owner:
                raise rule_broken(key, f"is for estimator: {owner} only")
        if self.sampling == "stratified":
            self._check_stratified()
        elif self.estimator != "pi" and self.samples < 2:
            raise rule_broken("samples", "must be >= 2 for a standard error")
        if self.estimator == "walk" and self.samples * self.length**2 >= SQUARES:
            raise rule_broken(
                "samples",
                f"must be < {SQUARES / self.length**2:.3g} with {self.length} steps: "
                "samples * steps**2 < 2**63 keeps the sums of squares exact",
            )
        if (self.paths or 0) * self.length > POSITIONS:
            most = POSITIONS // self.length
            raise rule_broken("paths", f"must be <= {most} with {self.length} steps")
        return self

    def _check_stratified(self) -> None:
        if self.estimator == "walk":
            raise rule_broken("sampling", "must be random for estimator: walk")
        if self.samples < 3:
            raise rule_broken(
                "samples", "must be >= 3 for a standard error of stratified samples"
            )
        if self.samples > 10**15:
            raise rule_broken(
                "samples", "must be <= 1e15 if stratified: cells are placed by doubles"
            )

    @property
    def function(self) -> Any:
        """The integrand as used."""
        return INTEGRAND if self.integrand is None else self.integrand

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds as used."""
        return self.bounds or BOUNDS

    @property
    def length(self) -> int:
        """The steps of a walker as used."""
        return self.steps or STEPS

    @property
    def kept(self) -> int:
        """The number of paths kept."""
        return min(self.paths or PATHS, self.samples)
