# SPDX-License-Identifier: MIT
"""Sessions of the tests, and what they must leave behind: nothing."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hpcapp.interactive.keeper import MARK

ROOT = Path(__file__).parent.parent.parent


def marked():
    """Return the processes that sessions of this process have started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environ = process.environ()
            mine = environ.get("HPCAPP_TEST_PROCESS") == str(os.getpid())
            if mine and environ.get(MARK):
                found.append(process)
    return found


@pytest.fixture(scope="module")
def start_session(tmp_path_factory):
    """Return a function that starts sessions, in a folder of their own."""
    from hpcapp import Session

    if not Path(sys.executable).with_name("mpirun").exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    before, sessions = os.getcwd(), []
    paths = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{paths}" if paths else str(ROOT)
    os.environ["HPCAPP_TEST_PROCESS"] = str(os.getpid())
    os.chdir(tmp_path_factory.mktemp("notebook"))

    def begin(**options):
        sessions.append(Session(**{"timeout": 240, **options}))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.close()
    os.chdir(before)
    assert marked() == []


@pytest.fixture(scope="module")
def session(start_session):
    """Return a session of two engines."""
    return start_session(n=2)
