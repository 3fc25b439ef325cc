# SPDX-License-Identifier: MIT
"""Laws of the workload mandelbrot: counts as defined, whatever finds them."""

import json
import math

import numpy as np
import pytest

from hpcapp.device import Device
from hpcapp.problem import parse_problem
from hpcapp.workloads.mandelbrot.painting import Painter, step_count
from hpcapp.workloads.mandelbrot.parameters import Parameters
from hpcapp.workloads.mandelbrot.picture import Chunk, Plane, predict_costs
from hpcapp.workloads.mandelbrot.schedules import (
    band_rows,
    cut_bands,
    share_block,
    share_cost,
    share_cyclic,
)


def plain(p):
    """Return the counts by the definition, in plain Python doubles."""
    (ny, nx), (width, height), (re, im) = p.shape, p.extent, p.center
    s = max(width / nx, height / ny)
    counts = np.empty(p.shape, np.int32)
    for j in range(ny):
        for i in range(nx):
            x, y = re + (i - nx // 2) * s, im + (j - ny // 2) * s
            cr, ci = p.julia or (x, y)
            zr, zi = (x, y) if p.julia else (0.0, 0.0)
            n = 0
            while n < p.max_iterations:
                zr2, zi2 = zr * zr, zi * zi
                if zr2 + zi2 > 4.0:
                    break
                zi = 2 * zr * zi + ci
                zr = zr2 - zi2 + cr
                n += 1
            counts[j, i] = n
    return counts


def computed(p, limit=None):
    plane, rows = Plane(p), np.arange(p.shape[0])
    return Chunk.compute(rows, plane, limit or p.max_iterations, Device())


def picture(p):
    chunk = computed(p)
    return chunk.counts[np.argsort(chunk.rows)]


VIEWS = {
    "whole": {"center": (-0.75, 0.0), "extent": (3.2, 2.4), "max_iterations": 150},
    "far": {"center": (30.0, -4e8), "extent": (1e9, 1e9), "max_iterations": 50},
    "huge": {"center": (0.0, 0.0), "extent": (1e99, 1e99), "max_iterations": 9},
    "tip": {"center": (-2.0, 0.0), "extent": (1e-14, 1e-14), "max_iterations": 400},
    "cusp": {"center": (0.25, 0.0), "extent": (1e-3, 1e-3), "max_iterations": 900},
    "neck": {"center": (-0.75, 0.0), "extent": (1e-2, 1e-2), "max_iterations": 700},
    "disc": {"center": (-1.25, 0.0), "extent": (1e-6, 1e-6), "max_iterations": 900},
    "seahorse": {
        "center": (-1.1195, 0.2718),
        "extent": (5e-3, 5e-3),
        "max_iterations": 1024,
    },
    "spiral": {
        "center": (-0.743643887037151, 0.131825904205330),
        "extent": (2e-11, 2e-11),
        "max_iterations": 2000,
    },
    "bulb": {
        "center": (-0.125, 0.744),
        "extent": (0.2, 0.2),
        "max_iterations": 700,
    },
    "period three": {
        "center": (-1.7548776662466927, 0.0),
        "extent": (0.03, 0.03),
        "max_iterations": 1500,
    },
    "dust": {"julia": (-0.8, 0.156), "center": (0.0, 0.0), "max_iterations": 300},
    "rabbit": {"julia": (-0.123, 0.745), "center": (0.1, 0.0), "max_iterations": 400},
    "outside": {"julia": (3.0, 0.0), "center": (0.0, 0.0), "max_iterations": 20},
}


@pytest.mark.parametrize("interior", [True, False])
@pytest.mark.parametrize("view", VIEWS)
def test_counts_are_those_of_the_plain_loop(view, interior):
    p = Parameters(shape=(21, 45), interior=interior, **VIEWS[view])
    assert np.array_equal(picture(p), plain(p))


@pytest.mark.parametrize("interior", [True, False])
@pytest.mark.parametrize("julia", [None, (-0.7, 0.0), (-0.7, 0.2)])
@pytest.mark.parametrize("ny", [1, 2, 7, 8])
def test_mirrored_rows_have_the_counts_of_the_plain_loop(ny, julia, interior):
    p = Parameters(
        shape=(ny, 40),
        center=(-0.6, 0.0),
        extent=(2.6, 2.0),
        julia=julia,
        max_iterations=70,
        interior=interior,
    )
    assert np.array_equal(picture(p), plain(p))
    # only rows at hand have images
    some = np.array([row for row in (6, 1, 2, 5, 0) if row < ny])
    chunk = Chunk.compute(some, Plane(p), 70, Device())
    assert sorted(chunk.rows) == sorted(some)
    assert np.array_equal(chunk.counts, plain(p)[chunk.rows])


def test_orbits_of_mirrored_rows_go_on_from_their_own_places():
    p = Parameters(
        shape=(24, 31),
        center=(-0.6, 0.0),
        extent=(2.6, 2.0),
        max_iterations=200,
        interior=False,
    )
    plane = Plane(p)
    chunk = computed(p, 20)
    alone = [Chunk.compute(np.array([row]), plane, 20, Device()) for row in range(24)]
    assert chunk.places.size == sum(one.places.size for one in alone) > 100
    for k, row in enumerate(chunk.rows):
        mine = chunk.places // 31 == k
        order = np.argsort(chunk.places[mine])
        one = np.argsort(alone[row].places)
        assert np.array_equal(chunk.places[mine][order] % 31, alone[row].places[one])
        assert np.array_equal(chunk.z[mine][order], alone[row].z[one])


@pytest.mark.parametrize("julia", [None, (-0.4, 0.6)])
@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 10, 16, 17, 24, 25, 26, 41])
def test_counts_are_right_at_every_limit_of_the_bursts(most, julia):
    p = Parameters(shape=(13, 70), julia=julia, max_iterations=most)
    assert np.array_equal(picture(p), plain(p))


