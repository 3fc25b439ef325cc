# SPDX-License-Identifier: MIT
"""hpcapp with a writer that fails in the middle of the file, on one rank."""

import os
import sys

from hpcapp.__main__ import main
from hpcapp.store import collective

if int(os.environ["OMPI_COMM_WORLD_RANK"]) == 1:

    def fail(*_arguments):
        """Stand for a full disk."""
        raise OSError("no space left")

    collective._shaped = fail

sys.argv[0] = "hpcapp"
sys.exit(main())
