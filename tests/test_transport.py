# SPDX-License-Identifier: MIT
"""Laws of how messages between GPUs travel: what is tried, decided, kept and told."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from hpcapp.errors import ConfigError, Exit
from hpcapp.gpu import transport
from hpcapp.gpu.choice import Choice
from hpcapp.gpu.hardware import SIMULATED, Gpu
from hpcapp.gpu.transport import (
    Transport,
    alone,
    choose_transport,
    find_transport,
    refuse_transport,
    trial_fault,
)

pytest.importorskip("mpi4py", reason="mpi4py is not installed")

H200 = Gpu("NVIDIA H200", "GPU-1", 140 * 2**30, (9, 0), 132, "13.0")
ON_GPUS = Choice(cuda=True)
# whose ranks exchange nothing
PIXELS = Gpu("NVIDIA H200", "GPU-2", 140 * 2**30)


class Ranks:
    """Two ranks with the same values, of one node."""

    rank, root, size = 0, True, 2

    def node(self):
        return self

    def free(self):
        pass

    def broadcast(self, value):
        return value

    def all(self, value):
        return [value] * self.size


class One(Ranks):
    """One rank."""

    size = 1


def find(monkeypatch, wanted, outcome=("", ""), comm=None, choice=ON_GPUS, gpu=H200):
    """Decide, where a trial and an exchange between ranks have these outcomes."""
    asked = []

    def trial(environ, found):
        asked.append(found)
        return outcome[0]

    monkeypatch.setattr(transport, "trial_fault", trial)
    monkeypatch.setattr("hpcapp.mpi.trial.try_messages", lambda *_: outcome[1])
    comm = comm or Ranks()
    gpus = [gpu] * comm.size if choice.cuda else ()
    head = (comm, {}, wanted, choice, gpus, ("a", "b"))
    return find_transport(*head, exchanges=gpu is not PIXELS), asked


def test_gpu_memory_is_used_where_a_trial_has_shown_that_it_works(monkeypatch):
    found, asked = find(monkeypatch, "auto")
    assert found == Transport(True, "auto: MPI takes GPU memory here")
    assert found.text == "gpu (auto: MPI takes GPU memory here)"
    assert asked == [H200]
    assert find(monkeypatch, "gpu") == (Transport(True), [H200])


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (("no", ""), "rank 0 on a: no"),
        # the library takes GPU memory, but between these ranks values are lost
        (("", "1 of 3 wrong"), "rank 0 on a: 1 of 3 wrong"),
    ],
)
def test_what_does_not_work_is_not_used(monkeypatch, outcome, told):
    found, _ = find(monkeypatch, "auto", outcome)
    assert found == Transport(note=f"auto: {told}")
    assert found.text == f"host (auto: {told})"
    with pytest.raises(ConfigError) as caught:
        find(monkeypatch, "gpu", outcome)
    assert str(caught.value) == (
        f"run.transport: gpu asked for, but {told}; or use transport: host, or auto to "
        "allow it"
    )
    assert caught.value.code == Exit.USAGE


def test_nothing_is_tried_where_nothing_travels_from_gpus(monkeypatch):
    assert find(monkeypatch, "host") == (Transport(), [])
    on_cpu = Choice(note="no driver")
    assert find(monkeypatch, "auto", choice=on_cpu) == (Transport(), [])
    for wanted in ("auto", "gpu"):
        found, asked = find(monkeypatch, wanted, comm=One())
        assert (found.text, asked) == (f"host ({wanted}: one rank sends nothing)", [])
    found, asked = find(monkeypatch, "auto", gpu=PIXELS)
    assert (found.text, asked) == ("host (auto: ranks exchange no arrays)", [])


def test_simulator_has_no_gpu_memory(monkeypatch):
    fake, told = Gpu("simulator", SIMULATED), "the arrays of Numba's simulator are not"
    found, asked = find(monkeypatch, "auto", gpu=fake)
    assert found.text == f"host (auto: rank 0 on a: {told} in GPU memory)"
    assert asked == []
    with pytest.raises(ConfigError, match=f"gpu asked for, but rank 0 on a: {told}"):
        find(monkeypatch, "gpu", gpu=fake)


def test_one_decision_for_all_ranks():
    assert choose_transport("auto", ("", ""), ("a", "b")).gpu
    found = choose_transport("auto", ("", "no"), ("a", "b"))
    assert found == Transport(note="auto: rank 1 on b: no")


def test_gpu_memory_is_refused_where_kernels_run_on_the_cpu(monkeypatch):
    for wanted, device in (("auto", "cpu"), ("host", "cpu"), ("gpu", "cuda")):
        refuse_transport(wanted, device)
    with pytest.raises(ConfigError) as caught:
        refuse_transport("gpu", "cpu")
    assert str(caught.value) == (
        "run.transport: gpu asked for, but the kernels run on the CPU; use device: "
        "cuda, or transport: auto"
    )
    with pytest.raises(ConfigError, match=r"run on the CPU \(no driver\); use device"):
        find(monkeypatch, "gpu", choice=Choice(note="no driver"))


def test_a_configuration_that_contradicts_itself_is_refused(hpcapp, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("workload: laplace\nrun:\n  transport: gpu\n")
    done = hpcapp("run", config, "-o", tmp_path / "r")
    assert done.returncode == Exit.USAGE
    told = "run.transport: gpu asked for, but the kernels run on the CPU"
    assert f"{config}:3: {told}" in done.stderr
    assert not (tmp_path / "r").exists()


# --- the process that tries


def child(text):
    return (sys.executable, "-c", text)


def ending(fault):
    return child(f"print('banner'); print({json.dumps({'fault': fault})!r})")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (ending(""), ""),
        (ending("3 of 7 wrong"), "MPI does not take GPU memory: 3 of 7 wrong"),
        (
            child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
            " ended by SIGSEGV",
        ),
    ],
)
def test_what_a_trial_has_found_is_kept(tmp_path, command, told):
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    found = trial_fault(environ, H200, command)
    assert found.endswith(told)
    assert bool(found) == bool(told)
    # the second time nothing is started
    assert trial_fault(environ, H200, ("/no/such/program",)) == found
    # another driver, another setting of the library: another trial
    other = Gpu("NVIDIA H200", "GPU-1", 140 * 2**30, (9, 0), 132, "13.1")
    assert "cannot be started" in trial_fault(environ, other, ("/no/such/program",))
    tuned = {**environ, "MPICH_GPU_SUPPORT_ENABLED": "1"}
    assert "cannot be started" in trial_fault(tuned, H200, ("/no/such/program",))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (child("import time; time.sleep(600)"), " took longer than 2 s"),
        (("/no/such/program",), " cannot be started: No such file or directory"),
        (
            child("import sys; print('x\\nno MPI here', file=sys.stderr); sys.exit(3)"),
            " failed with exit code 3: no MPI here",
        ),
        (child("raise SystemExit(4)"), " failed with exit code 4: without a word"),
        (child("print('hello')"), " did not tell what it found"),
        (child("pass"), " did not tell what it found"),
    ],
)
def test_a_trial_that_shows_nothing_is_made_again(tmp_path, command, told):
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    begin = "MPI was not given GPU memory: the process that tries it"
    assert trial_fault(environ, H200, command, seconds=2) == begin + told
    assert trial_fault(environ, H200, ending("")) == ""


def test_a_kept_outcome_that_cannot_be_read_is_found_again(tmp_path):
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    assert trial_fault(environ, H200, ending("")) == ""
    (kept,) = tmp_path.iterdir()
    for text in ("", "[]", '{"other": 1}'):
        kept.write_text(text)
        assert trial_fault(environ, H200, ending("bad")).endswith(": bad")


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path):
    (tmp_path / "file").touch()
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file")}
    assert trial_fault(environ, H200, ending("")) == ""


def test_a_child_is_told_nothing_of_the_launch_and_all_settings(root):
    launched = {
        "PMI_RANK": "3",
        "PMIX_NAMESPACE": "a",
        "SLURM_PROCID": "1",
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_MCA_ess_base_jobid": "7",
        "MPI_LOCALRANKID": "1",
    }
    kept = {
        "OMPI_MCA_opal_cuda_support": "true",
        "PMIX_MCA_gds": "hash",
        "MPICH_GPU_SUPPORT_ENABLED": "1",
        "CUDA_VISIBLE_DEVICES": "2",
        "PATH": "/bin",
    }
    found = alone({**launched, **kept, "PYTHONPATH": "/site"})
    assert found == {**kept, "PYTHONPATH": f"{root}{os.pathsep}/site"}
    assert alone({})["PYTHONPATH"] == str(root)


@pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None,
    reason="numba-cuda is not installed (hpcapp[cuda])",
)
def test_the_process_itself_tells_why_it_cannot_try(root):
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(root)}
    limit = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    after = child(f"from hpcapp.gpu.trial import main; main(); {limit}")
    told = "no GPU is visible: CUDA_VISIBLE_DEVICES is empty"
    for command in (transport.TRIAL, after):
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[0]) == {"fault": told}
    # it leaves no core file where it dies
    assert done.stdout.splitlines()[1:] == ["0"]


@pytest.mark.gpu
@pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None,
    reason="numba-cuda is not installed (hpcapp[cuda])",
)
def test_on_a_gpu_a_trial_comes_to_an_end(tmp_path):
    from hpcapp.gpu.choice import find_gpu

    gpu = find_gpu()
    if gpu.fault:
        pytest.skip(gpu.fault)
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = trial_fault(environ, gpu)
    # either way: what counts is that this process lives, and that it is known for sure
    assert found == "" or found.startswith("MPI does not take GPU memory: ")