@pytest.mark.parametrize("interior", [True, False])
@pytest.mark.parametrize("cuts", [(3, 50), (9, 10, 300), (33, 49, 301), (200, 1000)])
def test_orbits_that_go_on_give_the_counts_of_one_run(cuts, interior):
    p = Parameters(shape=(30, 61), max_iterations=cuts[-1], interior=interior)
    chunk = computed(p, cuts[0])
    reached = cuts[0]
    for limit in cuts[1:]:
        chunk.follow(Plane(p), reached, limit, Device())
        reached = limit
    whole = computed(p)
    assert np.array_equal(chunk.counts, whole.counts)
    if not interior:
        # every pixel that did not escape goes on, from the z of one run
        order, one = np.argsort(chunk.places), np.argsort(whole.places)
        assert np.array_equal(chunk.places[order], whole.places[one])
        assert np.array_equal(chunk.z[order], whole.z[one])
        assert chunk.places.size == (chunk.counts == cuts[-1]).sum()


def test_queue_that_is_filled_many_times_loses_no_pixel():
    p = Parameters(
        shape=(150, 200), center=(-0.1, 0.9), extent=(1.0, 1.0), max_iterations=90
    )
    wide = Parameters(**{**p.model_dump(), "interior": False})
    assert np.array_equal(picture(p), picture(wide))
    # the plain loop at a few rows
    found = picture(p)
    few = plain(p.model_copy(update={"shape": (150, 200)}))[::37]
    assert np.array_equal(found[::37], few)


def test_area_is_that_of_the_set():
    # 1.506484 +- 4e-6 (T. Foerstemann, 2012, by counting pixels). No row lies on the
    # real axis, whose pixels from -2 to -1.4 belong to the set but have no area.
    p = Parameters(
        shape=(900, 1200),
        center=(-0.7507, 0.0011),
        extent=(3.2, 2.4),
        max_iterations=20000,
    )
    inside = int((picture(p) == 20000).sum())
    assert inside * Plane(p).spacing ** 2 == pytest.approx(1.506484, abs=1e-3)


def test_discs_that_are_recognised_lie_inside_the_set():
    from hpcapp.workloads.mandelbrot.lane_kernels import BULBS

    edge = np.exp(2j * np.pi * np.arange(720) / 720)
    for (re, im, square), period in zip(BULBS, (3, 4, 4), strict=True):
        c = complex(re, im) + math.sqrt(square) * edge
        z = np.zeros_like(c)
        for _ in range(30_000):
            z = z * z + c
        start, multiplier = z, np.ones_like(c)
        for _ in range(period):
            multiplier, z = multiplier * 2 * z, z * z + c
        assert np.abs(z - start).max() < 1e-9
        assert np.abs(multiplier).max() < 0.998


def test_axes_have_the_centre_at_the_pixel_of_the_definition():
    plane = Plane(Parameters(shape=(5, 8), center=(1.5, -2.0), extent=(4.0, 1.0)))
    assert plane.spacing == 0.5
    assert plane.axis(1)[4] == 1.5 and plane.axis(1)[0] == -0.5
    assert plane.axis(0).tolist() == [-3.0, -2.5, -2.0, -1.5, -1.0]


# --- who computes what


@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 300])
@pytest.mark.parametrize("rows", [1, 7, 257, 1000])
def test_every_schedule_gives_each_row_to_one_rank(rows, ranks):
    every = np.arange(rows)
    bands = cut_bands(every, 4)
    costs = np.cos(np.arange(len(bands))) + 1
    for share in (
        lambda rank: share_block(every, ranks, rank),
        lambda rank: share_cyclic(bands, ranks, rank),
        lambda rank: share_cost(bands, costs, ranks, rank),
    ):
        got = [row for rank in range(ranks) for band in share(rank) for row in band]
        assert sorted(got) == list(range(rows))


