# SPDX-License-Identifier: MIT
"""Benchmarks with checked answers: ``python -m tests.benchmarks laplace``."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.report import UnavailableError

__all__ = ["main"]

MODULES = {
    "laplace": "tests.benchmarks.sweeps",
    "twocores": "tests.benchmarks.both_cores",
    "solves": "tests.benchmarks.solves",
    "mandelbrot": "tests.benchmarks.escapes",
    "series": "tests.benchmarks.series",
    "montecarlo": "tests.benchmarks.samples",
    "words": "tests.benchmarks.text",
    "startup": "tests.benchmarks.startup",
    "memory": "tests.benchmarks.memory",
    "io": "tests.benchmarks.writing",
    "checkpoint": "tests.benchmarks.checkpoint",
    "gpu": "tests.benchmarks.gpu.measure",
}


def main(arguments: Sequence[str]) -> int:
    """Run one benchmark or all.

    Parameters
    ----------
    arguments : sequence of str
        The command line without the program's name.

    Returns
    -------
    int
        1 if an answer is wrong, 2 if the machine lacks what is to be measured, else 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Benchmarks of hpcapp."
    )
    parser.add_argument("name", choices=[*MODULES, "all"])
    parser.add_argument("--quick", action="store_true", help="small sizes: a test")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="default: results/benchmarks/NAME.json; with all, the folder",
    )
    options = parser.parse_args(arguments)
    right = True
    for name in MODULES if options.name == "all" else [options.name]:
        try:
            report = importlib.import_module(MODULES[name]).measure(options.quick)
        except UnavailableError as reason:
            print(f"{name}: cannot be measured here: {reason}", file=sys.stderr)
            if options.name == "all":
                continue
            return 2
        print(report.text(), end="\n\n", flush=True)
        folder = Path("results", "benchmarks")
        path = options.json or folder / f"{name}.json"
        if options.json and options.name == "all":
            path = options.json / f"{name}.json"
        report.write(path)
        right = right and report.right
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
