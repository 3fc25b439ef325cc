# SPDX-License-Identifier: MIT
"""The command line: verbs to functions. Parses and prints; see `parallel` for MPI."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from hpcapp import __version__
from hpcapp.errors import Exit, HpcappError
from hpcapp.studies.options import add_studies

__all__ = ["build_parser", "run_command_line"]


def launcher_rank() -> int:
    """Return this process's rank as its launcher says, without starting MPI."""
    for name in (
        "OMPI_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_RANK",
        "PMI_RANK",
        "SLURM_PROCID",
    ):
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return 0


class Parser(argparse.ArgumentParser):
    """A parser that speaks on one rank only."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit with `Exit.USAGE`."""
        left = message.removeprefix("unrecognized arguments: ")
        if left != message and not left.startswith("-"):
            # what a shell makes of a pattern or a list without quotes
            message += "; a value with blanks or * stands in quotes: --set 'KEY=VALUE'"
        if launcher_rank() == 0:
            print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(Exit.USAGE)

    def _print_message(self, message: str, file: Any = None) -> None:
        if launcher_rank() == 0:
            super()._print_message(message, file)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="hpcapp",
        description="Numerical work as a real MPI application: one YAML file, one "
        "command, any number of ranks.",
    )
    parser.add_argument("--version", action="version", version=f"hpcapp {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    _add_parallel(verbs)
    _add_serial(verbs)
    for study in add_studies(verbs):
        _add_settings(study)
    _add_submit(verbs)
    return parser


def _add_parallel(verbs: Any) -> None:
    run = verbs.add_parser("run", help="one run, under mpirun or srun")
    run.add_argument("config", metavar="CONFIG", help="YAML file")
    run.add_argument("-o", "--output", metavar="DIR", help="run directory")
    run.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="replace an older run in the directory",
    )
    run.add_argument(
        "--resume", action="store_true", help="go on from a checkpoint if there is one"
    )
    resume = verbs.add_parser(
        "resume", help="go on from the newest checkpoint, on any number of ranks"
    )
    resume.add_argument("directory", metavar="RUN_DIR")
    for verb in (run, resume):
        _add_settings(verb)
        verb.add_argument("-q", "--quiet", action="store_true", help="warnings only")
        verb.add_argument("-v", "--verbose", action="store_true", help="a line a rank")
        verb.add_argument("--json", action="store_true", help="one object on stdout")
        verb.add_argument(
            "--profile",
            choices=("cprofile", "line", "memory"),
            help="one file a rank in RUN_DIR/profiles, and a summary of all",
        )
    doctor = verbs.add_parser(
        "doctor", help="check MPI, launcher, cores and writers, under the real launcher"
    )
    doctor.add_argument(
        "directory", nargs="?", default=".", help="where to try writers"
    )
    doctor.add_argument("--json", action="store_true", help="one object on stdout")


