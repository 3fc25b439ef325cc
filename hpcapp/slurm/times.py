# SPDX-License-Identifier: MIT
"""Time limits as users give them and as Slurm writes them."""

import math
import re

from pydantic import TypeAdapter, ValidationError

from hpcapp.config import Duration
from hpcapp.errors import ConfigError

__all__ = ["clock", "parse_time"]


def parse_time(text: str) -> float:
    """Read a time limit.

    Parameters
    ----------
    text : str
        A duration of a configuration, or as sbatch takes it: minutes, MM:SS, HH:MM:SS,
        D-HH:MM:SS.

    Returns
    -------
    float
        Seconds, rounded up to minutes as Slurm counts.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    # as sbatch reads them: minutes, and minutes with seconds
    short = re.fullmatch(r"(\d{1,6})(?::([0-5]\d))?", text)
    match = re.fullmatch(r"(\d{1,4})-(\d\d?)(?::([0-5]\d))?(?::([0-5]\d))?", text)
    if short:
        found = 60.0 * int(short[1]) + int(short[2] or 0)
    elif match:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        found = 86400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds
    else:
        try:
            found = TypeAdapter(Duration).validate_python(text)
        except ValidationError:
            found = 0.0
    if not 0 < found < 1e8:
        raise ConfigError(
            f"--time {text}: must be a time such as 2 h, 02:00:00 or 1-12:00:00"
        )
    return 60.0 * math.ceil(found / 60)


def clock(seconds: float) -> str:
    """Return a time as Slurm writes it, such as ``1-12:00:00``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = f"{hours:02}:{minutes:02}:{rest:02}"
    return f"{days}-{text}" if days else text
