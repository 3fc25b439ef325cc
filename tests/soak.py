# SPDX-License-Identifier: MIT
"""Runs that are killed again and again: ``python -m tests.soak --kills 100``.

A run is started, a random signal goes to a random rank, to all of them or to mpirun at
a random moment, and what is left is resumed on another number of ranks, until the run
ends. Now and then the newest checkpoint is damaged in between. The data of the result
must be those of an undisturbed run in every bit, every job must end soon after the
signal, with the exit code that is right for it, and name the checkpoint and the command
to go on with, and status.json must never go on to say that it runs.
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hpcapp.errors import Exit
from hpcapp.store.checkpoints import find_checkpoints, last_checkpoint
from hpcapp.studies.compare import compare_results
from hpcapp.studies.standing import find_standing
from tests.benchmarks.jobs import ROOT, Job
from tests.soak_inputs import make_inputs

__all__ = ["Kill", "Tally", "load_tally", "main", "soak"]

# configuration and settings of runs of some seconds with many short steps
SCENARIOS = {
    "laplace": (
        "laplace",
        "parameters.tolerance=0",
        "parameters.shape=[301, 301]",
        "parameters.max_iterations=12000",
        "parameters.check_every=16",
    ),
    "montecarlo": ("montecarlo-pi", "parameters.samples=6e9"),
    "mandelbrot": (
        "mandelbrot-dynamic",
        "parameters.shape=[2000, 2000]",
        "parameters.center=[-0.8, 0.0]",
        "parameters.extent=[3.0, 3.0]",
        "parameters.max_iterations=20000",
    ),
    "series": ("series-trigonometric", "parameters.terms=1e10"),
    "words": ("words", "parameters.inputs=[{inputs}/*.txt]"),
    "climate": ("climate", "parameters.inputs=[{inputs}/*.nc]"),
}

SIGNALS = (
    *(signal.SIGKILL,) * 4,
    *(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1),
    *(signal.SIGSEGV, signal.SIGABRT),
)

STOPS = ("SIGTERM", "SIGINT", "SIGUSR1")

# columns of the table
GROUPS = {
    "SIGKILL": ("SIGKILL",),
    "SIGSEGV, SIGABRT": ("SIGSEGV", "SIGABRT"),
    ", ".join(STOPS): STOPS,
}

# seconds after a signal in which a job must be over: at once if it kills; after two
# steps and a checkpoint, which a busy machine draws out, if it asks for a stop
KILLED, STOPPED = 10.0, 60.0

# seconds that a whole run may take
WHOLE = 300.0

# seconds after the first sign of progress in which the signal comes
MOMENT = 1.2


@dataclass(frozen=True)
class Kill:
    """One job that a signal has ended.

    Parameters
    ----------
    workload, signal : str
        What ran, and what it got.
    whom : {"one", "all", "mpirun"}
        Who got it: one rank, all of them, or the launcher.
    ranks : int
        Of the job.
    seconds : float
        From the signal until the launcher and all ranks were gone.
    code : int
        Exit code of the launcher.
    """

    workload: str
    signal: str
    whom: str
    ranks: int
    seconds: float
    code: int = 0


@dataclass
class Tally:
    """What happened, and what should not have.

    Parameters
    ----------
    kills : list of Kill
        Jobs that a signal has ended.
    damages, compared : dict of str to int
        Checkpoints damaged, and results compared with undisturbed ones, by workload.
    faults : list of str
        Broken laws; none is as it should be.
    seconds : float
        That all of it took.
    """

    kills: list[Kill] = field(default_factory=list)
    damages: dict[str, int] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def runs(self) -> int:
        """Results compared."""
        return sum(self.compared.values())

    def text(self) -> str:
        """Return it as a table in Markdown, with what it comes to."""
        names = [name for name in SCENARIOS if name in self.compared]
        heads = ["workload", *GROUPS, "damaged checkpoints", "results compared"]
        heads += ["longest end: killed, s", "stopped, s"]
        rows = [self._row(name, [name]) for name in names]
        rows += [self._row("all", names)]
        lines = [_line(heads), _line(["---"] * len(heads)), *map(_line, rows), ""]
        damages = sum(self.damages.values())
        lines.append(
            f"{len(self.kills)} kills, {damages} damaged checkpoints, {self.runs} "
            f"results compared in {self.seconds:.0f} s"
        )
        lines += ["FAULTS:", *self.faults] if self.faults else ["no fault"]
        return "\n".join(lines)

    def _row(self, head: str, names: Sequence[str]) -> list[str]:
        kills = [kill for kill in self.kills if kill.workload in names]
        counts = [
            sum(kill.signal in group for kill in kills) for group in GROUPS.values()
        ]
        counts += [
            sum(known.get(name, 0) for name in names)
            for known in (self.damages, self.compared)
        ]
        hard = [kill.seconds for kill in kills if kill.signal not in STOPS]
        soft = [kill.seconds for kill in kills if kill.signal in STOPS]
        ends = [f"{max(times):.1f}" if times else "-" for times in (hard, soft)]
        return [head, *map(str, counts), *ends]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def load_tally(path: Path) -> Tally:
    """Return what a file holds of earlier pieces; nothing yet if there is none."""
    if not path.exists():
        return Tally()
    found = json.loads(path.read_text())
    return Tally(**{**found, "kills": [Kill(**kill) for kill in found["kills"]]})


class _Victim:
    """One run directory that is worked on by one job after another."""

    def __init__(self, name: str, folder: Path, number: int) -> None:
        config, *settings = SCENARIOS[name]
        self.name, self.dice = name, random.Random(f"{name} {number}")
        self.target = folder / str(number)
        self.reference = folder / f"{name}-undisturbed"
        self.start = ["run", f"configs/small/{config}.yaml", "-q"]
        every = "checkpoint.every=0.2 s"
        for setting in [*settings, every, "output.writer=direct"]:
            self.start += ["--set", setting.format(inputs=folder / f"{name}-inputs")]

    def job(self, ranks: int, target: Path) -> subprocess.Popen[str]:
        """Start or resume."""
        going = bool(find_checkpoints(str(target)))
        verb = ["resume", str(target), "-q"] if going else [*self.start, "-o", target]
        job = Job(ranks, ["-m", "hpcapp", *map(str, verb)])
        return subprocess.Popen(
            job.command,
            cwd=ROOT,
            env=job.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ranks_of(self) -> list[int]:
        """Return the processes that compute in the run directory."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            mine = os.fsencode(self.target) in arguments
            if mine and arguments[1:3] == [b"-m", b"hpcapp"]:
                found.append(int(entry.name))
        return found

    def wait_for_progress(self, process: subprocess.Popen[str]) -> bool:
        """Wait until the job computes; False if it ends before."""
        begun = time.time()
        while process.poll() is None and time.time() - begun < WHOLE:
            try:
                changed = (self.target / "status.json").stat().st_mtime
                state = find_standing(str(self.target))
                computes = state.facts.get("note") != "setting up"
                if state.state == "running" and computes and changed > begun:
                    return True
            except Exception:
                pass
            time.sleep(0.02)
        return False

    def strike(
        self, process: subprocess.Popen[str], ranks: Sequence[int]
    ) -> tuple[str, str]:
        """Send a random signal to someone.

        Parameters
        ----------
        process : Popen
            The launcher.
        ranks : sequence of int
            The processes that compute.

        Returns
        -------
        (str, str)
            Its name and who got it; "" if all was over.
        """
        number = self.dice.choice(SIGNALS)
        name = signal.Signals(number).name
        whom = self.dice.choice(["one", "one", "all", "mpirun"])
        if whom == "mpirun" and (name in STOPS or number == signal.SIGKILL):
            victims = [process.pid]
        elif whom == "all":
            victims = [*ranks]
        else:
            whom, victims = "one", [self.dice.choice(ranks)] if ranks else []
        if process.poll() is not None or not victims:
            return "", whom
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return name, whom

    def fault_of(self, kill: Kill, said: str) -> str:
        """Return what is wrong with the end of a job that a signal has ended."""
        number = int(signal.Signals[kill.signal])
        stopped = kill.signal in STOPS
        # by what ranks were killed: MPICH's mpirun joins the bits of all, of which it
        # kills some itself; Open MPI's adds 128 to the first
        killed = {number, number | signal.SIGKILL, 128 + number}
        codes = {int(Exit.STOPPED)} if stopped else killed
        if kill.whom == "mpirun" and not stopped:
            codes = {-number}
        if kill.code not in codes:
            return f"exit {kill.code} instead of one of {sorted(codes)}"
        place, found = str(self.target), last_checkpoint(str(self.target))
        if stopped:
            advice = f"{found}: go on with: hpcapp resume {place}"
        elif found is None:
            advice = f"{place}: there is no checkpoint; start the run again"
        else:
            advice = f"the last checkpoint is {found} ("
        # nobody listens to the ranks of a launcher that is gone
        where = said
        if kill.whom == "mpirun" and not stopped:
            where = find_standing(place).text()
        command = f"mpirun -np {kill.ranks} python -m hpcapp resume {place}"
        if advice not in where or not (stopped or found is None or command in where):
            return f"does not say: {advice}"
        return ""

    def damage(self) -> bool:
        """Flip a bit of the newest of two checkpoints."""
        found = find_checkpoints(str(self.target))
        if len(found) < 2:
            return False
        path = Path(found[0][1])
        if not path.exists():
            return False
        data = bytearray(path.read_bytes())
        data[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)
        path.write_bytes(data)
        return True


