# SPDX-License-Identifier: MIT
"""The process that tries messages from GPU memory: ``python -m hpcapp.gpu.trial``.

An MPI library that does not know GPU memory ends it: that is why it is one of its own.
"""

import json
import os
import resource

from hpcapp.gpu.choice import find_gpu
from hpcapp.gpu.device import CudaDevice
from hpcapp.mpi import world

__all__ = ["main"]


def main() -> None:
    """Send to itself and print one JSON object: ``{"fault": TEXT}``, "" for none.

    MPI starts before the GPU is opened, as in a run.
    """
    from hpcapp.mpi.trial import try_messages

    # where it dies it leaves no image of its memory
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    comm = world.start(environ={})
    gpu = find_gpu(os.environ)
    fault = gpu.fault or try_messages(comm, CudaDevice(1, gpu))
    print(json.dumps({"fault": fault}), flush=True)


if __name__ == "__main__":
    main()
