# SPDX-License-Identifier: MIT
"""Laws of scaling studies; runs are made up but for one."""

import csv
import json
import os
import stat
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

from hpcapp.clock import PHASES
from hpcapp.device import cores
from hpcapp.errors import (
    ConfigError,
    Exit,
    HpcappError,
    LaunchError,
    ResultError,
)
from hpcapp.problem import parse_problem
from hpcapp.studies.scaling import jobs
from hpcapp.studies.scaling import study as module
from hpcapp.studies.scaling.command import FILES, scale, set_aside
from hpcapp.studies.scaling.figures import Spread, derive, serial_fraction, spread_of
from hpcapp.studies.scaling.keeping import load_study, save_study
from hpcapp.studies.scaling.points import (
    Point,
    Sample,
    choose_points,
    parse_counts,
    read_sample,
)
from hpcapp.studies.scaling.tables import show_seconds
from hpcapp.studies.scaling.validity import Machine, crowding, disturbances, faults
from hpcapp.studies.scaling.watching import (
    Watch,
    calibrate,
    cpu_model,
    glance,
    quota,
    siblings,
    watch,
)

QUIET = Watch(1.0)
NODE = Machine("n1", 4, float("inf"), {}, 1.0)


def sample(seconds, work=1.0, checksum="aa", seen=QUIET):
    phases = dict.fromkeys(PHASES, 0.1)
    return Sample(seconds, phases, 2.0, work, checksum, seen)


# --- points


def test_counts_are_read_each_once_in_order():
    assert parse_counts("4, 1,4,2", "--ranks") == (4, 1, 2)


@pytest.mark.parametrize("text", ["", "0", "1,,2", "1;2", "-1", "a"])
def test_other_counts_are_refused(text):
    with pytest.raises(ConfigError) as caught:
        parse_counts(text, "--threads")
    assert str(caught.value) == (
        f"--threads: must be numbers > 0, such as 1,2,4, got {text}"
    )


def test_points_are_all_combinations_series_by_series():
    problem = parse_problem("workload: series", "text")
    points = choose_points(problem, (1, 2), (1, 3), ("cpu", "cuda"), False)
    assert [(p.device, p.threads, p.ranks) for p in points] == [
        (device, threads, ranks)
        for device in ("cpu", "cuda")
        for threads in (1, 3)
        for ranks in (1, 2)
    ]
    assert {p.factor for p in points} == {1.0}
    assert str(points[-1]) == "2 ranks x 3 threads on cuda"
    assert str(points[0]) == "1 rank"


def test_weak_problem_grows_with_all_cores():
    problem = parse_problem("workload: series\nparameters: {terms: 100}", "text")
    points = choose_points(problem, (2, 4), (1, 3), ("cpu",), True)
    assert [p.factor for p in points] == [1, 2, 3, 6]
    assert points[-1].settings == ("parameters.terms=600",)


def test_weak_scaling_needs_a_rule(tmp_path, monkeypatch):
    text = "workload: climate\nparameters: {inputs: [data/climate/tas*.nc]}"
    with pytest.raises(ConfigError) as caught:
        choose_points(parse_problem(text, "text"), (1, 2), (1,), ("cpu",), True)
    assert str(caught.value) == (
        "--weak: climate has no rule for a larger problem: its size is that of its "
        "inputs; leave --weak out"
    )


def test_weak_refusal_of_a_workload_names_the_place_in_the_file():
    problem = parse_problem("workload: words\nparameters: {inputs: [a.txt]}", "f.yaml")
    with pytest.raises(ConfigError, match=r"f\.yaml:2: parameters\.inputs: a text can"):
        choose_points(problem, (2, 3), (1,), ("cpu",), True)


def test_work_of_a_run_is_its_rate_times_what_the_rate_is_over():
    phases = {name: {"min": 0, "mean": 0, "max": 2.0} for name in PHASES}
    found = {"phases": phases, "rate": 5.0, "seconds": 4.0, "checksum": "aa"}
    assert read_sample(found, 9.0, QUIET).work == 5.0 * (2 + 2 + 2)


# --- figures