def _add_serial(verbs: Any) -> None:
    plan = verbs.add_parser("plan", help="check a configuration and show what it needs")
    plan.add_argument("config", metavar="CONFIG")
    plan.add_argument("-n", "--ranks", type=int, default=0, help="default: the cores")
    plan.add_argument("--json", action="store_true", help="one object on stdout")
    plan.add_argument(
        "--network",
        nargs=3,
        type=float,
        metavar=("LATENCY", "BANDWIDTH", "RATE"),
        help="model times on 10^2 to 10^5 ranks: s, bytes/s, updates/s of a rank",
    )
    _add_settings(plan)
    verbs.add_parser("list", help="workloads and their parameters").add_argument(
        "workload", nargs="?"
    )
    init = verbs.add_parser("init", help="write a commented starter configuration")
    init.add_argument("workload", metavar="WORKLOAD", help="or a new .py file")
    init.add_argument(
        "--template", action="store_true", help="write a workload with gaps to fill"
    )
    init.add_argument(
        "--solution", action="store_true", help="write that workload with them filled"
    )
    init.add_argument("-o", "--output", metavar="FILE", help="default: WORKLOAD.yaml")
    compare = verbs.add_parser("compare", help="compare the data of two results")
    compare.add_argument("a", metavar="A", help="result file or run directory")
    compare.add_argument("b", metavar="B", help="result file or run directory")
    compare.add_argument(
        "--tolerance",
        type=float,
        help="largest relative difference; default: same bits",
    )
    verify = verbs.add_parser(
        "verify", help="run on several rank counts and compare every bit"
    )
    verify.add_argument("config", metavar="CONFIG", help="YAML file")
    verify.add_argument("--ranks", default="1,2,3,5", help="default: %(default)s")
    _add_settings(verify)
    status = verbs.add_parser("status", help="how a run stands, from anywhere")
    status.add_argument("directory", metavar="RUN_DIR")
    status.add_argument("--json", action="store_true", help="one object on stdout")
    plot = verbs.add_parser("plot", help="a picture of a result")
    plot.add_argument("result", metavar="RESULT", help="result file or run directory")
    plot.add_argument("-o", "--output", metavar="FILE", help="PNG, SVG or PDF")
    plot.add_argument(
        "--ranks", action="store_true", help="draw the blocks of the ranks"
    )
    report = verbs.add_parser("report", help="one page on a run: times, limits, checks")
    report.add_argument("directory", metavar="RUN_DIR")
    report.add_argument("-o", "--output", metavar="FILE", help="default: in RUN_DIR")
    report.add_argument(
        "--no-limits", action="store_true", help="do not measure this machine"
    )
    export = verbs.add_parser("export", help="variables of a result as plain files")
    export.add_argument("result", metavar="RESULT", help="result file or run directory")
    export.add_argument(
        "--format", choices=("csv", "dat", "npy"), required=True, help="of the files"
    )
    export.add_argument("-o", "--output", metavar="DIR", help="default: RUN_DIR/export")
    export.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME",
        help="only this variable; may be given several times",
    )


def _add_submit(verbs: Any) -> None:
    submit = verbs.add_parser("submit", help="a batch script for a cluster with Slurm")
    submit.add_argument("configs", nargs="*", metavar="CONFIG", help="YAML files")
    submit.add_argument("--site", required=True, metavar="NAME", help="or a .yaml file")
    for option, kind, words in (
        ("--nodes", int, "of each job; default: 1"),
        ("--account", str, "to be charged; default: SBATCH_ACCOUNT"),
        ("--time", str, "limit, such as 2h or 1-12:00:00; default: 1 h"),
        ("--queue", str, "an entry of the site's profile"),
        ("--partition", str, "as sbatch takes it"),
        ("--qos", str, "as sbatch takes it"),
        ("--reservation", str, "as sbatch takes it"),
        ("--ranks", int, "on each node; default: of the profile"),
        ("--threads", int, "of each rank; default: of the profile"),
        ("--mpi", str, "plugin of srun: pmix, pmi2, ..."),
        ("--environment", str, "folder of the Python environment; default: this one"),
    ):
        metavar = option.lstrip("-").upper()
        default = 1 if option == "--nodes" else None
        submit.add_argument(
            option, type=kind, metavar=metavar, default=default, help=words
        )
    submit.add_argument("--launcher", choices=("srun", "mpirun"))
    submit.add_argument("--gpu", action="store_true", help="one rank for each GPU")
    ways = submit.add_mutually_exclusive_group()
    ways.add_argument("--submit", action="store_true", help="print the number of a job")
    ways.add_argument(
        "--interactive", action="store_true", help="salloc, srun and a notebook instead"
    )
    ways.add_argument(
        "--check", action="store_true", help="compare the profile with this machine"
    )
    _add_settings(submit)


