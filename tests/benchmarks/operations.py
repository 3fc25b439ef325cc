# SPDX-License-Identifier: MIT
"""File-system operations of a rank at its start, counted by strace.

``python -m tests.benchmarks.operations`` runs configs/small/laplace.yaml, cut to one
sweep, on 2 ranks with a warm cache of kernels, and counts the system calls of each rank
that name a file or read a folder: on a shared file system each is a message to a
server. They are told by where the file is, since most of these can lie on the node.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.benchmarks.jobs import ROOT

__all__ = ["count", "main", "sort_out"]

CONFIG = "configs/small/laplace.yaml"
ONE_SWEEP = ["parameters.tolerance=0", "parameters.max_iterations=1"]
# process, call, folder or file that is open, path, value
CALL = re.compile(
    r"^\d* *(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>)?[^\"]*"
    r"(?:\"([^\"]*)\")?.* = (-?\d+|\?)"
)


def place_of(path: str, run: str) -> str:
    """Return on what a path lies: what can be moved, and what cannot."""
    prefix = os.path.realpath(sys.prefix)
    cache = os.environ.get("NUMBA_CACHE_DIR", "")
    for place, folder in (
        ("run directory", run),
        ("kernel cache", cache),
        ("environment", prefix),
        ("hpcapp", str(ROOT / "hpcapp")),
        ("working directory", str(ROOT)),
        ("Python's library", os.path.realpath(f"{sys.base_prefix}/lib/python3.11")),
        ("kernel (/proc, /sys, /dev)", "/proc"),
        ("kernel (/proc, /sys, /dev)", "/sys"),
        ("kernel (/proc, /sys, /dev)", "/dev"),
    ):
        if folder and path.startswith(folder):
            return place
    return "system"


def sort_out(text: str, run: str = "/nowhere") -> dict[str, Counter[str]]:
    """Count what a rank has done, from what strace has written.

    Parameters
    ----------
    text : str
        Lines of ``strace -f -y``.
    run : str
        The run directory.

    Returns
    -------
    dict of str to Counter
        By place: calls that found something, and calls that did not.
    """
    found: dict[str, Counter[str]] = {}
    for line in text.splitlines():
        match = CALL.match(line)
        if not match or match[4] == "?":
            continue
        path = match[3] or match[2] or ""
        if match[2] and match[3] and not match[3].startswith("/"):
            path = f"{match[2]}/{match[3]}"
        if not path.startswith("/"):
            path = str(ROOT / path)
        word = "in vain" if match[4].startswith("-") else "found"
        found.setdefault(place_of(path, run), Counter())[word] += 1
    return found


def count(environ: dict[str, str]) -> list[dict[str, Counter[str]]]:
    """Run on 2 ranks under strace; return the counts of each.

    Parameters
    ----------
    environ : dict
        Variables besides those of this process.

    Returns
    -------
    list
        Of rank 0 and of rank 1.
    """
    with tempfile.TemporaryDirectory(prefix="hpcapp-") as folder:
        run = f"{folder}/run"
        settings = [part for setting in ONE_SWEEP for part in ("--set", setting)]
        strace = "strace -f -y -s 4096 -qq -e trace=%file,getdents64 -o"
        program = [sys.executable, "-m", "hpcapp", "run", CONFIG, "-q", "-o", run]
        mpirun = str(Path(sys.executable).with_name("mpirun"))
        command = [mpirun, "-np", "2", "sh", "-c"]
        command += [f'exec {strace} {folder}/$PMI_RANK "$@"', "rank"]
        for _ in range(2):
            subprocess.run(
                [*command, *program, *settings, "--force"],
                cwd=ROOT,
                env={**os.environ, **environ},
                check=True,
                capture_output=True,
            )
        return [sort_out(Path(folder, str(r)).read_text(), run) for r in range(2)]


def main() -> None:
    """Print a table."""
    for name, environ in (("as it is", {}), ("python -P", {"PYTHONSAFEPATH": "1"})):
        counts = count(environ)
        places = sorted({place for counted in counts for place in counted})
        print(f"{name}: calls that found something + calls in vain")
        for place in places:
            cells = [
                f"{counted.get(place, Counter())['found']:6} +"
                f"{counted.get(place, Counter())['in vain']:6}"
                for counted in counts
            ]
            print(f"  {place:28} {' | '.join(cells)}")
        sums = [sum(sum(c.values()) for c in counted.values()) for counted in counts]
        print(f"  {'all':28} {' | '.join(f'{total:15}' for total in sums)}")


if __name__ == "__main__":
    main()
