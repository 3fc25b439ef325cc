# SPDX-License-Identifier: MIT
"""The one-file workload that learners complete: with gaps, or with its solution."""

import re
from importlib import resources

from hpcapp.errors import ConfigError

__all__ = ["exercise_text", "write_exercise"]

# a line of the solution, and what stands there instead for the learner
GAP = re.compile(r"^( *)(\S.*?)  #= (.*)$", re.MULTILINE)


def exercise_text(solved: bool) -> str:
    """Return the text of the workload.

    Parameters
    ----------
    solved : bool
        Whether its gaps are filled.

    Returns
    -------
    str
        Python, which runs either way.
    """
    file = resources.files("hpcapp") / "starters" / "workload.txt"
    text = file.read_text(encoding="utf-8")
    return GAP.sub(r"\1\2" if solved else r"\1\3", text)


def write_exercise(output: str, solved: bool = False) -> str:
    """Write the workload into a new file.

    Parameters
    ----------
    output : str
        The file; its name is that of a variable and ends in .py.
    solved : bool
        Whether its gaps are filled.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ConfigError
        If it has another name, exists already, or cannot be written.
    """
    stem = output.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    if not output.endswith(".py") or not stem.isidentifier():
        raise ConfigError(
            "--template: must be a file named like a variable, such as "
            f"my_workload.py, got {output}"
        )
    try:
        with open(output, "x", encoding="utf-8") as stream:
            stream.write(exercise_text(solved))
    except FileExistsError:
        raise ConfigError(
            f"{output}: exists already and is kept; name another file"
        ) from None
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from None
    return output
