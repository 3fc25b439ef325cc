# SPDX-License-Identifier: MIT
"""The crank: sets a workload up, turns its steps, saves, stops, finishes.

Raises; never aborts or exits, so that a notebook engine survives it.
"""

import json
import os
import time
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from hpcapp.closing import ending
from hpcapp.decomposition import Domain, Layout
from hpcapp.device import cache_locked, load_compiler, share_threads
from hpcapp.errors import Exit, HpcappError
from hpcapp.failure import one_line
from hpcapp.gpu.choice import open_device
from hpcapp.log import Progress
from hpcapp.planning import estimate_save
from hpcapp.run_directory import clear_after
from hpcapp.session import Outcome, Session, solve_seconds, tabulate
from hpcapp.snapshots import Snapshots
from hpcapp.status import Status, earlier_starts
from hpcapp.store.checkpoints import RESULTS, new_checkpoint, prune
from hpcapp.store.provenance import Origin, describe
from hpcapp.store.save import Job, save, warm_up
from hpcapp.store.writers import choose_writer
from hpcapp.workload import Context, State, Step, Workload

__all__ = ["drive"]

# seconds that a rank with an error waits for the others to reach a yield
GRACE = 2.0


def drive(session: Session) -> Outcome:
    """Run a workload from its state to its result or a checkpoint; collective.

    Parameters
    ----------
    session : Session
        Everything it needs.

    Returns
    -------
    Outcome
        How it ended.

    Raises
    ------
    HpcappError
        If a file cannot be written, or the computation fails for a reason
        that the user can know.
    """
    status = _open_status(session)
    try:
        return _Run(session, status).go()
    except BaseException as error:
        # before the lock is let go; where another rank alone fails, that one tells
        reason = one_line(error)
        session.log.record(f"failed: {reason}")
        if status is not None:
            status.update("failed", force=True, error=reason)
        raise


def _open_status(session: Session) -> Status | None:
    held = session.held
    if held is None:
        return None
    facts: dict[str, Any] = {
        "workload": session.problem.config.workload,
        "ranks": session.comm.size,
        "host": session.machine.nodes[0],
    }
    if session.environ.get("SLURM_JOB_ID"):
        facts["job"] = session.environ["SLURM_JOB_ID"]
        facts["restart"] = session.environ.get("SLURM_RESTART_COUNT", "0")
    if session.saved is not None:
        facts["chain"] = earlier_starts(held.path)
    status = Status(held.path, facts, session.log)
    status.update("running", force=True, fraction=0.0, note="setting up")
    return status