def _add_settings(verb: Any) -> None:
    verb.add_argument(
        "-s",
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key, such as parameters.tolerance=1e-8",
    )


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.

    Returns
    -------
    int
        The exit code.
    """
    options = build_parser().parse_args(arguments)
    if options.verb in ("run", "resume", "doctor"):
        from hpcapp.parallel import run_parallel

        return run_parallel(options, arguments)
    serial: dict[str, Callable[[Any], int]] = {
        "plan": _plan,
        "list": _list,
        "init": _init,
        "compare": _compare,
        "plot": _plot,
        "status": _status,
        "verify": _verify,
        "export": _export,
        "scale": _scale,
        "ladder": _ladder,
        "report": _report,
        "submit": lambda options: _submit(options, arguments),
    }
    if launcher_rank() != 0:
        return Exit.DONE
    try:
        return serial[options.verb](options)
    except HpcappError as error:
        print(f"hpcapp: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        # the reader of a pipe has gone, as with `hpcapp list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE


def _plan(options: Any) -> int:
    from hpcapp.device import cores
    from hpcapp.errors import ConfigError
    from hpcapp.planning import make_plan
    from hpcapp.problem import read_problem
    from hpcapp.workload import Network

    ranks = options.ranks or len(cores())
    if ranks < 1:
        raise ConfigError(f"-n: must be >= 1, got {ranks}")
    problem = read_problem(options.config, tuple(options.settings))
    problem.check()
    network = None
    if options.network:
        if not all(0 < value < float("inf") for value in options.network):
            got = " ".join(f"{value:g}" for value in options.network)
            raise ConfigError(f"--network: all three must be > 0 and finite, got {got}")
        network = Network(*options.network)
    plan = make_plan(problem, ranks, network)
    print(json.dumps(plan.as_dict()) if options.json else plan.text())
    return Exit.DONE


def _list(options: Any) -> int:
    from hpcapp.studies.catalogue import describe_workloads

    print(describe_workloads(options.workload))
    return Exit.DONE


def _init(options: Any) -> int:
    from hpcapp.studies.catalogue import write_starter
    from hpcapp.studies.exercise import write_exercise

    if options.template or options.solution:
        path = write_exercise(options.workload, options.solution)
        print(f"{path}: written; next: hpcapp verify {path} --ranks 1,2,4")
        return Exit.DONE
    path = write_starter(options.workload, options.output)
    print(f"{path}: written; next: hpcapp plan {path}")
    return Exit.DONE


def _compare(options: Any) -> int:
    from hpcapp.studies.compare import compare_results

    comparison = compare_results(options.a, options.b, options.tolerance)
    print(comparison.text)
    return Exit.DONE if comparison.equal else Exit.FAILED


def _plot(options: Any) -> int:
    from hpcapp.studies.plot import plot_result

    print(plot_result(options.result, options.output, options.ranks))
    return Exit.DONE


def _status(options: Any) -> int:
    from hpcapp.studies.standing import find_standing

    standing = find_standing(options.directory)
    print(json.dumps(standing.as_dict()) if options.json else standing.text())
    return Exit.DONE


def _verify(options: Any) -> int:
    from functools import partial

    from hpcapp.studies.verify import parse_ranks, verify

    say = partial(print, flush=True)
    ranks = parse_ranks(options.ranks)
    return verify(options.config, ranks, options.settings, os.environ, say)


def _export(options: Any) -> int:
    from hpcapp.studies.export import export_result

    print(
        export_result(options.result, options.format, options.output, options.variable)
    )
    return Exit.DONE


def _scale(options: Any) -> int:
    from functools import partial

    from hpcapp.studies.scaling.command import scale

    tell = partial(print, file=sys.stderr, flush=True)
    return scale(options, os.environ, print, tell)


def _ladder(options: Any) -> int:
    from functools import partial

    from hpcapp.studies.ladder.command import ladder

    tell = partial(print, file=sys.stderr, flush=True)
    return ladder(options, os.environ, print, tell)


def _report(options: Any) -> int:
    from hpcapp.studies.report import write_report

    limits = not options.no_limits
    print(write_report(options.directory, options.output, os.environ, limits))
    return Exit.DONE


def _submit(options: Any, arguments: Sequence[str]) -> int:
    from functools import partial

    from hpcapp.slurm.submit import submit

    warn = partial(print, file=sys.stderr)
    return submit(options, os.environ, print, warn, arguments)