def test_costs_are_shared_out_evenly():
    bands = cut_bands(np.arange(400), 1)
    costs = 1.0 / np.arange(1, 401)
    shares = [share_cost(bands, costs, 8, rank) for rank in range(8)]
    loads = [sum(costs[band[0]] for band in share) for share in shares]
    # the first band alone is more than an eighth of the harmonic sum
    assert max(loads) == 1.0
    assert np.ptp(loads[1:]) < 0.01
    for share in shares:
        own = [costs[band[0]] for band in share]
        assert own == sorted(own, reverse=True)


@pytest.mark.parametrize("view", ["whole", "seahorse", "period three"])
def test_predicted_costs_balance_the_iterations_that_are_done(view):
    p = Parameters(
        shape=(512, 640), interior=False, **{**VIEWS[view], "max_iterations": 2000}
    )
    bands = cut_bands(np.arange(512), band_rows(p.shape))
    costs = predict_costs(bands, Plane(p), 8, Device())
    # nothing is recognised as interior: the counts are what is done
    done = picture(p).sum(axis=1)
    shares = [share_cost(bands, costs, 8, rank) for rank in range(8)]
    loads = np.array([sum(done[band].sum() for band in share) for share in shares])
    assert loads.max() / loads.mean() < 1.05
    blocks = [share_block(np.arange(512), 8, rank)[0] for rank in range(8)]
    by_block = np.array([done[rows].sum() for rows in blocks])
    assert loads.max() < by_block.max()


@pytest.mark.parametrize("ny", [1, 2, 256, 1023, 1024])
def test_mirrored_rows_are_in_one_band(ny):
    painter = Painter(Plane(Parameters(shape=(ny, 1024))), Device())
    painter.todo = np.setdiff1d(painter.todo, [3, ny // 2 + 7])
    bands = painter.bands()
    assert sorted(np.concatenate(bands)) == painter.todo.tolist()
    for row in painter.todo:
        (band,) = (band for band in bands if row in band)
        opposite = 2 * (ny // 2) - row
        assert opposite in band or opposite not in painter.todo
        assert band.size <= band_rows((ny, 1024)) + 1


def test_bands_do_not_depend_on_the_ranks_and_are_small():
    assert band_rows((1024, 1024)) == 4
    assert band_rows((10, 10**6)) == 1
    assert band_rows((10**5, 100)) == 327
    assert step_count((3, 5)) == 3
    assert step_count((4096, 4096)) == 21


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_compute_each_band_once(threads):
    p = Parameters(shape=(40, 30), max_iterations=60)
    device = Device(threads)
    chunks = Painter(Plane(p), device).compute(cut_bands(np.arange(40), 3), 60)
    device.close()
    found = np.full(p.shape, -1, np.int32)
    for chunk in chunks:
        assert (found[chunk.rows] == -1).all()
        found[chunk.rows] = chunk.counts
    assert np.array_equal(found, plain(p))


# --- configuration and runs


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("shape", "[0, 5]", "must be >= 1"),
        ("extent", "[0, 1]", "must be > 0"),
        ("max_iterations", "0", "must be >= 1"),
        ("max_iterations", "2147483648", "must be <= 2147483647"),
        ("schedule", "static", "must be"),
        ("julia", "[1]", "julia"),
        ("center", "[.nan, 0]", "finite"),
    ],
)
def test_values_out_of_range_are_refused(key, value, rule):
    text = f"workload: mandelbrot\nparameters: {{{key}: {value}}}\n"
    with pytest.raises(Exception, match=rule) as caught:
        parse_problem(text, "m.yaml")
    assert f"m.yaml:2: parameters.{key}" in str(caught.value)


@pytest.mark.medium
@pytest.mark.parametrize("config", ["mandelbrot", "mandelbrot-dynamic"])
def test_finished_run_with_more_iterations_has_the_bits_of_one_run(
    mpirun, tmp_path, config
):
    path = f"configs/small/{config}.yaml"
    target = str(tmp_path / "grown")
    short = ["--set", "parameters.max_iterations=37", "--json"]
    assert mpirun(3, "run", path, "-o", target, *short).returncode == 0
    more = ["--set", "parameters.max_iterations=900", "--json"]
    grown = mpirun(2, "resume", target, *more)
    straight = mpirun(1, "run", path, "-o", str(tmp_path / "straight"), *more)
    found = [json.loads(done.stdout) for done in (grown, straight)]
    assert found[0]["result"] == found[1]["result"]
    assert found[0]["checksum"] == found[1]["checksum"]
    assert not math.isnan(found[0]["result"]["area"])


def test_fewer_iterations_are_refused(mpirun, tmp_path):
    target = str(tmp_path / "r")
    run = mpirun(2, "run", "configs/small/julia.yaml", "-o", target, "-q")
    assert run.returncode == 0
    done = mpirun(2, "resume", target, "--set", "parameters.max_iterations=5")
    assert done.returncode == 2
    assert "max_iterations: must not become smaller" in done.stderr
