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
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hpcapp.clock import Clock
from hpcapp.device import prepare_cache
from hpcapp.errors import Exit, HpcappError, LaunchError
from hpcapp.failure import Failure, advise, leave, mark_failed, one_line
from hpcapp.gpu.choice import claim_gpu
from hpcapp.guards import Guards, Lookout
from hpcapp.log import Log, drain, say
from hpcapp.mpi import world
from hpcapp.mpi.abort import leave_at_once
from hpcapp.stops import Stops

if TYPE_CHECKING:
    from hpcapp.closing import Closing
    from hpcapp.mpi.comm import Comm
    from hpcapp.prepare import Request

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
    claim_gpu(os.environ)
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
            say(f"hpcapp: {error}")
        else:
            # a rank that ends with a code makes some launchers end the others at once
            time.sleep(GRACE)
        return error.code
    started = time.monotonic() - begun
    if options.verb == "doctor":
        return _examine(comm, options, started)
    code = _Job(comm, options, arguments, stops).run()
    stops.leave()
    drain()
    return code


def _examine(comm: "Comm", options: Any, started: float) -> int:
    from hpcapp.doctor.checks import run_doctor

    job = _Job(comm, options, (), Stops())
    return job.guard(lambda: run_doctor(comm, options.directory, options.json, started))


class _Job:
    """One job on one rank: what its end needs to know."""

    def __init__(
        self, comm: "Comm", options: Any, arguments: Sequence[str], stops: Stops
    ) -> None:
        self.comm, self.options, self.stops = comm, options, stops
        self.command = shlex.join(["hpcapp", *arguments])
        self.apart = comm.duplicate()
        self.name = comm.broadcast(secrets.token_hex(8))
        # known once the run directory is held
        self.directory = ""
        self.guards: Guards | Lookout | None = None

    def run(self) -> int:
        """Run or resume; return the exit code that all ranks agree on."""
        return self.guard(self._run)

    def guard(self, action: Callable[[], int]) -> int:
        """Do something such that the job ends, whatever happens on this rank."""
        try:
            return action()
        except BaseException as error:
            try:
                if isinstance(error, HpcappError):
                    return self._end_with(error)
                self._crash(error)
            except BaseException:
                # others wait for this rank: to end counts more than to tell why
                self.comm.abort(Exit.FAILED)

    def _run(self) -> int:
        from hpcapp.closing import close_finished, close_session
        from hpcapp.driver import drive
        from hpcapp.prepare import prepare
        from hpcapp.profiling import open_profiler, watch
        from hpcapp.session import Finished
        from hpcapp.trace import leave_trace

        options, comm = self.options, self.comm
        level = 0 if options.quiet or options.json else 1
        log = Log(comm.root, 2 if options.verbose else level)
        profiler = open_profiler(options.profile)
        end = partial(comm.abort, Exit.FAILED)
        self.guards = lookout = Lookout(comm, self.name, end)
        session = prepare(comm, self._request(), log, self.stops)
        if isinstance(session, Finished):
            comm.on_root(lambda: _report(close_finished(session), log, options.json))
            self.guards.close()
            return Exit.DONE
        try:
            self.directory = session.directory
            self.stops.at_once = self._give_up
            self.guards = Guards(session, self.name, end, lookout)
            outcome = watch(profiler, session, drive)
            leave_trace(comm, session.directory, log)
            self.guards.close()
            if comm.root:
                _report(close_session(session, outcome), log, options.json)
            return outcome.code
        finally:
            if session.held is not None:
                session.held.lock.release()
            log.close()

    def _request(self) -> "Request":
        from hpcapp.prepare import Request

        options = self.options
        fresh = options.verb == "run"
        return Request(
            config=options.config if fresh else "",
            directory=options.output if fresh else options.directory,
            settings=tuple(options.settings),
            force=fresh and options.force,
            resume=not fresh or options.resume,
            command=self.command,
        )

    def _give_up(self, reason: str) -> None:
        """Say that this rank ends by itself, and how to go on; one rank does."""
        if mark_failed(self.directory, reason):
            say(f"hpcapp: rank {self.comm.rank} on {world.host()}: {reason}")
            say(f"hpcapp: {advise(self.directory, self.comm.size)}")

    def _end_with(self, error: HpcappError) -> int:
        """Leave together if every rank has this error, else end the job."""
        comm = self.comm
        shared = self.apart.meet(GRACE)
        if comm.root or not shared:
            prefix = "" if shared else f"rank {comm.rank} on {world.host()}: "
            say(f"hpcapp: {prefix}{error}")
            self._leave(error, "")
        if not shared:
            comm.abort(error.code)
        if self.guards is not None:
            self.guards.close()
        if not error.sound:
            drain()
            leave_at_once(error.code)
        return error.code

    def _crash(self, error: BaseException) -> NoReturn:
        """Show the traceback, of one rank if several fail together; end the job."""
        comm = self.comm
        shown = "".join(traceback.format_exception(error))
        if comm.size == 1 or _first_to_crash(self.name):
            say(
                f"hpcapp: rank {comm.rank} of {comm.size} on {world.host()}, phase "
                f"{comm.clock.phase_of(error)}: unexpected error\n{shown}"
            )
            self._leave(error, shown)
        else:
            # the rank that speaks ends us; should it fail, we do
            time.sleep(GRACE)
        comm.abort(Exit.FAILED)

    def _leave(self, error: BaseException, shown: str) -> None:
        """Write down how this rank failed, and say how to go on."""
        comm = self.comm
        if not self.directory:
            return
        failure = Failure(
            rank=comm.rank,
            size=comm.size,
            host=world.host(),
            pid=os.getpid(),
            phase=comm.clock.phase_of(error),
            error=one_line(error),
            traceback=shown,
        )
        leave(self.directory, failure)
        say(f"hpcapp: {advise(self.directory, comm.size)}")


def _report(closing: "Closing", log: Log, as_json: bool) -> None:
    """Say on rank 0 how a run ended."""
    lines = closing.lines()
    if not as_json:
        for line in lines:
            log.record(line)
    text = json.dumps(closing.summary()) if as_json else "\n".join(lines)
    fault = say(text, sys.stdout)
    if fault:
        # the run has ended as it has, whoever listens
        log.warn(
            f"standard output cannot be written: {fault}; the run has ended all the "
            f"same, with {closing.outcome.path}"
        )


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
