# SPDX-License-Identifier: MIT
"""Random samples on a GPU. Each rung has random numbers of its own.

An answer is right within 5 standard errors, as theory knows them, in every repeat;
hpcapp's counts must besides be those of the CPU.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.benchmarks.gpu.rungs import COURSE, OURS, Place, Rung, Task
from tests.benchmarks.gpu.runs import run_steps
from tests.benchmarks.report import Statement

__all__ = ["check_counts", "integral", "pi", "walk"]

SIGMAS = 5

# of one sample: of pi, of sqrt(1 - x**2), of the mean square over the steps (which is
# 2 - 2 / steps: smaller)
PI_ERROR = math.sqrt(math.pi * (4 - math.pi))
INTEGRAL_ERROR = math.sqrt(2 / 3 - math.pi**2 / 16)
WALK_ERROR = math.sqrt(2)

INTEGRAND = "sqrt(1 - x**2)"


def pi(place: Place) -> Task:
    """Return pi from the samples in a quarter circle."""
    sizes = place.sizes
    many, few = sizes.samples, sizes.few_samples
    rungs = [
        _kernel_alone(place, many),
        _ours(place, "pi", many, "", math.pi, PI_ERROR),
        _course(place, "count_course", few, np.int64, 4.0, math.pi, PI_ERROR),
    ]
    for arrays in place.peers:

        def count(size: int, arrays: Any = arrays) -> float:
            x, y = arrays.uniform(size), arrays.uniform(size)
            return 4.0 * int((x * x + y * y <= 1.0).sum())

        rungs.append(_peer(place, arrays, few, count, math.pi, PI_ERROR))
    rungs.append(_ours(place, "pi", few, "", math.pi, PI_ERROR, on_cpu=True))
    return Task("pi", "G samples/s", rungs)


def integral(place: Place) -> Task:
    """Return the integral of sqrt(1 - x**2) from 0 to 1."""
    few, facts = place.sizes.few_samples, (math.pi / 4, INTEGRAL_ERROR)
    extra = f"integrand: '{INTEGRAND}', bounds: [0, 1]"
    rungs = [
        _ours(place, "integral", few, extra, *facts),
        _course(place, "integrate_course", few, np.float64, 1.0, *facts),
    ]
    for arrays in place.peers:

        def add(size: int, arrays: Any = arrays) -> float:
            x = arrays.uniform(size)
            return float(arrays.xp.sqrt(1.0 - x * x).sum())

        rungs.append(_peer(place, arrays, few, add, *facts))
    small = max(100, few // 100)
    rungs.append(_ours(place, "integral", small, extra, *facts, on_cpu=True))
    return Task("integral", "G samples/s", rungs)


def walk(place: Place) -> Task:
    """Return random walks; a step is a sample. hpcapp keeps all mean squares."""
    walkers, steps = place.sizes.walkers, place.sizes.steps
    extra, facts = f"steps: {steps}, paths: 1", (1.0, WALK_ERROR)
    rungs = [
        _ours(place, "walk", walkers, extra, *facts, each=steps),
        _course_walk(place),
    ]
    for arrays in place.peers:

        def go(size: int, arrays: Any = arrays) -> float:
            # a step up or down for each of `size` random numbers
            shape = (max(1, size // steps), steps)
            ends = 2 * (arrays.uniform(shape) < 0.5).sum(1) - steps
            return float((ends * ends).sum()) / steps * (size / shape[0])

        whole = steps * max(100, walkers // 100)
        rungs.append(_peer(place, arrays, whole, go, *facts, each=steps))
    small = max(20, walkers // 100)
    rungs.append(_ours(place, "walk", small, extra, *facts, each=steps, on_cpu=True))
    return Task("walk", "G steps/s", rungs)


def _near(
    name: str, found: float, right: float, error: float, samples: int
) -> Statement:
    off = abs(found - right) / (error / math.sqrt(samples))
    text = f"{name}: {found:.7f} is {off:.1f} standard errors off (<= {SIGMAS})"
    return Statement(text, off <= SIGMAS)


def _ours(
    place: Place,
    estimator: str,
    samples: int,
    extra: str,
    right: float,
    error: float,
    each: int = 1,
    on_cpu: bool = False,
) -> Rung:
    """Return the steps of a run."""
    name, found = f"{OURS}, CPU" if on_cpu else OURS, [0.0]
    comma = ", " if extra else ""
    text = f"{{estimator: {estimator}, samples: {samples}{comma}{extra}}}"
    device = place.cpu if on_cpu else place.device

    def run() -> None:
        state = run_steps(device, "montecarlo", text)
        found[0] = float(state["estimate"])

    def check() -> Statement:
        return _near(f"{estimator}, {name}", found[0], right, error, samples)

    size = f"{float(samples * each):.0e}"
    return Rung(name, size, samples * each, run, check, host=on_cpu)


def _kernel_alone(place: Place, samples: int) -> Rung:
    """Return the count in one launch."""
    from hpcapp.workloads.montecarlo.on_gpu import count_inside

    name, found = f"{OURS}, one launch", [0]

    def run() -> None:
        found[0] = count_inside(place.device, 0, samples, 0, 0)

    def check() -> Statement:
        estimate = 4 * found[0] / samples
        return _near(f"pi, {name}", estimate, math.pi, PI_ERROR, samples)

    return Rung(name, f"{float(samples):.0e}", samples, run, check)


def _states(place: Place, threads: int) -> Any:
    from numba.cuda.random import create_xoroshiro128p_states

    return create_xoroshiro128p_states(threads, seed=20261122)


def _course(
    place: Place,
    kernel: str,
    samples: int,
    kind: Any,
    factor: float,
    right: float,
    error: float,
) -> Rung:
    """Return a generator for each thread, and a sum on the host."""
    from tests.benchmarks.gpu import course_cuda_kernels

    device, function = place.device, getattr(course_cuda_kernels, kernel)
    grid = device.cover(samples)
    threads = grid[0] * grid[1]
    rounds = max(1, samples // threads)
    states, out = _states(place, threads), device.empty(threads, kind)
    name, found, done = f"{COURSE}, xoroshiro128p", [0.0], rounds * threads

    def run() -> None:
        device.start(function, grid, out, states, rounds)
        found[0] = factor * float(device.from_device(out).sum()) / done

    def check() -> Statement:
        return _near(f"{kernel}, {name}", found[0], right, error, done)

    return Rung(name, f"{float(done):.0e}", done, run, check)


def _course_walk(place: Place) -> Rung:
    from tests.benchmarks.gpu.course_cuda_kernels import walk_course

    device, steps = place.device, place.sizes.steps
    threads = 4 if device.simulated else 256
    # as many walkers as there are states: each takes a while to make
    walkers = min(place.sizes.walkers, 1 << 20) // threads * threads
    grid = walkers // threads, threads
    states, out = _states(place, walkers), device.empty(walkers, np.int64)
    name, found = f"{COURSE}, xoroshiro128p", [0.0]

    def run() -> None:
        device.start(walk_course, grid, out, states, steps)
        found[0] = float(device.from_device(out).mean()) / steps

    def check() -> Statement:
        return _near(f"walk, {name}", found[0], 1.0, WALK_ERROR, walkers)

    work = walkers * steps
    return Rung(name, f"{float(work):.0e}", work, run, check)


def _peer(
    place: Place,
    arrays: Any,
    samples: int,
    add: Callable[[int], float],
    right: float,
    error: float,
    each: int = 1,
) -> Rung:
    """Return sums over arrays of random numbers."""
    piece = max(each, min(samples, place.sizes.array) // each * each)
    count = max(1, samples // piece)
    name, found, done = f"{arrays.name}, arrays", [0.0], piece * count

    def run() -> None:
        found[0] = sum(add(piece) for _ in range(count)) / done

    def check() -> Statement:
        return _near(f"samples, {name}", found[0], right, error, done // each)

    return Rung(name, f"{float(done):.0e}", done, run, check, optional=True)


def check_counts(place: Place) -> Iterator[Statement]:
    """Compare counts of the same samples on the GPU and on the CPU."""
    from hpcapp.workloads.montecarlo import on_gpu
    from hpcapp.workloads.montecarlo.kernels import (
        advance_walkers_cpu,
        count_inside_cpu,
    )

    few = min(10**7, place.sizes.samples)
    facts = (3, few, 12345, 678)
    same = on_gpu.count_inside(place.device, *facts) == count_inside_cpu(*facts)
    yield Statement(f"pi: {few} samples: the count of the CPU", bool(same))
    walkers, steps = min(10**4, place.sizes.walkers), place.sizes.steps
    tables = np.zeros((2, 2, steps + 1), np.int64)
    numbers = (0, walkers, 12345, 678)
    on_gpu.advance_walkers(place.device, *tables[0], *numbers)
    advance_walkers_cpu(*tables[1], *numbers)
    text = f"walk: {walkers} walkers: the squares and ends of the CPU"
    yield Statement(text, bool((tables[0] == tables[1]).all()))
