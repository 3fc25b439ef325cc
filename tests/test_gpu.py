# SPDX-License-Identifier: MIT
"""Laws of choosing GPUs, and of what is said where there is none."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from hpcapp.errors import ConfigError, Exit
from hpcapp.gpu import choice
from hpcapp.gpu.choice import (
    Choice,
    choose,
    claim_gpu,
    find_gpu,
    local_rank,
    open_device,
    simulated,
)
from hpcapp.gpu.device import CudaDevice, GpuError
from hpcapp.gpu.hardware import SIMULATED, Gpu, capability_fault, driver_fault
from hpcapp.gpu.packing import GpuSlot, OnGpu

H200 = Gpu("NVIDIA H200", "GPU-1", 140 * 2**30, (9, 0), 132, "13.0")
needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None,
    reason="numba-cuda is not installed (hpcapp[cuda])",
)


@pytest.mark.parametrize(
    ("environ", "rank"),
    [
        ({}, 0),
        ({"OMPI_COMM_WORLD_LOCAL_RANK": "3"}, 3),
        ({"MPI_LOCALRANKID": "2", "PMI_RANK": "6"}, 2),
        ({"SLURM_LOCALID": "1", "SLURM_PROCID": "9"}, 1),
        # mpirun inside of a batch script, whose own number is 0
        ({"MPI_LOCALRANKID": "5", "SLURM_LOCALID": "0"}, 5),
        ({"SLURM_LOCALID": "x"}, 0),
    ],
)
def test_number_on_the_node_is_what_the_launcher_says(environ, rank):
    assert local_rank(environ) == rank


@pytest.mark.parametrize(
    ("visible", "rank", "claimed"),
    [
        ("0,1,2,3", 2, "2"),
        ("0,1,2,3", 5, "1"),
        ("GPU-a, GPU-b", 1, "GPU-b"),
        ("3", 1, "3"),
        ("", 1, ""),
        (None, 1, "1"),
        # the third that CUDA finds, whatever number the node gives it
        (None, 2, "2"),
    ],
)
def test_ranks_of_a_node_take_its_gpus_in_turn(tmp_path, visible, rank, claimed):
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    environ = {"SLURM_LOCALID": str(rank)}
    if visible is not None:
        environ["CUDA_VISIBLE_DEVICES"] = visible
    assert claim_gpu(environ, tmp_path) == claimed
    assert environ.get("CUDA_VISIBLE_DEVICES", "") == claimed


def test_without_gpus_or_with_one_nothing_is_set(tmp_path):
    environ = {}
    assert claim_gpu(environ, tmp_path) == ""
    (tmp_path / "nvidia0").touch()
    assert claim_gpu(environ, tmp_path) == ""
    assert environ == {}


def test_all_ranks_have_a_gpu_or_all_use_the_cpu():
    hosts = ("a", "b")
    assert choose("cpu", "no kernels", (), hosts) == Choice()
    assert choose("cuda", "", (H200, H200), hosts) == Choice(cuda=True)
    assert choose("auto", "", (H200, H200), hosts) == Choice(cuda=True)
    broken = Gpu(fault="no driver")
    told = choose("auto", "", (H200, broken), hosts)
    assert told == Choice(note="rank 1 on b: no driver")
    assert choose("auto", "no kernels", (), hosts) == Choice(note="no kernels")


@pytest.mark.parametrize(
    ("reason", "gpus", "told"),
    [
        ("no kernels", (), "no kernels"),
        ("", (H200, Gpu(fault="no driver")), "rank 1 on b: no driver"),
    ],
)
def test_cuda_that_cannot_be_had_is_an_error(reason, gpus, told):
    with pytest.raises(ConfigError) as caught:
        choose("cuda", reason, gpus, ("a", "b"))
    assert str(caught.value) == (
        f"run.device: cuda asked for, but {told}; or use device: cpu, or auto to allow "
        "the CPU"
    )


def test_device_says_why_it_was_chosen_and_who_shares_it():
    assert open_device(1, Choice()).note == "cpu"
    fallen = open_device(1, Choice(note="no driver"))
    assert (fallen.name, fallen.note) == ("cpu", "cpu (auto: no driver)")
    other = Gpu("NVIDIA H200", "GPU-2", 140 * 2**30)
    found = open_device(2, Choice(cuda=True), (H200, other, H200), 2)
    assert found.note == "cuda (NVIDIA H200, 140 GiB, shared by 2 ranks)"
    assert (found.name, found.threads, found.simulated) == ("cuda", 2, False)
    alone = open_device(1, Choice(cuda=True), (H200, other, H200), 1)
    assert alone.note == "cuda (NVIDIA H200, 140 GiB)"
    found.close()


def test_grid_covers_the_points_and_fills_the_gpu_no_more():
    found = CudaDevice(1, H200)
    assert found.cover(0) == (1, 256)
    assert found.cover(257) == (2, 256)
    assert found.cover(10**9) == (8 * 132, 256)
    assert found.cover(10**9, 128) == (8 * 132, 128)
    few = CudaDevice(1, Gpu("simulator", SIMULATED))
    assert few.cover(10**9) == (2, 4)
    assert few.cover(10**9, 1) == (2, 1)


def test_simulator_is_asked_for_by_the_variable_of_numba():
    assert simulated({"NUMBA_ENABLE_CUDASIM": "1"})
    assert not simulated({"NUMBA_ENABLE_CUDASIM": "0"})
    assert not simulated({})


def test_missing_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    assert find_gpu({}).fault == (
        'numba-cuda is not installed here; install it: pip install "hpcapp[cuda]"'
    )


@needs_numba_cuda
@pytest.mark.parametrize("visible", ["", "-1"])
def test_no_visible_gpu_is_named(visible):
    fault = find_gpu({"CUDA_VISIBLE_DEVICES": visible}).fault
    assert fault == "no GPU is visible: CUDA_VISIBLE_DEVICES is empty"


@needs_numba_cuda
def test_missing_driver_is_named():
    from numba import cuda

    if cuda.is_available():
        pytest.skip("here is a GPU")
    fault = find_gpu({}).fault
    assert fault.startswith("no GPU can be used: ")
    assert fault.endswith("; see nvidia-smi")
    assert "driver" in fault


@needs_numba_cuda
def test_driver_that_is_too_old_for_the_installed_cuda_is_named():
    assert driver_fault((13, 0)) == ""
    assert driver_fault((12, 4)) == (
        "the driver knows CUDA up to 12.4, and CUDA 13 is installed; update the "
        'driver, or pip install "numba-cuda[cu12]"'
    )


def test_gpu_that_is_too_old_is_named():
    assert capability_fault(H200) == ""
    old = Gpu("Tesla P100", "GPU-3", 2**34, (6, 0))
    assert capability_fault(old) == (
        "Tesla P100 has compute capability 6.0, and 7.0 is needed"
    )


@needs_numba_cuda
def test_errors_of_the_driver_say_what_was_asked_for_and_what_to_do(monkeypatch):
    from numba.cuda.cudadrv.driver import CudaAPIError

    class Full(CudaDevice):
        """A GPU with no memory left."""

        free_memory = 3 * 2**20

    found = Full(1, H200, 2)
    with pytest.raises(GpuError) as caught, found._told(2**30):
        raise CudaAPIError(2, "Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    assert str(caught.value) == (
        "run.device: NVIDIA H200 shared by 2 ranks: out of memory: 1024.0 MiB asked "
        "for, 3.0 of 143360.0 MiB free; use more GPUs, fewer ranks on each, a smaller "
        "problem, or device: cpu"
    )
    assert caught.value.code == Exit.FAILED
    with pytest.raises(GpuError) as caught, found._told(0):
        raise CudaAPIError(700, "CUDA_ERROR_ILLEGAL_ADDRESS")
    check_loss(caught)


def check_loss(caught):
    """Check what is said of a kernel that has failed."""
    assert "NVIDIA H200: a kernel or a copy failed: " in str(caught.value)
    assert "CUDA_ERROR_ILLEGAL_ADDRESS; if it fails again, device: cpu does" in str(
        caught.value
    )


@needs_numba_cuda
def test_errors_of_launches_are_told_too():
    utils = pytest.importorskip("cuda.core._utils.cuda_utils")
    found = CudaDevice(1, H200)
    with pytest.raises(GpuError) as caught, found._told(0):
        raise utils.CUDAError("CUDA_ERROR_ILLEGAL_ADDRESS")
    check_loss(caught)
    with pytest.raises(KeyError), found._told(0):
        raise KeyError("a defect of ours")


class Lost:
    """An array on a GPU that has failed."""

    shape, ndim = (2, 3), 2

    def fail(self, *arguments, **options):
        from numba.cuda.cudadrv.driver import CudaAPIError

        raise CudaAPIError(700, "CUDA_ERROR_ILLEGAL_ADDRESS")

    copy_to_host = copy_to_device = fail


class Quiet(CudaDevice):
    """A GPU whose kernels do nothing."""

    def stream(self, urgent=False):
        return 0

    def start(self, kernel, grid, *arguments, stream=0, shared=0):
        pass


@needs_numba_cuda
@pytest.mark.parametrize("way", ["in", "out", "from", "pack", "unpack"])
def test_copies_that_fail_are_errors_of_the_gpu(way):
    found, host, lost = Quiet(1, H200), np.zeros((2, 3)), Lost()
    packing = OnGpu(found, 0)
    slots = [GpuSlot(lost, host, host.nbytes, lost)]
    with pytest.raises(GpuError) as caught:
        if way == "in":
            found.put(lost, host)
        elif way == "out":
            found.copy_out(lost, host, 0)
        elif way == "from":
            found.from_device(lost, host)
        elif way == "pack":
            packing.pack(slots)
        else:
            packing.unpack(slots)
    told = str(caught.value)
    assert told.startswith("run.device: NVIDIA H200: a kernel or a copy failed: ")
    assert "CUDA_ERROR_ILLEGAL_ADDRESS; if it fails again" in told


class Queue:
    """A stream of the driver."""


class Driver:
    """Makes streams."""

    def __init__(self):
        self.made, self.ended = [], []

    def cuCtxGetStreamPriorityRange(self):  # noqa: N802
        # of an H200: the least and the greatest priority
        return 0, -5

    def cuStreamCreateWithPriority(self, flags, priority):  # noqa: N802
        self.made.append((flags, priority))
        return 77

    def cuStreamDestroy(self, handle):  # noqa: N802
        self.ended.append(handle)


@needs_numba_cuda
def test_queue_of_messages_goes_first_and_is_given_back(monkeypatch):
    from numba import cuda
    from numba.cuda.cudadrv import driver as library

    driver, handles = Driver(), []
    monkeypatch.setattr(library, "driver", driver)
    monkeypatch.setattr(cuda, "current_context", lambda: None)
    monkeypatch.setattr(cuda, "stream", lambda: "usual")

    def external_stream(handle):
        handles.append(handle)
        return Queue()

    monkeypatch.setattr(cuda, "external_stream", external_stream)
    found = CudaDevice(1, H200)
    assert (found.stream(), driver.made) == ("usual", [])
    queue = found.stream(urgent=True)
    # it still waits for the usual queue: flag 0
    assert (driver.made, handles, driver.ended) == ([(0, -5)], [77], [])
    del queue
    assert driver.ended == [77]


@needs_numba_cuda
def test_queue_that_cannot_be_made_is_an_error_of_the_gpu(monkeypatch):
    from numba import cuda
    from numba.cuda.cudadrv.driver import CudaAPIError

    def refuse():
        raise CudaAPIError(46, "CUDA_ERROR_DEVICE_UNAVAILABLE")

    monkeypatch.setattr(cuda, "stream", refuse)
    with pytest.raises(GpuError, match=r"failed: .*CUDA_ERROR_DEVICE_UNAVAILABLE; if"):
        CudaDevice(1, H200).stream()


def test_arrays_are_copied_by_the_device_alone(root):
    """Its errors are told, those of the array's own methods would be tracebacks."""
    inside = root / "hpcapp" / "gpu" / "device.py"
    for path in sorted((root / "hpcapp").rglob("*.py")):
        text = path.read_text("utf-8")
        assert path == inside or ".copy_to_" not in text, path


