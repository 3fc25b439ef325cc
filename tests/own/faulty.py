# SPDX-License-Identifier: MIT
"""hpcapp with a fault in one rank: ``faulty.py FAULT PHASE RANK DIR ARGUMENTS``.

FAULT is raise, kill or stop. The arguments are those of hpcapp. When the fault strikes,
its time goes into DIR.
"""

import os
import signal
import sys
import time
from pathlib import Path

PLACES = {
    # phase: functions of which the first call fails
    "configuration": ["hpcapp.prepare:_read"],
    "plan": ["hpcapp.prepare:check"],
    "compile": ["hpcapp.driver:_Run._load_kernels"],
    "compute": ["hpcapp.workload:Step.__init__"],
    "exchange": ["hpcapp.mpi.comm:Comm._reduce", "hpcapp.mpi.halo:Halo.finish"],
    # where rank 0 alone has values to write, the others sum up
    "write": ["hpcapp.mpi.files:SharedFile.write", "hpcapp.store.save:_contribution"],
    "finish": ["hpcapp.driver:ending"],
}
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def plant(fault, phase, rank, folder):
    """Replace the functions of a phase by one that fails on one rank."""
    from importlib import import_module

    from hpcapp.cli import launcher_rank

    calls = []

    def wrapped(function):
        def fail(*arguments, **named):
            calls.append(1)
            # a few steps are done before the fault strikes in one
            due = len(calls) == (4 if function.__qualname__ == "Step.__init__" else 1)
            if launcher_rank() == rank and due:
                Path(folder, "struck").write_text(str(time.time()))
                strike(fault, rank)
            return function(*arguments, **named)

        return fail

    for place in PLACES[phase]:
        module, _, path = place.partition(":")
        owner, (*outer, name) = import_module(module), path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, name, wrapped(getattr(owner, name)))


def strike(fault, rank):
    """Fail."""
    if fault == "raise":
        raise ZeroDivisionError(f"planted on rank {rank}")
    os.kill(os.getpid(), SIGNALS[fault])


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # MPI is started by hpcapp, not by the imports above
    import mpi4py

    mpi4py.rc.initialize = False
    plant(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    sys.argv[1:] = sys.argv[5:]
    from hpcapp.__main__ import main

    main()
