# SPDX-License-Identifier: MIT
"""Plans against numbers worked out by hand; memory limits from files as in /proc."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace

import pytest

from hpcapp.errors import ConfigError, Exit, PlanError
from hpcapp.planning import (
    BASELINE,
    check_memory,
    estimate_save,
    make_plan,
    memory_limit,
    show_bytes,
)
from hpcapp.problem import parse_problem
from hpcapp.workload import Workload
from hpcapp.workloads.laplace import Laplace


def plan_of(ranks, *settings):
    problem = parse_problem("workload: laplace\n", "c.yaml", settings, {})
    return make_plan(problem, ranks)


@pytest.mark.parametrize(
    ("shape", "wall_time", "streams", "seconds"),
    [
        # u alone is large: 8 bytes a point at 100 MB/s and node
        ("[10000, 10000]", "2 h", 1, 8.0),
        ("[10000, 10000]", "2 h", 4, 2.0),
        ("[10000, 10000]", "null", 1, 8.0),
        # no more than a quarter of the wall time
        ("[1000000, 1000000]", "2 h", 1, 1800.0),
        ("[3, 3]", "2 h", 1, 0.0),
    ],
)
def test_first_checkpoint_is_expected_to_be_slow(shape, wall_time, streams, seconds):
    settings = (f"parameters.shape={shape}", f"run.wall_time={wall_time}")
    settings += ("parameters.tolerance=0", "parameters.max_iterations=5")
    problem = parse_problem("workload: laplace\n", "c.yaml", settings, {})
    assert estimate_save(problem, streams) == pytest.approx(seconds, abs=1e-4)


def test_plan_of_four_ranks_on_a_rectangle():
    plan = plan_of(4, "parameters.shape=[100, 60]", "parameters.halo_depth=2")
    # 2 x 2 cuts 60 + 100 points, 4 x 1 cuts 180
    assert (plan.grid, plan.used, plan.smallest, plan.largest) == (
        (2, 2),
        4,
        (50, 30),
        (50, 30),
    )
    # one strip of 2 x 30, then one of 2 x (50 + 2) with its corner
    assert (plan.halo_depth, plan.halo_messages) == (2, 2)
    assert plan.halo_bytes == 8 * (2 * 30 + 2 * 52)
    # one array with a margin of 2 on every side
    assert plan.array_bytes == (8 * 54 * 34,) * 4
    assert plan.rank_bytes == 8 * 54 * 34 + BASELINE
    assert plan.total_bytes == 4 * (8 * 54 * 34 + BASELINE)
    # u, y, x; at least one residual and iteration; the bound
    assert plan.output_bytes == 8 * (6000 + 100 + 60 + 1 + 1 + 1)


def test_plan_tells_why_a_gpu_is_not_used():
    assert plan_of(1).device == "cpu"
    assert plan_of(1, "run.device=cuda").device == "cuda"
    own = os.path.join(os.path.dirname(__file__), "own", "quadrature.py")
    for wanted, used in (("auto", "cpu"), ("cuda", "none")):
        settings = (f"run.device={wanted}",)
        problem = parse_problem(f"workload: {own}\n", "c.yaml", settings, {})
        assert make_plan(problem, 1).device == (
            f"{used} ({wanted}: this workload has kernels for the CPU only)"
        )


def test_plan_of_arrays_and_messages_on_gpus():
    shape = ("parameters.shape=[100, 60]", "parameters.halo_depth=2")
    assert plan_of(4, *shape).gpu_bytes == ()
    gpu = plan_of(4, *shape, "parameters.method=jacobi", "run.device=cuda")
    # two arrays of 50 + 4 rows, whose 30 + 4 columns are rounded up to lines of 16;
    # strips of 2 x 30 and, with corners, 2 x 52 leave and arrive for each; two norms
    messages = 2 * 2 * 8 * (2 * 30 + 2 * 52)
    assert gpu.gpu_bytes == (2 * 8 * 54 * 48 + messages + 16,) * 4
    assert gpu.pinned_bytes == (messages,) * 4
    assert (
        "GPU memory    46.7 kB of arrays in the largest rank, 187 kB in all; ranks "
        "that share a GPU add up; 5.25 kB of buffers on the host"
    ) in gpu.text()
    one = plan_of(1, *shape, "run.device=auto")
    # alone it has a margin of 1; an array and one for passes of several colours
    assert one.gpu_bytes == (2 * 8 * 102 * 64 + 16,)
    assert "GPU memory    104 kB of arrays in the largest rank\n" in one.text()
    idle = plan_of(12, "parameters.shape=[3, 3]", "run.device=cuda")
    assert idle.gpu_bytes[9:] == (16, 16, 16)


def test_a_workload_that_does_not_tell_its_gpu_memory_is_not_judged(monkeypatch):
    # of memory it speaks for the host alone
    monkeypatch.setattr(Laplace, "gpu_memory", Workload.gpu_memory)
    plan = plan_of(2, "run.device=cuda")
    assert (plan.gpu_bytes, plan.pinned_bytes) == ((0, 0), (0, 0))
    assert "GPU memory" not in plan.text()


def test_rank_in_the_middle_sends_most():
    plan = plan_of(9, "parameters.shape=[90, 90]", "parameters.halo_depth=2")
    assert (plan.grid, plan.halo_messages) == ((3, 3), 4)
    assert plan.halo_bytes == 8 * (2 * 2 * 30 + 2 * 2 * 34)


def test_halo_of_depth_one_has_no_corners():
    plan = plan_of(9, "parameters.shape=[90, 90]", "parameters.halo_depth=1")
    assert plan.halo_bytes == 8 * 4 * 30


def test_one_rank_exchanges_nothing():
    plan = plan_of(1)
    assert (plan.halo_depth, plan.halo_messages, plan.halo_bytes) == (0, 0, 0)
    assert "halo          none" in plan.text()


def test_jacobi_and_a_source_field_each_take_one_more_array():
    one = plan_of(2, "parameters.shape=[64, 64]").array_bytes
    two = plan_of(
        2, "parameters.shape=[64, 64]", "parameters.method=jacobi"
    ).array_bytes
    field = plan_of(2, "parameters.shape=[64, 64]", "parameters.source=x*y").array_bytes
    constant = plan_of(2, "parameters.shape=[64, 64]", "parameters.source=2*3")
    assert two == field == tuple(2 * size for size in one)
    assert constant.array_bytes == one


def test_ranks_without_a_block_own_nothing_and_it_is_said():
    plan = plan_of(12, "parameters.shape=[3, 3]")
    assert (plan.used, plan.grid) == (9, (3, 3))
    assert plan.array_bytes[9:] == (0, 0, 0)
    assert "3 x 3, 3 ranks own nothing" in plan.text()


def test_uneven_blocks_are_shown_from_smallest_to_largest():
    plan = plan_of(2, "parameters.shape=[7, 3]")
    assert (plan.smallest, plan.largest) == ((3, 3), (4, 3))
    assert "3 x 3 to 4 x 3" in plan.text()


def test_largest_problem_has_its_true_size():
    plan = plan_of(2, "parameters.shape=[1e9, 1e9]", "run.memory=off")
    assert plan.output_bytes == 8 * (10**18 + 2 * 10**9 + 3)
    assert sum(plan.array_bytes) > 8 * 10**18


def test_plan_as_json_holds_every_field():
    plan = plan_of(3)
    assert json.loads(json.dumps(plan.as_dict()))["ranks"] == 3
    assert json.loads(json.dumps(plan.as_dict()))["grid"] == list(plan.grid)


def test_plan_refuses_a_grid_that_does_not_fit():
    with pytest.raises(ConfigError, match=r"run.process_grid: must not need more than"):
        plan_of(3, "run.process_grid=[2, 2]")


@pytest.mark.parametrize(
    ("config", "ranks", "grid"),
    [
        ("workload: laplace", 16, "4 x 4"),
        ("workload: laplace", 4096, "64 x 64"),
        # one axis: the longest process grid that there is
        ("workload: tests.own.quadrature\nparameters: {points: 1e8}", 4096, "4096"),
    ],
)
def test_plan_takes_under_a_second_and_neither_mpi_nor_numba(
    root, tmp_path, config, ranks, grid
):
    path = tmp_path / "c.yaml"
    path.write_text(config)
    arguments = ["plan", str(path), "-n", str(ranks)]
    script = (
        "import sys\n"
        "from hpcapp.cli import run_command_line\n"
        f"code = run_command_line({arguments})\n"
        "heavy = {'mpi4py', 'numba', 'h5py', 'netCDF4', 'matplotlib', 'xarray'}\n"
        "sys.exit(code or len(heavy & set(sys.modules)))\n"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"process grid  {grid}\n" in done.stdout
        # of the processor, not of the wall: others use this machine too
        seconds.append(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        )
    assert min(seconds) < 1


# --- memory


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


MEMINFO = {
    "proc/meminfo": "MemTotal: 2000000 kB\nMemAvailable:    1000000 kB\nX: 1 kB\n"
}
AVAILABLE = 1_024_000_000
STAT = "anon 5\ninactive_file 100\nactive_file 20\ntotal_inactive_file 3000\n"


def test_limit_is_the_memory_that_the_kernel_has_left(tmp_path):
    assert memory_limit({}, tree(tmp_path, MEMINFO)) == AVAILABLE


def test_unknown_limit_is_the_bound(tmp_path):
    assert memory_limit({}, str(tmp_path), bound=77) == 77


def test_this_machine_has_a_limit():
    assert 10_000_000 < memory_limit({}) < 1 << 62


def test_least_group_above_limits_in_cgroup_version_2(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "0::/slice/job_1/step_0\n",
        "sys/fs/cgroup/slice/job_1/step_0/memory.max": "max\n",
        "sys/fs/cgroup/slice/job_1/step_0/memory.current": "10\n",
        "sys/fs/cgroup/slice/job_1/memory.max": "5000\n",
        "sys/fs/cgroup/slice/job_1/memory.current": "1500\n",
        "sys/fs/cgroup/slice/memory.max": "9000\n",
        "sys/fs/cgroup/slice/memory.current": "2000\n",
    }
    assert memory_limit({}, tree(tmp_path, files)) == 5000 - 1500


def test_cached_files_do_not_count_as_used(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "0::/job\n",
        "sys/fs/cgroup/job/memory.max": "5000\n",
        "sys/fs/cgroup/job/memory.current": "4900\n",
        "sys/fs/cgroup/job/memory.stat": STAT,
    }
    assert memory_limit({}, tree(tmp_path, files)) == 5000 - (4900 - 120)


def test_cgroup_version_1_names_its_memory_controller(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "7:cpu:/a\n6:pids,memory:/slurm/job_5\n1:name=systemd:/\n",
        "sys/fs/cgroup/memory/slurm/job_5/memory.limit_in_bytes": "8000\n",
        "sys/fs/cgroup/memory/slurm/job_5/memory.usage_in_bytes": "5000\n",
        "sys/fs/cgroup/memory/slurm/job_5/memory.stat": STAT,
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
    }
    assert memory_limit({}, tree(tmp_path, files)) == 8000 - (5000 - 3000)


def test_group_seen_from_inside_a_container_is_the_root_of_the_tree(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "0::/docker/0123\n",
        "sys/fs/cgroup/memory.max": "600\n",
        "sys/fs/cgroup/memory.current": "100\n",
    }
    assert memory_limit({}, tree(tmp_path, files)) == 500


def test_overdrawn_group_leaves_nothing(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "0::/job\n",
        "sys/fs/cgroup/job/memory.max": "100\n",
        "sys/fs/cgroup/job/memory.current": "101\n",
    }
    assert memory_limit({}, tree(tmp_path, files)) == 0


@pytest.mark.parametrize(
    ("value", "limit"),
    [("100", 100 << 20), ("0", AVAILABLE), ("", AVAILABLE), ("unlimited", AVAILABLE)],
)
def test_slurm_s_megabytes_of_a_node_limit(tmp_path, value, limit):
    environ = {"SLURM_MEM_PER_NODE": value}
    assert memory_limit(environ, tree(tmp_path, MEMINFO)) == limit


def problem_and_plan(memory, ranks=4):
    settings = (f"run.memory={memory}", "parameters.shape=[64, 64]")
    problem = parse_problem("workload: laplace\n", "c.yaml", settings, {})
    return problem, make_plan(problem, ranks)


def need_of(plan, ranks):
    return sum(plan.array_bytes[rank] + BASELINE for rank in ranks)


def test_run_that_fits_exactly_is_let_through():
    problem, plan = problem_and_plan("check")
    limits = {"a": need_of(plan, [0, 1]), "b": need_of(plan, [2, 3])}
    assert check_memory(problem, plan, ["a", "a", "b", "b"], limits) == ""


def test_run_that_does_not_fit_on_one_node_is_refused_with_the_numbers():
    problem, plan = problem_and_plan("check")
    limits = {"a": 1 << 40, "b": need_of(plan, [1, 3]) - 1}
    with pytest.raises(PlanError) as caught:
        check_memory(problem, plan, ["a", "b", "a", "b"], limits)
    assert str(caught.value) == (
        "--set: run.memory: does not fit into memory: the 2 ranks on b need 440 MB, "
        "440 MB may be used; use more nodes, a smaller problem, or run.memory: warn if "
        "the limit is misread"
    )
    assert caught.value.code == Exit.USAGE == 2


def test_refusal_of_too_little_memory_can_be_made_a_warning_or_nothing():
    problem, plan = problem_and_plan("warn", 1)
    message = check_memory(problem, plan, ["a"], {"a": 1000})
    rule = "run.memory: does not fit into memory: the 1 ranks on a need"
    assert message.startswith(f"--set: {rule}")
    problem, plan = problem_and_plan("off", 1)
    assert check_memory(problem, plan, ["a"], {"a": 1000}) == ""


def test_largest_rank_is_what_the_plan_shows():
    _, plan = problem_and_plan("check")
    assert f"{show_bytes(plan.rank_bytes)} with libraries" in plan.text()
    more = replace(plan, array_bytes=(1, 2, 3, 4), ranks=4)
    assert more.total_bytes == 10 + 4 * BASELINE


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (1000, "1 kB"),
        (8_400_000, "8.4 MB"),
        (999_600, "1 MB"),
        (1.5e9, "1.5 GB"),
        (8e18, "8e+06 TB"),
    ],
)
def test_bytes_are_shown_in_decimal_units(number, text):
    assert show_bytes(number) == text
