# SPDX-License-Identifier: MIT
"""The same run on several rank counts, compared bit by bit, and with theory."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hpcapp.errors import ConfigError, Exit
from hpcapp.log import duration
from hpcapp.problem import read_problem
from hpcapp.studies.compare import compare_results
from hpcapp.studies.launching import launch, make_folder
from hpcapp.studies.validation import validate

__all__ = ["parse_ranks", "verify"]


def parse_ranks(text: str) -> tuple[int, ...]:
    """Read a list of rank counts.

    Parameters
    ----------
    text : str
        Such as ``1,2,3,5``.

    Returns
    -------
    tuple of int
        In the same order; the first is what the others are compared with.

    Raises
    ------
    ConfigError
        If it is not that, or has fewer than two different ones.
    """
    parts = [part.strip() for part in text.split(",")]
    good = all(part.isdecimal() and int(part) > 0 for part in parts)
    found = tuple(dict.fromkeys(int(part) for part in parts)) if good else ()
    if len(found) < 2:
        raise ConfigError(
            f"--ranks: must be two or more different numbers > 0, such as 1,2,3,5, got "
            f"{text}"
        )
    return found


def verify(
    config: str,
    ranks: Sequence[int],
    settings: Sequence[str],
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> Exit:
    """Run a configuration on several rank counts and compare the results.

    Parameters
    ----------
    config : str
        The YAML file.
    ranks : sequence of int
        How many; the others are compared with the first.
    settings : sequence of str
        ``KEY=VALUE``.
    environ : mapping
        The process environment.
    say : callable
        Told each outcome in a line or a few.

    Returns
    -------
    Exit
        `DONE` if all are equal in every bit and the first passes the checks of its
        workload, `FAILED` if not; or the code of a run that did not finish.

    Raises
    ------
    ConfigError
        If the configuration is at fault.
    HpcappError
        If nothing can be written beside the run directory of the configuration.
    LaunchError
        If there is no launcher.
    """
    problem = read_problem(config, tuple(settings), environ)
    problem.check()
    for count in ranks:
        problem.layout(count)
    # a batch job has several nodes: where its results go they all can write
    folder = make_folder(problem.config.output.directory, "verify")
    code = Exit.FAILED
    try:
        code = _Runs(config, settings, environ, folder, say).compare(ranks)
    finally:
        if code == Exit.DONE:
            shutil.rmtree(folder)
        else:
            say(f"the results are in {folder}")
    if code == Exit.DONE:
        say(f"verified: the same bits on {', '.join(map(str, ranks))} ranks")
    return code


@dataclass(frozen=True)
class _Runs:
    """Runs of one configuration into folders beside one another."""

    config: str
    settings: Sequence[str]
    environ: Mapping[str, str]
    folder: str
    say: Callable[[str], None]

    def compare(self, ranks: Sequence[int]) -> Exit:
        """Run on each number of ranks, and compare with the first."""
        first, code = "", Exit.DONE
        for count in ranks:
            target = os.path.join(self.folder, f"{count}-ranks")
            begun = time.monotonic()
            done = self._run(count, target)
            spent = duration(time.monotonic() - begun)
            head = f"{count:>4} rank{'s' if count > 1 else ' '} {spent:>8}"
            if done.returncode:
                self.say(f"{head}  did not finish, exit code {done.returncode}")
                self.say(done.stderr.strip())
                known = done.returncode in tuple(Exit)
                return Exit(done.returncode) if known else Exit.FAILED
            if not first:
                self.say(f"{head}  {done.stdout.splitlines()[0]}")
                first = target
                continue
            found = compare_results(first, target, None)
            self.say(f"{head}  {found.text}")
            code = code if found.equal else Exit.FAILED
        return code if self.grade(first) else Exit.FAILED

    def grade(self, result: str) -> bool:
        """Let the workload check the first result; say what came of it."""
        verdict = validate(result)
        # that a run ended before its goal is known, and nothing wrong with its ranks
        wrong = [c for c in verdict.checks if not c.passed and c.name != "converged"]
        for check in wrong:
            self.say(f"wrong on any number of ranks: {check.name}: {check.text}")
        if verdict.declared and not wrong:
            self.say(f"checks: {sum(c.passed for c in verdict.checks)} passed")
        return not wrong

    def _run(self, count: int, target: str) -> subprocess.CompletedProcess[str]:
        options = [part for setting in self.settings for part in ("--set", setting)]
        arguments = ["run", self.config, "-q", "-o", target, *options]
        return launch(count, arguments, self.environ)
