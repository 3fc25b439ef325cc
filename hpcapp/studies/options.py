# SPDX-License-Identifier: MIT
"""Options of the studies that start runs. Imports nothing: each start pays for it."""

from typing import Any

__all__ = ["add_studies"]


def add_studies(verbs: Any) -> tuple[Any, ...]:
    """Add ``scale`` and ``ladder`` to the command line.

    Parameters
    ----------
    verbs : argparse action
        Of ``add_subparsers``.

    Returns
    -------
    tuple of argparse.ArgumentParser
        Which take ``--set`` too.
    """
    return _add_scale(verbs), _add_ladder(verbs)


def _add_scale(verbs: Any) -> Any:
    scale = verbs.add_parser("scale", help="a scaling study, and whether it is valid")
    scale.add_argument("config", metavar="CONFIG", help="YAML file")
    for option, default, words in (
        ("--ranks", "1,2,4", "ranks; default: %(default)s"),
        ("--threads", "", "threads of each rank; default: 1, or as configured"),
        ("--devices", "cpu", "cpu, cuda or both; default: %(default)s"),
        ("--launcher", "", "such as 'srun --mpi=pmix'; default: srun in a Slurm job"),
        ("--site", "", "print batch scripts, one for each point, as submit does"),
        ("--account", "", "with --site: to be charged"),
        ("--time", "", "with --site: limit of each job"),
        ("--queue", "", "with --site: an entry of its profile"),
        ("--gather", "", "folder of a study whose jobs have ended"),
    ):
        scale.add_argument(option, default=default, help=words)
    scale.add_argument(
        "--submit", action="store_true", help="with --site: into the queue"
    )
    scale.add_argument("--weak", action="store_true", help="let the problem grow")
    scale.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="default: %(default)s"
    )
    scale.add_argument("-o", "--output", metavar="DIR", help="folder of the study")
    return scale


def _add_ladder(verbs: Any) -> Any:
    ladder = verbs.add_parser("ladder", help="from plain Python to all ranks")
    ladder.add_argument("config", metavar="CONFIG", help="YAML file")
    options: tuple[tuple[str, type, Any, str], ...] = (
        ("--ranks", int, None, "of the last rung; default: the cores"),
        ("--repeat", int, 3, "default: %(default)s"),
        ("--seconds", float, 2.0, "of a rung at a time; default: %(default)s"),
    )
    for option, kind, default, words in options:
        metavar = option.lstrip("-").upper()
        ladder.add_argument(
            option, type=kind, default=default, metavar=metavar, help=words
        )
    ladder.add_argument("-o", "--output", metavar="DIR", help="folder of the study")
    return ladder
