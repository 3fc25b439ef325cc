# SPDX-License-Identifier: MIT
"""Parameters of the workload `laplace`."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from hpcapp.config import Count, Integer, Model, Real, parameter, rule_broken
from hpcapp.expression import parse
from hpcapp.values import FunctionOfXY, Interval

__all__ = ["CYCLES", "Boundary", "Parameters", "rounding_floor"]


# more points than this on two axes have more than 2^63 bytes
Points = Annotated[Integer, Field(ge=3, le=10**9)]


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("must be > 0 (or 0: stop after max_iterations)")
    return value


Tolerance = Annotated[
    Real,
    AfterValidator(_not_negative),
    Field(lt=1),
    WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": 1}),
]


def _check_side(value: object) -> object:
    """Check a value, or the flux of ``{flux: value}``."""
    inner = value
    if isinstance(value, dict):
        if set(value) != {"flux"}:
            raise ValueError("must have the one key flux, or be a value without keys")
        inner = value["flux"]
    if isinstance(inner, bool) or not isinstance(inner, (int, float, str)):
        raise ValueError("must be a number or an expression in x and y, or {flux: it}")
    parse(inner, ("x", "y"))
    return value


_FUNCTION = {
    "anyOf": [{"type": "number"}, {"type": "string"}],
    "description": "number or expression in x, y",
}
Side = Annotated[
    Any,
    BeforeValidator(_check_side),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"flux": _FUNCTION},
                    "required": ["flux"],
                    "additionalProperties": False,
                },
            ],
            "description": "number or expression in x, y, or {flux: it}",
        }
    ),
]

# methods that go down and up levels
CYCLES = ("multigrid", "cg")


class Boundary(Model):
    """Values of the four sides, or their fluxes: the derivatives outward."""

    left: Side = parameter(0.0, "value on the side x = x0, in x and y, or {flux: it}")
    right: Side = parameter(0.0, "value on the side x = x1, in x and y, or {flux: it}")
    bottom: Side = parameter(0.0, "value on the side y = y0, in x and y, or {flux: it}")
    top: Side = parameter(
        "sin(pi*x)", "value on the side y = y1, in x and y, or {flux: it}"
    )

    @property
    def fluxes(self) -> frozenset[str]:
        """The names of the sides where the flux is given."""
        names = ("left", "right", "bottom", "top")
        return frozenset(n for n in names if isinstance(getattr(self, n), dict))


# half a unit in the last place, relative
ROUNDING = {"double": 1e-16, "single": 6e-8}


def rounding_floor(shape: tuple[int, int], precision: str = "double") -> float:
    """Return the relative residual that rounding hides: about 1e-16 N^2.

    Parameters
    ----------
    shape : (int, int)
        Points along y and x.
    precision : "double" or "single"
        In single precision it is 6e-8 N^2.
    """
    return ROUNDING[precision] * (max(shape) - 1) ** 2


def _plain(number: float) -> str:
    return f"{number:g}".replace("e-0", "e-")


class Parameters(Model):
    """What to solve, and how far."""

    shape: tuple[Points, Points] = parameter(
        (257, 257), "grid points along y and x, boundary included"
    )
    domain: tuple[Interval, Interval] = parameter(
        ((0.0, 1.0), (0.0, 1.0)), "[[x0, x1], [y0, y1]]"
    )
    boundary: Boundary = Field(
        default_factory=Boundary,
        description="values: numbers or expressions in x, y; or {flux: one}",
        json_schema_extra={"unit": "1"},
    )
    source: FunctionOfXY = parameter(
        0.0, "right-hand side of Poisson's equation, in x and y"
    )
    method: Literal["jacobi", "sor", "multigrid", "cg"] = parameter(
        "sor",
        "sweeps (jacobi, sor), multigrid cycles, or cg prepared by such cycles",
        "",
    )
    precision: Literal["double", "single"] = parameter(
        "double", "of u: float64, or float32 (jacobi and sor)", ""
    )
    relaxation: Annotated[Real, Field(gt=0, lt=2)] | None = parameter(
        None, "factor of sor; null: the optimal one"
    )
    tolerance: Tolerance | None = parameter(
        None, "stop at this relative residual; 0: after max_iterations"
    )
    accuracy: Annotated[Real, Field(gt=0, lt=1)] | None = parameter(
        None, "stop at error_bound <= accuracy max|u|; 1e-6 if no tolerance is given"
    )
    max_iterations: Annotated[Integer, Field(ge=0)] = parameter(
        100_000, "sweeps or cycles at most", le=10**12
    )
    check_every: Count = parameter(
        32, "sweeps between residuals; part of the result; not of cycles", le=10**9
    )
    halo_depth: Annotated[Count, Field(le=64)] | None = parameter(
        None, "sweeps: points exchanged, levels that follow; null: as many as pay"
    )
    join_below: Annotated[Count, Field(le=10**6)] = parameter(
        64, "cycles: on coarse levels blocks thinner than this are joined"
    )
    share_cores: bool = parameter(
        False, "cycles: on all ranks, also where they outnumber the cores"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Parameters":
        if self.tolerance is not None and self.accuracy is not None:
            raise rule_broken("accuracy", "give tolerance or accuracy, not both")
        if self.relaxation is not None and self.method != "sor":
            raise rule_broken("relaxation", "is for method: sor only")
        fluxes = self.boundary.fluxes
        if fluxes and self.method not in CYCLES:
            raise rule_broken("boundary", "a flux is for method: multigrid or cg")
        if len(fluxes) == 4:
            raise rule_broken(
                "boundary",
                "must give values on a side: fluxes leave a constant open",
            )
        if self.precision == "single" and self.method in CYCLES:
            raise rule_broken(
                "precision",
                f"single is for method: jacobi or sor; {self.method} ends below what "
                "it can hold",
            )
        floor = rounding_floor(self.shape, self.precision)
        if self.precision == "single" and floor >= 1 and self.tolerance != 0:
            raise rule_broken(
                "precision",
                f"single hides all residuals on {self.shape[0]} x {self.shape[1]} "
                "points; use double, or tolerance: 0, which does max_iterations sweeps",
            )
        for name in ("tolerance", "accuracy"):
            value = getattr(self, name)
            if value is not None and 0 < value < floor:
                raise rule_broken(
                    name,
                    f"must be >= {floor:.2g}, which rounding allows on "
                    f"{self.shape[0]} x {self.shape[1]} points "
                    f"({_plain(ROUNDING[self.precision])} N^2)",
                )
        return self