def soak(
    kills: int,
    folder: Path,
    *,
    most: int = 4,
    tally: Tally | None = None,
    seconds: float = math.inf,
) -> Tally:
    """Kill runs of all scenarios in turn until there were enough kills.

    Parameters
    ----------
    kills : int
        How many.
    folder : Path
        Where to work.
    most : int
        Ranks of a job, at most.
    tally : Tally, optional
        Of earlier pieces, to go on with; changed.
    seconds : float
        After which no further run is begun.

    Returns
    -------
    Tally
        What happened.
    """
    tally = Tally() if tally is None else tally
    names, begun = list(SCENARIOS), time.monotonic()
    # the budget is shared among two rounds of all scenarios, three a run at least
    share = max(3, -(-kills // (2 * len(names))))
    while len(tally.kills) < kills and not tally.faults:
        if time.monotonic() - begun > seconds:
            break
        name = names[tally.runs % len(names)]
        victim = _Victim(name, folder, tally.runs)
        if not victim.reference.exists():
            make_inputs(name, folder / f"{name}-inputs")
            _finish(victim, victim.reference, victim.dice.randint(1, most), tally)
        _run_to_the_end(victim, min(kills - len(tally.kills), share), most, tally)
        if tally.faults:
            break
        found = compare_results(str(victim.reference), str(victim.target), None)
        if not found.equal:
            tally.faults.append(f"{name}: {found.text}")
        tally.compared[name] = tally.compared.get(name, 0) + 1
        print(f"{name}: {len(tally.kills)} kills so far", flush=True)
    tally.seconds += time.monotonic() - begun
    return tally


def _run_to_the_end(victim: _Victim, kills: int, most: int, tally: Tally) -> None:
    """Kill a run so many times, as long as it lasts, then let it finish."""
    dice, before = victim.dice, len(tally.kills)
    while len(tally.kills) - before < kills:
        ranks = dice.randint(1, most)
        process = victim.job(ranks, victim.target)
        if victim.wait_for_progress(process):
            time.sleep(dice.uniform(0, MOMENT))
        known = victim.ranks_of()
        name, whom = victim.strike(process, known)
        struck = time.monotonic()
        patience = (STOPPED if name in STOPS else KILLED) if name else WHOLE
        said = _wait(process, patience, tally)
        # the ranks outlive an mpirun that is killed for a moment
        while any(map(_lives, known)) and time.monotonic() - struck < patience:
            time.sleep(0.02)
        spent = time.monotonic() - struck
        if any(map(_lives, known)):
            tally.faults.append(f"{victim.name}: ranks live on after {name}")
        state = find_standing(str(victim.target)).state
        finished = state == "finished"
        if name and not finished:
            code = process.returncode
            kill = Kill(victim.name, name, whom, ranks, round(spent, 2), code)
            tally.kills.append(kill)
            fault = victim.fault_of(kill, said)
            if fault:
                tally.faults.append(f"{kill}: {fault}: {said}")
        if process.returncode not in (Exit.DONE, Exit.STOPPED) and not name:
            tally.faults.append(f"{victim.name}: exit {process.returncode}: {said}")
        if state == "running" or "Traceback" in said:
            tally.faults.append(f"{victim.name} after {name}: {state}: {said}")
        if finished or tally.faults:
            return
        if dice.random() < 0.4 and victim.damage():
            tally.damages[victim.name] = tally.damages.get(victim.name, 0) + 1
    _finish(victim, victim.target, dice.randint(1, most), tally)


def _lives(pid: int) -> bool:
    """Tell whether a process has not ended; its command line is gone before."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][:1] not in ("Z", "X")


def _finish(victim: _Victim, target: Path, ranks: int, tally: Tally) -> None:
    """Run to the end without a disturbance."""
    process = victim.job(ranks, target)
    said = _wait(process, WHOLE, tally)
    if process.returncode != Exit.DONE:
        tally.faults.append(f"{victim.name}: exit {process.returncode}: {said}")


def _wait(process: subprocess.Popen[str], seconds: float, tally: Tally) -> str:
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[0]
        tally.faults.append(f"not over after {seconds:.0f} s: {said}")
        return said


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return 1 if a law was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=4, help="of a job, at most")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of this piece")
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="where every kill is kept; one that exists is gone on with",
    )
    options = parser.parse_args(arguments)
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    tally = load_tally(options.log) if options.log else Tally()
    with tempfile.TemporaryDirectory(prefix="soak-", dir=results) as folder:
        soak(
            options.kills,
            Path(folder),
            most=options.ranks,
            tally=tally,
            seconds=options.seconds,
        )
    if options.log:
        options.log.write_text(json.dumps(asdict(tally), indent=1))
    print(tally.text())
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