@given(st.floats(0, 0.9), st.integers(2, 10**6))
def test_serial_fraction_is_that_of_amdahls_and_of_gustafsons_law(serial, cores):
    amdahl = 1 / (serial + (1 - serial) / cores)
    assert serial_fraction(amdahl, cores, weak=False) == pytest.approx(serial, abs=1e-9)
    gustafson = cores - serial * (cores - 1)
    assert serial_fraction(gustafson, cores, weak=True) == pytest.approx(
        serial, abs=1e-9
    )


def test_speed_up_is_taken_round_by_round():
    # the machine was half as fast in the second round: that changes no ratio
    base = [sample(4.0), sample(8.0), sample(4.0)]
    two = [sample(2.0), sample(4.0), sample(2.0)]
    found = derive(Point(2, 1), two, (Point(1, 1), base), ())
    assert found.speedup == Spread(2.0, 2.0, 2.0)
    assert found.efficiency == 1.0
    assert found.serial == 0.0
    assert found.seconds == Spread(2.0, 2.0, 4.0)


def test_weak_speed_up_is_of_work_per_time():
    # twice the cores did 2.2 times the work in 1.1 times the time
    base, two = [sample(1.0, 10.0)], [sample(1.1, 22.0)]
    found = derive(Point(2, 1, factor=2.0), two, (Point(1, 1), base), ())
    assert found.speedup.median == pytest.approx(2.0)
    assert found.serial == pytest.approx(0.0)


def test_first_point_has_no_serial_fraction_and_base_may_be_several_ranks():
    base = (Point(2, 2), [sample(8.0)])
    first = derive(*base, base, ())
    assert (first.serial, first.efficiency) == (None, 1.0)
    # 12 cores are 3 times 4
    assert derive(Point(4, 3), [sample(4.0)], base, ()).efficiency == pytest.approx(
        2 / 3
    )


def test_spreads_meet_where_they_overlap():
    one = spread_of([1.0, 3.0, 2.0])
    assert one == Spread(2.0, 1.0, 3.0)
    assert one.relative == 1.0
    assert one.meets(Spread(4.0, 3.0, 5.0))
    assert not one.meets(Spread(4.0, 3.5, 5.0))


# --- validity


@pytest.mark.parametrize(
    ("threads", "masks", "expected"),
    [
        (1, [(0, 1)] * 2, ""),
        (1, [(0,), (1,)], ""),
        (1, [(0, 1)] * 4, "4 ranks share 2 cores of n1"),
        (2, [(0, 1)], ""),
        (2, [(0, 1)] * 2, "2 ranks x 2 threads share 2 cores of n1"),
        # bound to the same core while another idles
        (1, [(0,), (0,)], "2 ranks share 1 core of n1"),
        (1, [(0,), (0, 1)], "2 ranks share 2 cores of n1"),
        (2, [(3,)], "1 rank x 2 threads share 1 core of n1"),
    ],
)
def test_shared_cores_are_seen(threads, masks, expected):
    places = [("n1", mask) for mask in masks]
    assert crowding(Point(len(masks), threads), places, NODE) == expected


def test_other_nodes_have_cores_of_their_own():
    places = [("n1", (0,)), ("n2", (0,))]
    assert crowding(Point(2, 1), places, NODE) == ""


def test_threads_of_one_physical_core_are_one_core():
    machine = Machine("n1", 4, float("inf"), {0: 0, 1: 1, 2: 0, 3: 1}, 1.0)
    assert crowding(Point(2, 1), [("n1", (0, 1, 2, 3))] * 2, machine) == ""
    wrong = crowding(Point(4, 1), [("n1", (0, 1, 2, 3))] * 4, machine)
    assert wrong == "4 ranks share 2 cores of n1"


