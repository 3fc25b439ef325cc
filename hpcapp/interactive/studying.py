# SPDX-License-Identifier: MIT
"""What a session does without its engines: plans, comparisons, batch scripts."""

import os
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpcapp.errors import ConfigError, Exit
from hpcapp.interactive.configuring import Given, as_settings

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
    config : path
        A file, which the job reads.
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
        If the site does not allow the job, or there is no file.
    """
    from hpcapp.slurm.submit import submit

    if not isinstance(config, str | os.PathLike):
        raise ConfigError("to_sbatch: must be given a file, which the job can read")
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        known = ", ".join(sorted(OPTIONS))
        raise ConfigError(
            f"to_sbatch: {unknown[0]}: unknown option; there are: {known}"
        )
    found: list[str] = []
    asked = Namespace(
        **{**OPTIONS, **options},
        configs=[os.fspath(config)],
        site=site,
        settings=as_settings(overrides),
        **dict.fromkeys(("submit", "interactive", "check"), False),
    )
    command = ["submit", os.fspath(config), "--site", site]
    submit(asked, os.environ, found.append, print, command)
    return "\n".join(found) + "\n"