SCRIPT = """
import numpy as np
from numba import cuda
from hpcapp.gpu.choice import Choice, find_gpu, open_device
from hpcapp.gpu.kernels import add, kernel, mul, sub

@kernel
def scale(x, factor):
    for k in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[k] = sub(add(mul(x[k], factor), 1.0), 0.5)

device = open_device(1, Choice(cuda=True), (find_gpu(),))
beats = []
device.beat = lambda: beats.append(1)
x = device.to_device(np.arange(11.0))
device.start(scale, device.cover(11), x, 2.0)
device.synchronise()
out = device.pinned(11, np.float64)
assert device.from_device(x, out) is out
y = device.empty((2, 3), np.int32)
assert y.shape == (2, 3) and y.dtype == np.int32
device.start(scale, device.cover(11), x, 0.0, stream=device.stream())
again = device.from_device(x)
queue = device.stream()
device.put(x, out, queue)
device.copy_out(x, out, queue)
device.wait(queue)
device.put(x, again)
assert len(beats) == 8 and device.free_memory > 0
print(out.tolist(), again.tolist(), device.note)
"""


@needs_numba_cuda
@pytest.mark.parametrize(
    "place", ["simulator", pytest.param("hardware", marks=pytest.mark.gpu)]
)
def test_arrays_go_to_the_device_and_come_back(root, tmp_path, place):
    simulator = "1" if place == "simulator" else "0"
    if place == "hardware" and find_gpu().fault:
        pytest.skip(find_gpu().fault)
    # compiled kernels are kept beside the file that they stand in
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=root,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": simulator, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    once, again = [2.0 * k + 0.5 for k in range(11)], [0.5] * 11
    assert done.stdout.startswith(f"{once} {again} cuda (")
    if place == "simulator":
        assert done.stdout.endswith("cuda (simulator)\n")


def test_a_run_on_the_cpu_never_imports_the_cuda_target(root, tmp_path):
    script = (
        "import sys\n"
        "from hpcapp.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    names = [m for m in sys.modules if m.startswith('numba.cuda')]\n"
        "    print('loaded', names)\n"
    )
    config = "configs/small/montecarlo-pi.yaml"
    done = subprocess.run(
        [sys.executable, "-c", script, "run", config, "-o", str(tmp_path / "r")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "loaded []" in done.stdout, done.stdout + done.stderr
