# SPDX-License-Identifier: MIT
"""What a session does without its engines: plans, comparisons, batch scripts."""

import os
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpcapp.errors import ConfigError, Exit
from hpcapp.interactive.configuring import Given, as_settings, read_given

__all__ = ["batch_text", "verified"]

# options of `hpcapp submit`, as they are where nobody sets them
OPTIONS = {
    "nodes": 1,
    "gpu": False,
    **dict.fromkeys(("account", "time", "queue", "partition", "qos", "reservation")),
    **dict.fromkeys(("ranks", "threads", "mpi", "environment", "launcher")),
}


def verified(given: Given, ranks: tuple[int, ...]) -> bool:
    """Run a configuration on several rank counts and compare every bit.

    Parameters
    ----------
    given : Given
        The configuration.
    ranks : tuple of int
        How many; the others are compared with the first.

    Returns
    -------
    bool
        Whether all are equal; what was found is printed.

    Raises
    ------
    HpcappError
        As `hpcapp verify` has them.
    """
    from hpcapp.studies.verify import parse_ranks, verify

    counts = parse_ranks(",".join(str(count) for count in ranks))
    with tempfile.TemporaryDirectory(prefix="hpcapp-verify-") as folder:
        # its name counts: run directories are named for it
        path = Path(folder, os.path.basename(given.name))
        path.write_text(given.text, encoding="utf-8")
        code = verify(str(path), counts, given.settings, os.environ, print)
    return code == Exit.DONE


def batch_text(
    config: Any, site: str, options: Mapping[str, Any], overrides: Mapping[str, Any]
) -> str:
    """Return the batch script that runs a configuration.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration. What is no file becomes one in the working directory, which
        the job reads: named for the workload, with a number where another one of that
        name stands there.
    site : str
        As for ``hpcapp submit --site``.
    options : mapping
        Options of ``hpcapp submit``, such as ``nodes`` and ``account``.
    overrides : mapping
        As for `Session.run`.

    Returns
    -------
    str
        The script.

    Raises
    ------
    ConfigError
        If the site does not allow the job, or the configuration is at fault or cannot
        be written.
    """
    from hpcapp.slurm.submit import submit

    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        known = ", ".join(sorted(OPTIONS))
        raise ConfigError(
            f"to_sbatch: {unknown[0]}: unknown option; there are: {known}"
        )
    found: list[str] = []
    path = (
        os.fspath(config) if isinstance(config, str | os.PathLike) else _written(config)
    )
    asked = Namespace(
        **{**OPTIONS, **options},
        configs=[path],
        site=site,
        settings=as_settings(overrides),
        **dict.fromkeys(("submit", "interactive", "check"), False),
    )
    command = ["submit", path, "--site", site]
    submit(asked, os.environ, found.append, print, command)
    return "\n".join(found) + "\n"


def _written(config: Any) -> str:
    """Write a configuration into a file of the working directory; return its name."""
    given = read_given(config, {})
    stem = os.path.basename(given.name).removesuffix(".yaml").removesuffix(".py")
    number, path = 0, f"{stem}.yaml"
    while True:
        try:
            with open(path, "x", encoding="utf-8") as stream:
                stream.write(given.text)
            return path
        except FileExistsError:
            # the same one serves again
            with suppress(OSError, UnicodeError):
                if Path(path).read_text(encoding="utf-8") == given.text:
                    return path
            number += 1
            path = f"{stem}-{number}.yaml"
        except OSError as error:
            raise ConfigError(
                f"to_sbatch: {path}: cannot be written: {error.strerror}; give a file"
            ) from None