def test_quota_of_the_control_group_counts():
    machine = Machine("n1", 4, 1.5, {}, 1.0)
    assert crowding(Point(1, 1), [("n1", (0, 1))], machine) == ""
    assert crowding(Point(2, 1), [("n1", (0, 1))] * 2, machine) == (
        "the control group allows the time of 1.5 cores only"
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Watch(1.0, others=0.02, stolen=0.02, slowness=1.05), []),
        (
            Watch(1.0, slowness=1.2),
            ["lower clocks or other programs between the runs"],
        ),
        (Watch(1.0, others=2.5), ["other programs on these cores"]),
        # two cores are free for them
        (Watch(1.0, others=2.0), []),
        (
            Watch(1.0, stolen=2.5),
            ["cores given to other machines by the hypervisor"],
        ),
        (
            Watch(1.0, throttled=0.1),
            ["throttled at the CPU limit of the control group"],
        ),
        (
            Watch(1.0, pressed=1, swapped=3),
            [
                "the memory limit of the control group was reached",
                "memory was swapped",
            ],
        ),
    ],
)
def test_disturbances_are_named(seen, words):
    assert disturbances(Point(2, 1), seen, NODE) == words


def test_median_bears_fewer_than_half_of_the_repeats():
    bad, places = Watch(1.0, swapped=1), [("n1", (0, 1))]
    few = [sample(1.0, seen=seen) for seen in (bad, QUIET, QUIET)]
    assert faults(Point(1, 1), places, few, NODE) == []
    many = [sample(1.0, seen=seen) for seen in (bad, bad, QUIET)]
    assert faults(Point(1, 1), places, many, NODE) == [
        "2 of 3 repeats disturbed: memory was swapped"
    ]


def test_cores_that_are_halves_are_seen():
    machine = Machine("n1", 2, float("inf"), {}, 0.55)
    places, runs = [("n1", (0, 1))] * 2, [sample(1.0)]
    assert faults(Point(1, 1), places[:1], runs, machine) == []
    assert faults(Point(2, 1), places, runs, machine) == [
        "cores that all work have 55% of the speed of one alone: they are not whole "
        "cores"
    ]


# --- counters of the kernel


