# SPDX-License-Identifier: MIT
"""Units that meteorological variables are converted between: factor and offset."""

from dataclasses import dataclass

__all__ = ["Conversion", "find_conversion", "is_temperature"]

# kind, and what leads to the first unit of the kind: value * factor + offset
UNITS = {
    "K": ("temperature", 1.0, 0.0),
    "degC": ("temperature", 1.0, 273.15),
    "degF": ("temperature", 5 / 9, 459.67 * 5 / 9),
    "Pa": ("pressure", 1.0, 0.0),
    "hPa": ("pressure", 100.0, 0.0),
    "kg m-2 s-1": ("precipitation", 1.0, 0.0),
    "mm day-1": ("precipitation", 1 / 86400, 0.0),
    "m s-1": ("speed", 1.0, 0.0),
    "km h-1": ("speed", 1 / 3.6, 0.0),
    "1": ("ratio", 1.0, 0.0),
    "%": ("ratio", 0.01, 0.0),
}

# other spellings of UDUNITS
SPELLINGS = {
    "kelvin": "K",
    "celsius": "degC",
    "degree_Celsius": "degC",
    "degrees_Celsius": "degC",
    "deg_C": "degC",
    "°C": "degC",
    "fahrenheit": "degF",
    "pascal": "Pa",
    "mbar": "hPa",
    "kg/m2/s": "kg m-2 s-1",
    "mm/day": "mm day-1",
    "mm d-1": "mm day-1",
    "m/s": "m s-1",
    "km/h": "km h-1",
}


@dataclass(frozen=True)
class Conversion:
    """From the unit of the inputs to that of the result.

    Parameters
    ----------
    factor, offset : float
        Result = value * factor + offset.
    """

    factor: float = 1.0
    offset: float = 0.0


def find_conversion(given: str, wanted: str) -> Conversion:
    """Return how to convert.

    Parameters
    ----------
    given, wanted : str
        UDUNITS spellings.

    Returns
    -------
    Conversion
        Identity where both are equal.

    Raises
    ------
    ValueError
        If there is no way, with the units that there are.
    """
    if given == wanted:
        return Conversion()
    source = UNITS.get(SPELLINGS.get(given, given))
    target = UNITS.get(SPELLINGS.get(wanted, wanted))
    if source is None:
        raise ValueError(f"must be null or {given!r}, the unit of the inputs")
    if target is None or target[0] != source[0]:
        fitting = [name for name, (kind, *_) in UNITS.items() if kind == source[0]]
        raise ValueError(
            f"must be one of {', '.join(fitting)}, since the inputs are in {given}"
        )
    factor = source[1] / target[1]
    if factor == 1:
        # one rounding, as everybody subtracts 273.15
        return Conversion(1.0, source[2] - target[2])
    return Conversion(factor, (source[2] - target[2]) / target[1])


def is_temperature(units: str) -> bool:
    """Tell whether a unit is one of temperature."""
    return UNITS.get(SPELLINGS.get(units, units), ("",))[0] == "temperature"
