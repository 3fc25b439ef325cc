# SPDX-License-Identifier: MIT
"""Sweeps on a simulated GPU give the bits of those on the CPU, region by region."""

from dataclasses import replace

import numpy as np
import pytest

from hpcapp.device import Device
from hpcapp.gpu.device import CudaDevice
from hpcapp.workloads.laplace.engine import open_engine

STENCIL = np.array([0.2, 0.3, 0.01, 0.007])


@pytest.fixture(scope="module")
def engines(world, found_gpu):
    if not world.root:
        pytest.skip("runs on one rank")
    # tiles pay where each multiprocessor has one: few do for one
    gpu = CudaDevice(1, replace(found_gpu, multiprocessors=1))
    return open_engine(Device()), open_engine(gpu)


def fields(shape):
    rng = np.random.default_rng(7)
    return rng.standard_normal(shape), rng.standard_normal(shape)


# blocks of a tiled pass have 8 columns of their own here, and 128 rows
@pytest.mark.parametrize("shape, source", [((12, 21), True), ((136, 12), False)])
@pytest.mark.parametrize("shrink", [0, 1])
def test_tiled_sweeps_equal_single_ones(engines, shape, source, shrink):
    u, f = fields(shape)
    f = f if source else np.empty((0, 0))
    ny, nx = shape
    cuts = [shrink * level for level in range(4)]
    levels = [(1 + k, ny - 1 - k, 1 + k, nx - 1 - k) for k in cuts]
    found = []
    for engine in engines:
        pair = [engine.array(u.copy()), engine.array(u, again=True)]
        passes = engine.jacobi(*pair, engine.array(f), STENCIL, levels)
        found.append(engine.fetch(pair[passes % 2])[:, :nx])
    assert passes == 1
    inside = (slice(*levels[-1][:2]), slice(*levels[-1][2:]))
    assert found[0][inside].tobytes() == found[1][inside].tobytes()


@pytest.mark.parametrize("shape, source", [((12, 21), True), ((136, 12), False)])
@pytest.mark.parametrize("shrink", [0, 1])
# one pass, there and back, and one level alone; both colours first
@pytest.mark.parametrize("count, parity", [(4, 0), (8, 1), (13, 0)])
def test_tiled_colours_equal_single_ones(engines, shape, source, shrink, count, parity):
    ny, nx = shape[0] + 2 * count * shrink, shape[1] + 2 * count * shrink
    u, f = fields((ny, nx))
    f = f if source else np.empty((0, 0))
    cuts = [shrink * level for level in range(count)]
    levels = [(1 + k, ny - 1 - k, 1 + k, nx - 1 - k) for k in cuts]
    found = []
    for engine in engines:
        array, other = engine.array(u.copy()), engine.array(f)
        head = (array, other, STENCIL, 1.7, parity)
        assert engine.redblack(*head, levels) == count
        if not shrink:
            # again, from the values that are there now
            engine.redblack(*head, levels[:5])
        found.append(engine.fetch(array)[:, :nx])
    inside = (slice(*levels[-1][:2]), slice(*levels[-1][2:]))
    assert found[0][inside].tobytes() == found[1][inside].tobytes()
    assert not np.array_equal(found[0][inside], u[inside])


@pytest.mark.parametrize("columns", [(1, 20), (16, 17), (15, 19), (3, 3)])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_pieces_of_rows_and_columns_are_met_exactly(engines, columns, kind):
    u, f = (values.astype(kind) for values in fields((24, 21)))
    stencil, omega = STENCIL.astype(kind), kind(1.7)
    region, found = (2, 22, *columns), []
    for engine in engines:
        even, odd, source = (engine.array(array) for array in (u.copy(), u.copy(), f))
        engine.jacobi(even, odd, source, stencil, [region])
        engine.redblack(even, source, stencil, omega, 1, [region, region])
        residual = engine.residual(even, source, 0.0, 3.0, 4.0, region)
        arrays = [engine.fetch(array)[:, :21].tobytes() for array in (even, odd)]
        found.append((*arrays, residual.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_residual_shows_what_is_no_number(engines, value):
    u, f = fields((6, 9))
    u[4, 7] = value
    for engine in engines:
        arrays = engine.array(u), engine.array(f)
        bits = engine.residual(*arrays, 0.0, 1.0, 1.0, (1, 5, 1, 8))
        residual, largest = bits.view(np.float64)
        assert not np.isfinite(residual)
        assert np.isnan(largest) if np.isnan(value) else largest == np.inf