def put(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine_files(tmp_path):
    mine = cores()[0]
    put(
        tmp_path,
        "proc/stat",
        # user nice system idle iowait irq softirq steal guest guest_nice
        f"cpu 9 9 9 9 9 9 9 9 9 9\ncpu{mine} 100 10 20 999 999 1 2 50 7 7\n"
        "cpu99999 800 0 0 0 0 0 0 800 0 0\n",
    )
    put(tmp_path, "proc/vmstat", "nr_free_pages 5\npswpin 3\npswpout 4\n")
    return tmp_path


def test_counters_are_those_of_our_cores(machine_files):
    tick = os.sysconf("SC_CLK_TCK")
    found = glance(str(machine_files))
    assert found.busy == pytest.approx(133 / tick)
    assert found.stolen == pytest.approx(50 / tick)
    assert found.swapped == 7
    assert (found.throttled, found.pressed) == (0, 0)


def test_limits_of_all_control_groups_above_are_counted(machine_files):
    put(machine_files, "proc/self/cgroup", "0::/job/step\n")
    base = "sys/fs/cgroup"
    put(machine_files, f"{base}/job/step/cpu.stat", "throttled_usec 500000\n")
    put(machine_files, f"{base}/job/cpu.stat", "nr 3\nthrottled_usec 1500000\n")
    put(machine_files, f"{base}/job/memory.events", "low 9\nhigh 2\nmax 3\noom 1\n")
    put(machine_files, f"{base}/job/cpu.max", "150000 100000\n")
    put(machine_files, f"{base}/job/step/cpu.max", "max 100000\n")
    found = glance(str(machine_files))
    assert (found.throttled, found.pressed) == (2.0, 6)
    assert quota(str(machine_files)) == 1.5


def test_control_groups_of_version_1_are_read(machine_files):
    text = "4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/job\n"
    put(machine_files, "proc/self/cgroup", text)
    base = "sys/fs/cgroup"
    put(machine_files, f"{base}/cpu/job/cpu.stat", "throttled_time 3000000000\n")
    put(machine_files, f"{base}/memory/job/memory.failcnt", "4\n")
    put(machine_files, f"{base}/cpu/job/cpu.cfs_quota_us", "50000\n")
    put(machine_files, f"{base}/cpu/job/cpu.cfs_period_us", "100000\n")
    put(machine_files, f"{base}/cpu/cpu.cfs_quota_us", "-1\n")
    found = glance(str(machine_files))
    assert (found.throttled, found.pressed) == (3.0, 4)
    assert quota(str(machine_files)) == 0.5


def test_machine_that_tells_nothing_disturbs_nothing(tmp_path):
    found = glance(str(tmp_path))
    assert (found.busy, found.stolen, found.swapped) == (0, 0, 0)
    assert quota(str(tmp_path)) == float("inf")
    assert siblings(str(tmp_path)) == {}
    seen = watch(found, glance(str(tmp_path)))
    assert disturbances(Point(1, 1), seen, NODE) == []


def test_physical_cores_are_read(tmp_path):
    core = cores()[0]
    name = f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"
    for text in ("7,9\n", "7-9\n", "7\n"):
        put(tmp_path, name, text)
        assert siblings(str(tmp_path)) == {core: 7}


def test_what_others_do_is_what_our_children_did_not():
    before = glance()
    # this much is ours: a child that computes
    subprocess.run(["sh", "-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"])
    after = glance()
    assert after.own > before.own
    seen = watch(before, after)
    assert seen.elapsed > 0
    assert 0 <= seen.others <= len(cores()) + 1


def test_calibration_takes_time_on_any_number_of_cores():
    assert calibrate(1) > 0
    assert calibrate(2) > 0


def test_processor_has_a_name(tmp_path):
    put(tmp_path, "proc/cpuinfo", "processor : 0\nmodel name\t: A  Chip (R)\n")
    assert cpu_model(str(tmp_path)) == "A Chip (R)"
    assert isinstance(cpu_model(str(tmp_path / "none")), str)


def test_times_have_three_digits():
    assert show_seconds(12.345) == "12.3 s"
    assert show_seconds(0.99999) == "1 s"
    assert show_seconds(0.012345) == "12.3 ms"
    assert show_seconds(2e-6) == "2 us"


# --- whole studies


class Fake:
    """Runs that tell made-up times instead of computing."""

    def __init__(self, monkeypatch, seconds, checksum="aa", code=0):
        self.seconds, self.checksum, self.code = seconds, checksum, code
        self.ranks, self.arguments, self.launchers = [], [], []
        self.rate = 8.0
        monkeypatch.setattr(module, "launch", self)

    def __call__(self, ranks, arguments, environ, launcher):
        self.ranks.append(ranks)
        self.arguments.append(arguments)
        self.launchers.append(list(launcher))
        self.environ = environ
        times = dict.fromkeys(PHASES, 0.25)
        found = {
            "seconds": self.seconds(ranks, len(self.ranks)),
            "rate": self.rate,
            "phases": {name: {"max": time} for name, time in times.items()},
            "checksum": self.checksum if ranks != 3 else "bb",
            "places": [["far", [rank]] for rank in range(ranks)],
        }
        words = "a reason" if self.code else ""
        return subprocess.CompletedProcess([], self.code, json.dumps(found), words)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("workload: series\noutput: {directory: r/c}\n")
    # another machine's noise must not decide a test
    monkeypatch.setattr(module, "calibrate", lambda threads: 0.01)
    monkeypatch.setattr(module, "watch", lambda before, after: QUIET)
    return tmp_path


def run(environ=None, **options):
    defaults = {
        "config": "c.yaml",
        "settings": ["parameters.terms=1000"],
        "ranks": "1,2,4",
        "threads": "",
        "devices": "cpu",
        "weak": False,
        "repeat": 3,
        "launcher": "",
        "output": None,
        **dict.fromkeys(("site", "account", "time", "queue", "gather"), ""),
        "submit": False,
    }
    said, told = [], []
    code = scale(
        Namespace(**{**defaults, **options}), environ or {}, said.append, told.append
    )
    return code, "\n".join(said), told


def test_study_runs_round_by_round_and_drops_the_first(place, monkeypatch):
    # the warm-up is slow; after it the speed-up is perfect
    fake = Fake(monkeypatch, lambda ranks, n: 99.0 if n <= 3 else 8.0 / ranks)
    code, said, told = run({"PYTHONDONTWRITEBYTECODE": "1", "A": "b"})
    assert code == Exit.DONE
    assert fake.ranks == [1, 2, 4] * 4
    assert [line.partition(":")[0] for line in told[:4]] == ["warm-up"] * 3 + [
        "round 1 of 3"
    ]
    assert "PYTHONDONTWRITEBYTECODE" not in fake.environ
    assert fake.environ["A"] == "b"
    assert "run.threads=1" in fake.arguments[0]
    lines = Path("r/c-scaling/scaling.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [float(row["speedup"]) for row in rows] == [1, 2, 4]
    assert [float(row["efficiency"]) for row in rows] == [1, 1, 1]
    assert [row["serial_fraction"] for row in rows] == ["", "0.0", "0.0"]
    assert [row["valid"] for row in rows] == ["1", "1", "1"]
    assert "VALID: 1 rank, 2 ranks, 4 ranks" in said
    assert "answers: the same data in all 9 runs (checksum aa)" in said
    # nothing but the study is left
    assert [path.name for path in Path("r").iterdir()] == ["c-scaling"]


def test_files_of_a_study_say_the_same(place, monkeypatch):
    Fake(monkeypatch, lambda ranks, n: 8.0 / ranks**0.5)
    run()
    folder = Path("r/c-scaling")
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    with xarray.open_dataset(folder / "scaling.nc") as found:
        assert found.speedup.values == pytest.approx([1, 2**0.5, 2])
        assert found.run_seconds.shape == (3, 3)
        assert found.seconds.attrs["units"] == "s"
        assert list(found.ranks.values) == [1, 2, 4]
        assert "terms: 1000" in found.attrs["hpcapp_config"]
    assert (folder / "scaling.png").read_bytes()[:4] == b"\x89PNG"
    # a second study moves the first aside
    told = run()[2]
    assert told[0] == "the study there is now in r/c-scaling.1"
    assert sorted(p.name for p in Path("r/c-scaling.1").iterdir()) == sorted(FILES)
    assert set_aside("r/none", FILES) == ""


def test_weak_study_passes_the_rule_on(place, monkeypatch):
    fake = Fake(monkeypatch, lambda ranks, n: 2.0)
    _, said, _ = run(ranks="2,4", weak=True)
    assert "parameters.terms=1000" in fake.arguments[0]
    assert "parameters.terms=2000" in fake.arguments[1]
    assert "weak scaling" in said


def test_what_passes_between_two_runs_disturbs_none(place, monkeypatch):
    times = iter([0.01] * 12 + [0.03] * 8 + [0.01] * 500)
    monkeypatch.setattr(module, "calibrate", lambda threads: next(times))
    Fake(monkeypatch, lambda ranks, n: 1.0)
    run(ranks="1", repeat=2)
    found = load_study("r/c-scaling/study.json")
    assert [one.watch.slowness for one in found.samples[0]] == [1.0, 1.0]


def test_what_does_not_pass_is_seen(place, monkeypatch):
    times = iter([0.01] * 12 + [0.03] * 500)
    monkeypatch.setattr(module, "calibrate", lambda threads: next(times))
    Fake(monkeypatch, lambda ranks, n: 1.0)
    said = run(ranks="1", repeat=2)[1]
    assert "INVALID: 1 rank: 2 of 2 repeats disturbed: lower clocks or other" in said


def test_other_data_fail_a_study_and_are_named(place, monkeypatch):
    Fake(monkeypatch, lambda ranks, n: 1.0)
    code, said, _ = run(ranks="2,3")
    assert code == Exit.FAILED
    assert (
        "answers: DIFFERENT: the data of 3 ranks (checksum bb) are not those of 2 "
        "ranks (aa)" in said
    )


def test_what_is_compared_with_an_invalid_point_is_not_valid(place, monkeypatch):
    Fake(monkeypatch, lambda ranks, n: 1.0)
    # two threads on the one core of each rank
    said = run(ranks="1,2", threads="2")[1]
    assert "INVALID: 1 rank x 2 threads: 1 rank x 2 threads share 1 core of far" in said
    assert "compared with 1 rank x 2 threads, which is not valid" in said


@pytest.mark.parametrize(
    ("code", "expected"), [(1, Exit.FAILED), (2, Exit.USAGE), (139, Exit.FAILED)]
)
def test_a_run_that_fails_ends_the_study_with_its_words(
    place, monkeypatch, code, expected
):
    Fake(monkeypatch, lambda ranks, n: 1.0, code=code)
    with pytest.raises(HpcappError) as caught:
        run()
    assert str(caught.value) == (
        f"scale: 1 rank: the run did not finish, exit code {code}:\na reason"
    )
    assert caught.value.code == expected
    assert list(Path("r").iterdir()) == []


def test_a_run_without_work_cannot_be_measured(place, monkeypatch):
    Fake(monkeypatch, lambda ranks, n: None)
    with pytest.raises(HpcappError) as caught:
        run()
    assert str(caught.value) == (
        "scale: 1 rank: the run did no work that could be measured; choose a larger "
        "problem"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeat": 0}, "--repeat: must be >= 1, got 0"),
        (
            {"submit": True},
            "--submit: needs --site; hpcapp submit --help tells of them",
        ),
        ({"devices": "gpu"}, "--devices: must be cpu, cuda or both, got gpu"),
        (
            {"launcher": "nosuch -x"},
            "--launcher: must be a command such as mpirun or 'srun --mpi=pmix', got "
            "nosuch -x: there is no nosuch on PATH",
        ),
    ],
)
def test_faulty_options_are_refused(place, monkeypatch, options, message):
    Fake(monkeypatch, lambda ranks, n: 1.0)
    with pytest.raises((ConfigError, LaunchError)) as caught:
        run(**options)
    assert str(caught.value) == message


def test_a_place_that_cannot_be_written_is_named(place, monkeypatch):
    Fake(monkeypatch, lambda ranks, n: 1.0)
    Path("file").write_text("")
    with pytest.raises(ConfigError) as caught:
        run(output="file/x")
    assert str(caught.value) == (
        "file/x: cannot be written: Not a directory; name another folder with --output"
    )


def test_in_a_job_of_slurm_srun_starts_the_ranks(place, monkeypatch):
    fake = Fake(monkeypatch, lambda ranks, n: 1.0)
    srun = place / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(srun.stat().st_mode | stat.S_IXUSR)
    job = {"PATH": str(place), "SLURM_JOB_ID": "7"}
    run(job, ranks="2", threads="3")
    assert fake.launchers[0] == [str(srun), "-n", "2", "-c", "3"]
    run(job, ranks="2", launcher="srun --mpi=pmi2")
    assert fake.launchers[-1] == [str(srun), "--mpi=pmi2", "-n", "2", "-c", "1"]
    # outside of a job the mpirun of this environment
    run({"PATH": str(place)}, ranks="2")
    assert fake.launchers[-1] == []


# --- one job for each point


def submit(monkeypatch, **options):
    """Submit a study to a queue that runs nothing; return scripts and what was said."""
    scripts = []

    def call(command, environ, text):
        scripts.append(text)
        return f"{100 + len(scripts)};cluster\n"

    monkeypatch.setattr(jobs, "call_slurm", call)
    defaults = {"site": "local", "submit": True, "output": "s", "ranks": "1,2,8"}
    code, said, _ = run(**{**defaults, **options})
    assert code == Exit.DONE
    return scripts, said


def test_each_point_is_a_job_with_as_many_nodes_as_it_needs(place, monkeypatch):
    scripts, said = submit(monkeypatch, time="2h", account="me")
    assert said.splitlines() == [
        "101: 1 rank",
        "102: 2 ranks",
        "103: 8 ranks",
        "when they have ended: hpcapp scale c.yaml --gather s",
    ]
    # nodes of the test cluster have 4 cores
    layouts = [(1, 1), (1, 2), (2, 4)]
    for script, (nodes, ranks) in zip(scripts, layouts, strict=True):
        assert f"#SBATCH --nodes={nodes}\n" in script
        assert f"#SBATCH --ntasks-per-node={ranks}\n" in script
        assert "#SBATCH --time=02:00:00\n" in script
        assert "#SBATCH --account=me\n" in script
        done = subprocess.run(["bash", "-n"], input=script, text=True)
        assert done.returncode == 0
    assert "--ranks 8 --threads 1 --devices cpu --repeat 3" in scripts[2]
    assert "--output s/point-2" in scripts[2]
    assert "--launcher 'srun -K --mpi=pmi2 --cpus-per-task=1'" in scripts[2]
    assert "--set parameters.terms=1000" in scripts[2]


def test_scripts_are_printed_unless_they_are_submitted(place, monkeypatch):
    monkeypatch.setattr(jobs, "call_slurm", lambda *_: pytest.fail("submitted"))
    code, said, _ = run(site="local", ranks="1,2")
    assert code == Exit.DONE
    assert said.count("#!/bin/bash -l") == 2
    assert not Path("r").exists()


def test_what_jobs_measure_is_gathered(place, monkeypatch):
    submit(monkeypatch, weak=True, ranks="1,2")
    with pytest.raises(ConfigError) as caught:
        run(gather="s")
    assert str(caught.value) == (
        "--gather: s: not finished: 1 rank, 2 ranks; see the output of their jobs"
    )
    # the jobs, one after the other; twice the ranks do 1.5 times the work in the time
    fake = Fake(monkeypatch, lambda ranks, n: 6.0)
    for number, ranks in enumerate((1, 2)):
        fake.rate = 8.0 * (1, 1.5)[number]
        run(ranks=str(ranks), output=f"s/point-{number}")
    code, said, _ = run(gather="s")
    assert code == Exit.DONE
    assert "weak scaling" in said
    assert "each point in a job of its own: not at the same time" in said
    lines = Path("s/scaling.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [float(row["size"]) for row in rows] == [1, 2]
    assert [float(row["speedup"]) for row in rows] == [1, 1.5]


def test_ranks_must_spread_evenly_over_nodes(place):
    with pytest.raises(ConfigError) as caught:
        run(site="local", ranks="5")
    assert str(caught.value) == (
        "--ranks 5: must spread evenly over nodes, of which it needs 2 in queue "
        "default of site local"
    )


def test_study_is_read_as_it_was_written(place, monkeypatch):
    Fake(monkeypatch, lambda ranks, n: 1.0 / ranks)
    run(threads="1,2")
    found = load_study("r/c-scaling/study.json")
    save_study("again.json", found)
    assert load_study("again.json") == found
    assert [str(point) for point in found.plan.points][-1] == "4 ranks x 2 threads"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"format": 99}', "ValueError('format 99')"),
        ('{"format": 1}', "KeyError('plan')"),
    ],
)
def test_other_files_are_no_studies(place, text, words):
    Path("s").mkdir()
    Path("s/jobs.json").write_text(text)
    with pytest.raises(ResultError) as caught:
        run(gather="s")
    assert str(caught.value).startswith("s/jobs.json: is no study of this version")
    assert words in str(caught.value)
    assert str(caught.value).endswith("; run it again")


def test_folder_without_a_study_is_named(place):
    with pytest.raises(ResultError) as caught:
        run(gather="none")
    assert str(caught.value) == (
        "none/jobs.json: cannot be read: No such file or directory"
    )


@pytest.mark.medium
def test_real_study_has_figures_of_every_point(mpirun, hpcapp, tmp_path):
    config = Path(__file__).parent.parent / "configs/small/series-midpoint.yaml"
    done = hpcapp(
        *("scale", config, "--ranks", "1,2", "--repeat", "1", "-o", tmp_path / "s"),
        *("--set", f"output.directory={tmp_path}/r"),
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "answers: the same data in all 2 runs" in done.stdout
    with xarray.open_dataset(tmp_path / "s" / "scaling.nc") as found:
        assert (found.seconds.values > 0).all()
        assert (found.run_elapsed.values > 0).all()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