class _Run:
    """One run on one rank: the parts that live from set-up to finish."""

    def __init__(self, session: Session, status: Status | None) -> None:
        self.session, self.status = session, status
        self.comm, self.log = session.comm, session.log
        # a failing rank speaks here while others may be anywhere in a step
        self.aside = session.comm.duplicate()
        self.clock = session.comm.clock
        config = session.problem.config
        machine = session.machine
        rank = self.comm.rank
        threads = share_threads(config.run.threads, machine.masks, rank)
        direct = machine.transport.gpu
        self.device = open_device(threads, machine.choice, machine.gpus, rank, direct)
        self.device.beat = self.clock.beat
        self.workload: Workload = session.problem.workload
        self.layout: Layout = session.problem.layout(self.comm.size)
        self.threads = max(self.comm.all(threads))
        self.writer, reason = choose_writer(
            self.comm,
            config.output.writer,
            session.directory,
            config.output.compression,
        )
        self.written_by = f"{self.writer} ({reason})"
        self.progress = Progress(self.log, session.environ, self.workload.unit)
        self.work = 0.0
        self.newest, self.saved_at = "", time.monotonic()
        nodes = 1 if self.writer == "gather" else len(set(machine.nodes))
        self.expected_save = estimate_save(session.problem, nodes)
        self.save_seconds = 0.0
        self.step_seconds = 0.0
        self.snapshots = Snapshots(session, self._save)

    def go(self) -> Outcome:
        try:
            self._say_layout()
            self._compile()
            context = self._context()
            stopped = self._crank(context)
            outcome = self._stopped(stopped) if stopped else self._finish(context.state)
            self.aside.free()
            return outcome
        finally:
            self.progress.close()
            self.device.close()

    # --- set-up

    def _say_layout(self) -> None:
        if not self.log.speaks:
            # a line for each rank, on each rank, would be ranks^2 of them
            return
        layout, machine = self.layout, self.session.machine
        grid = " x ".join(str(n) for n in layout.grid)
        owners = f"{layout.used} of {self.comm.size} ranks own a block; "
        self.log.info(
            f"{self.session.problem.config.workload}: process grid {grid}, "
            f"{owners if layout.used < self.comm.size else ''}"
            f"{self.threads} threads a rank on {len(set(machine.nodes))} nodes, "
            f"{machine.mpi}"
        )
        self.log.info(f"writer {self.written_by}; device {self.device.note}")
        if machine.choice.cuda:
            self.log.info(f"messages between GPUs: {machine.transport.text}")
        if layout.used > 1 and layout.halo:
            self.log.info(f"halo depth {self.workload.halo(layout)}")
        for rank, (node, mask) in enumerate(machine.masks):
            self.log.detail(
                f"rank {rank}: {node}, cores {','.join(str(c) for c in mask)}, "
                f"{self.device.name}, block {layout.block(rank)}"
            )

    def _compile(self) -> None:
        # one rank a node compiles, the others then load from the node's cache;
        # the compiler itself all can load at once
        node = self.comm.node()
        before = self.clock.enter("compile")
        load_compiler()
        if node.root:
            with cache_locked(os.environ):
                self._load_kernels()
        node.barrier()
        if not node.root:
            self._load_kernels()
        node.free()
        # nobody waits for a compiler inside an exchange
        self.comm.barrier()
        self.clock.enter(before)

    def _load_kernels(self) -> None:
        self.workload.warm_up(self.device)
        warm_up(self.workload.fields())

    def _context(self) -> Context:
        saved = self.session.saved
        state = State() if saved is None else State(saved.values, saved)
        if saved is not None:
            self.log.info(f"going on from {saved.path}")
        return Context(self.comm, self.device, self.layout, state)

    # --- steps

    def _crank(self, context: Context) -> str:
        """Turn the steps; return why the run was stopped, or ""."""
        steps = self.workload.steps(context)
        pending = None
        while True:
            begun = time.monotonic()
            try:
                with self.clock.phase("compute"):
                    step = next(steps, None)
            except HpcappError as error:
                raise self._tell(pending, error) from None
            if pending is not None:
                with self.clock.phase("reduce"), self.clock.waiting():
                    stop, due, failed = pending.result()
                if failed:
                    _end(steps)
                    raise self._shared(None)
            if step is None:
                return ""
            self.step_seconds = max(self.step_seconds, time.monotonic() - begun)
            self._report(step)
            self.snapshots.after_step(context.state)
            if pending is not None and (stop or due):
                path = self._checkpoint(context.state)
                if stop:
                    _end(steps)
                    self.log.info(f"checkpoint {path}")
                    return self._why()
            pending = self.aside.agree(np.array(self._wishes(), np.int64))

    def _tell(self, pending: Any, error: HpcappError) -> HpcappError:
        """Let the other ranks end with this rank's error, if they come to a yield.

        They do not where their step waits for this rank, or where a checkpoint was
        due: then whoever called the driver ends the job.
        """
        if pending is not None and (
            not pending.arrives(GRACE) or pending.result().any()
        ):
            return error
        agreement = self.aside.agree(np.array((0, 0, 1), np.int64))
        return self._shared(error) if agreement.arrives(GRACE) else error

    def _shared(self, mine: HpcappError | None) -> HpcappError:
        """Return the error of the first rank that has one, naming that rank."""
        errors = self.aside.all(mine)
        rank, error = next((r, e) for r, e in enumerate(errors) if e is not None)
        if None not in errors:
            return error
        host = self.session.machine.nodes[rank]
        return type(error)(f"rank {rank} on {host}: {error}")

    def _wishes(self) -> tuple[bool, bool, bool]:
        saving = self.save_seconds or self.expected_save
        margin = 2 * self.step_seconds + 2 * saving
        every = self.session.problem.config.checkpoint.every
        due = every is not None and time.monotonic() - self.saved_at >= every
        # one clock decides when a checkpoint is due
        return self.session.stops.wanted(margin), due and self.comm.root, False

    def _why(self) -> str:
        reasons = [
            reason for reason in self.comm.all(self.session.stops.reason) if reason
        ]
        return reasons[0] if reasons else "request"

    def _report(self, step: Step) -> None:
        self.work += step.work
        if self.session.on_step is not None:
            self.session.on_step(step)
        if self.status is not None:
            fraction, note, now = step.fraction, step.note, time.monotonic()
            self.progress.update(fraction, note, step.work)
            self.status.update(
                "running",
                fraction=fraction,
                note=note,
                rate=self.progress.rate(now),
                unit=f"{self.workload.unit}/s",
                eta_seconds=self.progress.eta(fraction, now),
            )

    # --- files

    def _checkpoint(self, state: State) -> str:
        begun = time.monotonic()
        directory = self.session.directory
        path = self.comm.on_root(lambda: new_checkpoint(directory))
        fields = [f for f in self.workload.fields() if f.saved]
        outcome = {"hpcapp_state": "checkpoint"}
        self._save(path, fields, state, outcome, self.layout.domain)
        keep = self.session.problem.config.checkpoint.keep
        self.comm.on_root(lambda: prune(directory, keep))
        self.newest, self.saved_at = path, time.monotonic()
        self.save_seconds = max(self.save_seconds, self.saved_at - begun)
        return path

    def _save(
        self,
        path: str,
        fields: list[Any],
        state: State,
        outcome: dict[str, Any],
        domain: Domain,
    ) -> str:
        outcome = {**outcome, "hpcapp_steps": self.snapshots.steps}
        if self.session.inputs:
            outcome["hpcapp_inputs"] = json.dumps(self.session.inputs)
        kind = outcome["hpcapp_state"]
        output = self.session.problem.config.output
        job = Job(
            path=path,
            fields=fields,
            domain=domain,
            writer=self.writer,
            finished=kind != "checkpoint",
            compression=output.compression if kind == "finished" else 0,
            attributes=lambda clocks: describe(
                self._origin(), tabulate(clocks), outcome
            ),
        )
        return save(self.comm, job, state)

    def _origin(self) -> Origin:
        session, config = self.session, self.session.problem.config
        return Origin(
            workload=config.workload,
            summary=self.workload.summary,
            config=session.problem.text(),
            command=session.command,
            mpi=session.machine.mpi,
            seed=config.run.seed,
            layout={
                "ranks": self.comm.size,
                "grid": self.layout.grid,
                "shape": self.layout.domain.shape,
                "dims": self.layout.domain.dims,
                "dealt": self.layout.domain.dealt,
                "threads": self.threads,
                "hosts": session.machine.nodes,
                "cores": session.machine.cores(),
                "gpus": sorted({gpu.text for gpu in session.machine.gpus}),
            },
            device=self.device.note,
            transport=session.machine.transport.text,
            writer=self.written_by,
        )

    # --- the end

    def _stopped(self, reason: str) -> Outcome:
        phases = tabulate(self.comm.all(self.clock.read()))
        if self.status is not None:
            self.status.update(
                "stopped", force=True, reason=reason, checkpoint=self.newest
            )
        return Outcome(
            code=Exit.STOPPED,
            answer=None,
            phases=phases,
            path=self.newest,
            threads=self.threads,
            reason=reason,
            work=self.work,
            unit=self.workload.unit,
        )

    def _finish(self, state: State) -> Outcome:
        with self.clock.phase("compute"):
            answer = self.workload.answer(state)
        name = RESULTS[self.session.problem.config.output.format]
        path = os.path.join(self.session.directory, name)
        extendable = bool(self.workload.extendable())
        fields = [f for f in self.workload.fields() if f.published or extendable]
        last = ending(answer, self.work, self.workload.unit)
        self.snapshots.finish(state)
        checksum = self._save(path, fields, state, last, self.layout.domain)
        clocks = self.comm.all(self.clock.read())
        if self.status is not None:
            # the result stands: what is left beside it must not end the run
            left = clear_after(path)
            if left:
                self.log.warn(f"{left}; the result is whole")
            self.status.update(
                "finished", force=True, fraction=1.0, note=answer.text, eta_seconds=0.0
            )
        if answer.warning:
            self.log.warn(answer.warning)
        return Outcome(
            code=Exit.DONE,
            answer=answer,
            phases=tabulate(clocks),
            path=path,
            threads=self.threads,
            checksum=checksum,
            work=self.work,
            unit=self.workload.unit,
            seconds=solve_seconds(clocks),
        )


def _end(steps: Iterator[Step]) -> None:
    # lets a generator free what it holds, such as requests of the halo exchange
    if isinstance(steps, Generator):
        steps.close()
