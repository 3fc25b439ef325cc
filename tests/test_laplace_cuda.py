# SPDX-License-Identifier: MIT
"""Laws of Laplace's equation on a GPU that need neither a GPU nor the simulator."""

import pytest

from hpcapp.config import Run
from hpcapp.workloads.laplace import Laplace


def test_methods_without_cuda_kernels_say_so():
    def reason(method):
        parameters = Laplace.Parameters(method=method)
        return Laplace(parameters, Run()).without_gpu()

    assert {reason(method) for method in ("jacobi", "sor", "multigrid")} == {""}
    assert reason("cg") == "method cg has kernels for the CPU only"


@pytest.mark.parametrize("method", ["cg"])
def test_a_run_that_wants_a_gpu_for_another_method_is_refused(hpcapp, tmp_path, method):
    config = tmp_path / "c.yaml"
    config.write_text(
        f"workload: laplace\nparameters: {{method: {method}}}\n"
        f"run: {{device: cuda}}\noutput: {{directory: {tmp_path}/r}}\n"
    )
    done = hpcapp("run", config)
    assert done.returncode == 2
    assert (
        f"{config}:3: run.device: cuda asked for, but method {method} has kernels for "
        "the CPU only; or use device: cpu, or auto to allow the CPU" in done.stderr
    )
    assert not (tmp_path / "r").exists()
