# SPDX-License-Identifier: MIT
"""Start of the program: the environment of a rank, then the command line."""

import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    # before NumPy: a rank's BLAS must not start a thread for every core
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.argv[1:2] in (["run"], ["resume"]):
        # it would end the process: it waits until `Stops.listen` lets it through
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    from hpcapp.cli import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
