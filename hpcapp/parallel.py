# SPDX-License-Identifier: MIT
"""The commands that run under a launcher: start of MPI, signals, report, end.

Whatever happens on one rank, the job ends: errors that all ranks share are said
once and all leave with one code; anything else is shown with rank and host, and
aborts.
"""

import json
import os
import secrets
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hpcapp.clock import Clock
from hpcapp.device import prepare_cache
from hpcapp.errors import Exit, HpcappError, LaunchError
from hpcapp.log import Log
from hpcapp.mpi import world
from hpcapp.stops import Stops

if TYPE_CHECKING:
    from hpcapp.closing import Closing
    from hpcapp.mpi.comm import Comm

__all__ = ["run_parallel"]

# how long a rank with an error waits for the others to have the same one
GRACE = 3.0


def run_parallel(options: Any, arguments: Sequence[str]) -> int:
    """Run `run`, `resume` or `doctor` on all ranks.

    Parameters
    ----------
    options : argparse.Namespace
        Parsed.
    arguments : sequence of str
        As given, for the record.

    Returns
    -------
    int
        The exit code that all ranks agree on.
    """
    begun = time.monotonic()
    prepare_cache(os.environ)
    stops = Stops(begun=begun)
    stops.listen()
    launch = world.find_launch(os.environ)
    try:
        comm = world.start(Clock())
    except LaunchError as error:
        if options.verb == "doctor":
            from hpcapp.doctor.checks import report_launch

            return report_launch(error, options.json)
        if launch.rank == 0:
            print(f"hpcapp: {error}", file=sys.stderr, flush=True)
        else:
            # a rank that ends with a code makes some launchers end the others at once
            time.sleep(GRACE)
        return error.code
    started = time.monotonic() - begun
    apart = comm.duplicate()
    job = comm.broadcast(secrets.token_hex(8))
    try:
        if options.verb == "doctor":
            from hpcapp.doctor.checks import run_doctor

            return run_doctor(comm, options.directory, options.json, started)
        return _run(comm, options, arguments, stops)
    except HpcappError as error:
        return _end_with(comm, apart, error)
    except BaseException:
        _crash(comm, job)


def _run(comm: "Comm", options: Any, arguments: Sequence[str], stops: Stops) -> int:
    from hpcapp.closing import close_finished, close_session
    from hpcapp.driver import drive
    from hpcapp.prepare import Request, prepare
    from hpcapp.session import Finished

    level = 0 if options.quiet or options.json else 1
    log = Log(comm.root, 2 if options.verbose else level)
    fresh = options.verb == "run"
    request = Request(
        config=options.config if fresh else "",
        directory=options.output if fresh else options.directory,
        settings=tuple(options.settings),
        force=fresh and options.force,
        resume=not fresh or options.resume,
        command=shlex.join(["hpcapp", *arguments]),
    )
    session = prepare(comm, request, log, stops)
    if isinstance(session, Finished):
        comm.on_root(lambda: _report(close_finished(session), log, options.json))
        return Exit.DONE
    try:
        outcome = drive(session)
        if comm.root:
            _report(close_session(session, outcome), log, options.json)
        return outcome.code
    finally:
        if session.held is not None:
            session.held.lock.release()
        log.close()


def _report(closing: "Closing", log: Log, as_json: bool) -> None:
    """Say on rank 0 how a run ended."""
    if as_json:
        print(json.dumps(closing.summary()), flush=True)
        return
    lines = closing.lines()
    for line in lines:
        log.record(line)
    print("\n".join(lines), flush=True)


def _end_with(comm: "Comm", apart: "Comm", error: HpcappError) -> int:
    """Leave together if every rank has this error, else end the job."""
    shared = apart.meet(GRACE)
    if comm.root or not shared:
        prefix = "" if shared else f"rank {comm.rank} on {world.host()}: "
        print(f"hpcapp: {prefix}{error}", file=sys.stderr, flush=True)
    if not shared:
        comm.abort(error.code)
    return error.code


def _crash(comm: "Comm", job: str) -> NoReturn:
    """Show the traceback, of one rank if several fail together, and end the job."""
    if comm.size == 1 or _first_to_crash(job):
        print(
            f"hpcapp: rank {comm.rank} of {comm.size} on {world.host()}, phase "
            f"{comm.clock.current}: unexpected error\n{traceback.format_exc()}",
            file=sys.stderr,
            flush=True,
        )
    else:
        # the rank that speaks ends us; should it fail, we do
        time.sleep(GRACE)
    comm.abort(Exit.FAILED)


def _first_to_crash(job: str) -> bool:
    """Tell whether no other rank of this job on this node has crashed before."""
    folder, prefix = Path(tempfile.gettempdir()), f"hpcapp-crash-{os.getuid()}-"
    # an abort leaves nobody to remove the marker of its job: the next one does
    for old in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > 60:
                old.unlink()
    try:
        (folder / f"{prefix}{job}").touch(0o600, exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        # better twice than not at all
        return True
    return True
