# SPDX-License-Identifier: MIT
"""A rank of a real run that tells afterwards what it imported and its peak memory.

Run by mpirun as a script: ``on_rank.py FOLDER run CONFIG ...``; leaves
``rank-N.json`` in the folder.
"""

import json
import os
import resource
import sys

__all__ = ["peak_bytes"]


def peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(folder: str, arguments: list[str]) -> None:
    """Run the command line of hpcapp and write the file."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from hpcapp.cli import launcher_rank, run_command_line

    code = run_command_line(arguments)
    modules = [
        name
        for name, module in sys.modules.items()
        if getattr(module, "__spec__", None)
        and not name.startswith(("hpcapp", "tests"))
    ]
    with open(f"{folder}/rank-{launcher_rank()}.json", "w", encoding="utf-8") as file:
        json.dump({"peak": peak_bytes(), "modules": modules}, file)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
