# SPDX-License-Identifier: MIT
"""Messages from GPU memory carry what those through buffers of the host do."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcapp import session
from hpcapp.gpu.device import CudaDevice
from hpcapp.gpu.hardware import SIMULATED, Gpu
from hpcapp.gpu.packing import OnGpu
from hpcapp.gpu.transport import Transport
from hpcapp.mpi.halo import Halo

CONFIGS = sorted(Path(__file__).parent.glob("laplace-*.yaml"))
GPU = Gpu("simulator", SIMULATED)
SHAPE = (9, 8)


@pytest.fixture(autouse=True)
def addresses(monkeypatch):
    """Let simulated arrays tell their address, as those of a GPU do."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    def interface(self):
        return {
            "shape": self._ary.shape,
            "typestr": self._ary.dtype.str,
            "data": (self._ary.ctypes.data, False),
            "strides": None,
            "version": 3,
        }

    name = "__cuda_array_interface__"
    monkeypatch.setattr(FakeCUDAArray, name, property(interface), raising=False)


class Counted(CudaDevice):
    """A GPU that counts its pinned buffers."""

    buffers = 0

    def pinned(self, shape, dtype):
        self.buffers += 1
        return super().pinned(shape, dtype)


def packing(direct):
    device = Counted(1, GPU, direct=direct)
    return device, OnGpu(device, device.stream())


@pytest.mark.parametrize("depth", [1, 2])
def test_halos_are_the_same_and_need_no_buffers_of_the_host(world, depth):
    if world.size > 1:
        pytest.skip("a rank is its own neighbour")
    rng = np.random.default_rng(3)
    values, found, buffers = rng.standard_normal(SHAPE), [], []
    for direct in (False, True):
        device, way = packing(direct)
        array = device.to_device(values)
        halo = Halo(world, array, ((0, 0), (0, 0)), 2, depth, way)
        for _ in range(2):
            halo.exchange()
        halo.close()
        found.append(device.from_device(array))
        buffers.append(device.buffers)
    # a torus, by NumPy
    inside, around = values[2:-2, 2:-2], ((depth, depth),) * 2
    expected = np.pad(inside, around, mode="wrap")
    cut = slice(2 - depth, depth - 2 or None)
    if depth == 1:
        # corners are not exchanged
        for row in (0, -1):
            for column in (0, -1):
                expected[row, column] = values[cut, cut][row, column]
    for result in found:
        assert result[cut, cut].tobytes() == expected.tobytes()
    assert buffers == [8, 0]


class Told(CudaDevice):
    """A GPU that tells what is queued where."""

    def __init__(self, direct):
        super().__init__(1, GPU, direct=direct)
        self.words, self.main = [], super().stream()

    def say(self, word, stream):
        place = "main" if stream is self.main else "aside"
        self.words.append(f"{word} {place}")

    def start(self, kernel, grid, *arguments, stream=0, shared=0):
        self.say("kernel", stream)
        super().start(kernel, grid, *arguments, stream=stream, shared=shared)

    def put(self, into, values, stream=0):
        self.say("in", stream)
        super().put(into, values, stream)

    def copy_out(self, found, out, stream):
        self.say("out", stream)
        super().copy_out(found, out, stream)

    def wait(self, stream):
        self.say("wait", stream)
        super().wait(stream)

    def order(self, first, then):
        self.say("order", first)
        super().order(first, then)


@pytest.mark.parametrize("direct", [False, True])
def test_messages_travel_while_the_interior_is_computed(world, direct):
    if world.size > 1:
        pytest.skip("a rank is its own neighbour")
    device = Told(direct)
    array = device.to_device(np.zeros(SHAPE))
    way = OnGpu(device, device.main)
    halo = Halo(world, array, ((0, 0), (None, None)), 1, 1, way)
    halo.start()
    # the interior is queued here, in the other queue: nobody has waited for anything
    begun, device.words = device.words, []
    halo.finish()
    halo.close()
    out, back = ([], []) if direct else (["out aside"], ["in aside"])
    assert begun == ["order main", *2 * ["kernel aside", *out]]
    # only copies are waited for, never the queue of the interior
    assert device.words == [
        "wait aside",
        *2 * [*back, "kernel aside"],
        "order aside",
    ]


def test_pieces_on_the_host_and_on_the_gpu_meet(world):
    after, before = (world.rank + 1) % world.size, (world.rank - 1) % world.size
    for direct in (False, True):
        device, way = packing(direct)
        far = device.to_device(np.full((3, 4), float(world.rank)))
        near = np.zeros((3, 4))
        moves = world.moves([(after, far)], [(before, near)], way)
        moves.run()
        moves.close()
        assert (near == before).all()
        back = world.moves([(before, near)], [(after, far)], way)
        back.run()
        back.close()
        assert (device.from_device(far) == world.rank).all()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_runs_have_the_same_bits(world, folder, harness, monkeypatch, config):
    if world.size == 1:
        pytest.skip("one rank sends nothing")
    cpu, gpu = (folder / f"{config.stem}-{name}" for name in ("host", "direct"))
    harness.run(world, config, cpu, ("run.device=cpu", "run.threads=1"))
    found = Transport(True, "a test")
    monkeypatch.setattr(session, "find_transport", lambda *_: found)
    harness.run(world, config, gpu, ("run.device=cuda", "run.threads=1"))
    if world.root:
        assert harness.load(gpu) == harness.load(cpu)
        with h5py.File(gpu / "result.nc") as file:
            assert file.attrs["hpcapp_transport"].decode() == "gpu (a test)"
