# SPDX-License-Identifier: MIT
"""Runs that are killed again and again: ``python -m tests.soak --kills 100``.

A run is started, a random signal goes to a random rank, to all of them or to mpirun at
a random moment, and what is left is resumed on another number of ranks, until the run
ends. Now and then the newest checkpoint is damaged in between. The data of the result
must be those of an undisturbed run in every bit, every job must end soon after the
signal, and status.json must never go on to say that it runs.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpcapp.errors import Exit
from hpcapp.store.checkpoints import find_checkpoints
from hpcapp.studies.compare import compare_results
from hpcapp.studies.standing import find_standing
from tests.benchmarks.jobs import ROOT, Job

__all__ = ["Tally", "main", "soak"]

# configuration and settings of runs of some seconds with many short steps
SCENARIOS = {
    "laplace": (
        "laplace",
        "parameters.tolerance=0",
        "parameters.shape=[301, 301]",
        "parameters.max_iterations=12000",
        "parameters.check_every=16",
    ),
    "montecarlo": ("montecarlo-pi", "parameters.samples=3e9"),
    "mandelbrot": (
        "mandelbrot-dynamic",
        "parameters.shape=[800, 800]",
        "parameters.center=[-0.8, 0.0]",
        "parameters.extent=[3.0, 3.0]",
        "parameters.max_iterations=40000",
    ),
    "series": ("series-trigonometric", "parameters.terms=5e9"),
}

SIGNALS = (
    *(signal.SIGKILL,) * 4,
    *(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1),
    *(signal.SIGSEGV, signal.SIGABRT),
)

# seconds after a signal in which a job must be over, and a whole run
PATIENCE = 20.0
WHOLE = 120.0

# seconds after the first sign of progress in which the signal comes
MOMENT = 1.2


@dataclass
class Tally:
    """What happened, and what should not have.

    Parameters
    ----------
    kills, damages, runs : int
        Jobs that a signal has ended, checkpoints damaged, results compared.
    slowest : float
        Seconds from a signal to the end of its job, at most.
    faults : list of str
        Broken laws; none is as it should be.
    signals : Counter
        Signals that ended a job, by name.
    """

    kills: int = 0
    damages: int = 0
    runs: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)
    signals: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """Return it in a form to read."""
        named = ", ".join(f"{n} {name}" for name, n in sorted(self.signals.items()))
        return (
            f"{self.kills} kills ({named}) and {self.damages} damaged checkpoints in "
            f"{self.runs} runs; slowest end {self.slowest:.1f} s after the signal; "
            + ("\n".join(["FAULTS:", *self.faults]) if self.faults else "no fault")
        )


class _Victim:
    """One run directory that is worked on by one job after another."""

    def __init__(self, name: str, folder: Path, dice: random.Random) -> None:
        config, *settings = SCENARIOS[name]
        self.name, self.dice = name, dice
        self.target = folder / name
        self.reference = folder / f"{name}-undisturbed"
        self.start = ["run", f"configs/small/{config}.yaml", "-q"]
        every = "checkpoint.every=0.2 s"
        for setting in [*settings, every, "output.writer=direct"]:
            self.start += ["--set", setting]

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

    def strike(self, process: subprocess.Popen[str]) -> str:
        """Send a random signal to someone; return its name, "" if all was over."""
        number = self.dice.choice(SIGNALS)
        ranks = self.ranks_of()
        gentle = number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        where = self.dice.choice(["one", "one", "all", "mpirun"])
        if where == "mpirun" and (gentle or number == signal.SIGKILL):
            victims = [process.pid]
        else:
            victims = ranks if where == "all" else ranks and [self.dice.choice(ranks)]
        if process.poll() is not None or not victims:
            return ""
        for pid in victims:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        return f"{signal.Signals(number).name}"

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


def soak(kills: int, seed: int, folder: Path, most: int = 4) -> Tally:
    """Kill runs of all scenarios in turn until there were enough kills.

    Parameters
    ----------
    kills : int
        How many.
    seed : int
        Of the dice.
    folder : Path
        Where to work.
    most : int
        Ranks of a job, at most.

    Returns
    -------
    Tally
        What happened.
    """
    dice, tally = random.Random(seed), Tally()
    names = list(SCENARIOS)
    while tally.kills < kills and not tally.faults:
        name = names[(seed + tally.runs) % len(names)]
        inside = folder / str(tally.runs)
        inside.mkdir()
        victim = _Victim(name, inside, dice)
        _finish(victim, victim.reference, dice.randint(1, most), tally)
        # what is left of the budget is shared with the runs to come
        share = min(kills - tally.kills, max(3, -(-kills // (2 * len(names)))))
        _run_to_the_end(victim, share, most, tally)
        if tally.faults:
            break
        found = compare_results(str(victim.reference), str(victim.target), None)
        if not found.equal:
            tally.faults.append(f"{name}: {found.text}")
        tally.runs += 1
        print(tally.text(), flush=True)
    return tally


def _run_to_the_end(victim: _Victim, kills: int, most: int, tally: Tally) -> None:
    """Kill a run so many times, as long as it lasts, then let it finish."""
    dice, before = victim.dice, tally.kills
    while tally.kills - before < kills:
        process = victim.job(dice.randint(1, most), victim.target)
        if victim.wait_for_progress(process):
            time.sleep(dice.uniform(0, MOMENT))
        name = victim.strike(process)
        struck = time.monotonic()
        said = _wait(process, PATIENCE if name else WHOLE, tally)
        # the ranks outlive an mpirun that is killed for a moment
        while victim.ranks_of() and time.monotonic() - struck < PATIENCE:
            time.sleep(0.05)
        if victim.ranks_of():
            tally.faults.append(f"{victim.name}: ranks live on after {name}")
        spent = time.monotonic() - struck
        state = find_standing(str(victim.target)).state
        finished = state == "finished"
        if name and not finished:
            tally.kills += 1
            tally.signals[name] += 1
            tally.slowest = max(tally.slowest, spent)
        if process.returncode not in (Exit.DONE, Exit.STOPPED) and not name:
            tally.faults.append(f"{victim.name}: exit {process.returncode}: {said}")
        if state == "running" or "Traceback" in said:
            tally.faults.append(f"{victim.name} after {name}: {state}: {said}")
        if finished or tally.faults:
            return
        if dice.random() < 0.4:
            tally.damages += victim.damage()
    _finish(victim, victim.target, dice.randint(1, most), tally)


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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=4, help="of a job, at most")
    options = parser.parse_args(arguments)
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-", dir=results) as folder:
        tally = soak(options.kills, options.seed, Path(folder), options.ranks)
    print(f"{time.monotonic() - begun:.0f} s: {tally.text()}")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
