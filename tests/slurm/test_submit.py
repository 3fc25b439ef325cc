# SPDX-License-Identifier: MIT
"""`hpcapp submit`: what it prints, what it refuses, without a cluster."""

import re
import shutil
import subprocess

import pytest
from site_scripts import write_scripts

from hpcapp.cli import build_parser, run_command_line
from hpcapp.errors import ConfigError, Exit
from hpcapp.slurm.generate import scripts
from hpcapp.slurm.request import Request, choose
from hpcapp.slurm.script import Subject, batch_script
from hpcapp.slurm.sites import read_profile, site_names
from hpcapp.slurm.submit import read_request
from hpcapp.slurm.times import clock, parse_time

SMALL = "configs/small/series-kempner.yaml"


@pytest.fixture
def submit(root, monkeypatch, capsys):
    """Return a function that calls hpcapp submit and returns code and output."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)

    def call(*arguments):
        code = run_command_line(["submit", *arguments])
        return code, *capsys.readouterr()

    return call


def options_of(text):
    """Return the options of sbatch in a script."""
    return re.findall(r"^#SBATCH (.*)$", text, re.MULTILINE)


def test_a_script_has_layout_limit_signal_and_requeue(submit):
    code, out, err = submit(SMALL, "--site", "local", "--nodes", "3", "--time", "2h")
    assert (code, err) == (Exit.DONE, "")
    assert options_of(out) == [
        "--job-name=series-kempner",
        "--nodes=3",
        "--ntasks-per-node=2",
        "--cpus-per-task=1",
        "--time=02:00:00",
        "--output=%x-%j.out",
        "--open-mode=append",
        "--signal=B:USR1@300",
        "--requeue",
    ]
    assert "\nsrun -K --mpi=pmi2 --cpus-per-task=1 \\\n" in out
    assert 'run "$CONFIG" --output "$OUTPUT" --resume --set run.threads=1 &' in out
    assert "SRUN_CPUS_PER_TASK" not in out
    assert "OUTPUTS=(results/small/series-kempner)" in out


def test_options_of_sbatch_are_passed_on(submit):
    names = ["account", "partition", "qos", "reservation"]
    given = [word for name in names for word in (f"--{name}", f"my-{name}")]
    code, out, err = submit(
        SMALL, "--site", "local", *given, "-s", "parameters.terms=9"
    )
    assert code == Exit.DONE
    assert [f"--{name}=my-{name}" for name in names] == options_of(out)[1:5]
    assert "--set run.threads=1 --set parameters.terms=9 &" in out
    assert "partition my-partition and qos my-qos not in the profile: nodes" in err


def test_the_command_in_the_head_of_a_script_stays_a_comment():
    job = choose(Request(), read_profile("local"), {})
    name = "hpcapp submit -s 'title=a\n#SBATCH --exclusive'"
    text = batch_script(job, Subject(("a.yaml",), ("a",), name))
    assert "--exclusive" not in options_of(text)
    assert "\n# made by: hpcapp submit -s 'title=a\\n#SBATCH --exclusive'\n" in text


def test_several_configurations_are_an_array(submit):
    other = "configs/small/laplace.yaml"
    _, out, _ = submit(SMALL, other, "--site", "local")
    assert "--array=0-1" in options_of(out)
    assert "--output=%x-%A_%a.out" in options_of(out)
    assert f"CONFIGS=({SMALL} {other})" in out


def test_two_runs_in_one_directory_are_refused(submit):
    code, _, err = submit(SMALL, SMALL, "--site", "local")
    assert code == Exit.USAGE
    assert "output.directory: must be one for each configuration, got" in err


def test_a_site_gives_modules_stripes_and_warnings(submit):
    account = ("--account", "project_465000001")
    code, out, err = submit(SMALL, "--site", "lumi", *account)
    assert code == Exit.DONE
    assert "module load cray-python/3.11.7\n" in out
    assert "lfs setstripe --stripe-count 16 --stripe-size 4M" in out
    assert "--mem=224G" in options_of(out)
    assert "hpcapp: warning: site lumi: of 2024-10-15, older than a year" in err


def test_each_draft_says_so_in_script_and_warning(submit):
    account = ("--account", "ehpc1x")
    for name in site_names():
        if read_profile(name).status == "draft":
            code, out, err = submit(SMALL, "--site", name, *account)
            assert code == Exit.DONE
            assert f"warning: site {name}: a draft: nobody has run there" in err
            assert "# a DRAFT: nobody has run it there" in out


def test_mpirun_places_ranks_as_the_site_wants(submit):
    _, out, _ = submit(SMALL, "--site", "karolina", "--account", "A", "--nodes", "2")
    assert (
        "\nmpirun -np 32 --map-by ppr:16:node:pe=8 --bind-to core \\\n  python -m"
        in out
    )
    assert "export OMPI_MCA_mtl='^ofi'\n" in out


def test_options_of_a_launcher_stay_with_it(submit):
    words = ("--launcher", "srun", "--account", "A", "--mpi", "pmix")
    _, out, _ = submit(SMALL, "--site", "karolina", *words)
    assert "\nsrun -K --mpi=pmix --cpus-per-task=8 \\\n  python" in out
    _, out, _ = submit(SMALL, "--site", "local", "--launcher", "mpirun")
    assert "\nmpirun -np 2 \\\n  python" in out


def test_one_rank_for_each_gpu(submit):
    code, out, err = submit(SMALL, "--site", "local", "--gpu", "--nodes", "2")
    assert code == Exit.DONE
    assert "--gpus-per-node=2" in options_of(out)
    assert "--gpu-bind=single:1" in out
    assert "--set run.device=cuda" in out
    assert (
        "# its Python needs numba-cuda: pip install 'numba-cuda[cu13]', [cu12]" in out
    )
    assert "CPU only" not in err


def test_a_qos_with_the_name_of_the_project_is_filled_in(submit):
    _, out, _ = submit(SMALL, "--site", "discoverer", "--account", "ehpc-1")
    assert "--qos=ehpc-1" in options_of(out)


def test_a_qos_that_the_profile_does_not_know_lifts_its_limits(submit):
    words = ("--site", "leonardo", "--account", "A", "--qos", "mine", "--nodes", "999")
    code, out, err = submit(SMALL, *words)
    assert code == Exit.DONE
    # the partition is still that of the queue
    assert {"--partition=dcgp_usr_prod", "--qos=mine"} <= set(options_of(out))
    assert "site leonardo: qos mine not in the profile: nodes, time and memory" in err


def test_a_qos_of_the_profile_brings_its_queue(submit):
    words = ("--account", "A", "--qos", "dcgp_qos_bprod", "--nodes", "32")
    code, out, err = submit(SMALL, "--site", "leonardo", *words)
    assert code == Exit.DONE, err
    assert "queue dcgp-bprod" in out
    assert "not in the profile" not in err


def test_interactive_prints_allocation_launch_and_tunnel(submit):
    _, out, _ = submit("--site", "snellius", "--interactive", "--nodes", "2")
    assert "\nsalloc --partition=genoa --nodes=2 --ntasks-per-node=24 " in out
    assert "mpirun -np 48" in out
    assert "ssh -N -L 8888:NODE:8888 LOGIN" in out
    assert "https://ondemand.snellius.surf.nl" in out
    # the shell of the allocation stays, whatever fails in it
    assert "exit" not in out


def test_work_by_hand_runs_what_a_job_would_run(submit):
    words = ("--site", "lumi", "--account", "project_465000001", "--ranks", "4")
    words = (*words, "-s", "parameters.terms=9")
    _, batch, _ = submit(SMALL, *words)
    _, out, _ = submit(SMALL, *words, "--interactive")
    line = re.search(r"^srun -K(?:.*\\\n)*.*", batch, re.MULTILINE)[0]
    assert "--set run.threads=8 --set parameters.terms=9" in line
    assert line.removesuffix(" &") in out
    assert f"CONFIG={SMALL}\nOUTPUT=results/small/series-kempner\n" in out
    assert "export HDF5_USE_FILE_LOCKING=FALSE\n" in out
    assert "lfs setstripe --stripe-count 16" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--site nowhere", "--site nowhere: no such site; known: alliance, deucalion"),
        ("--site lumi", "--account: site lumi needs one, such as project_465000000"),
        ("--site lumi --account x", "--account x: must match project_[0-9]{9} on"),
        (
            "--site deucalion --account F1g",
            "--account F1g: must end with x in queue normal-x86 of site deucalion, "
            "such as F2025XXXXXx",
        ),
        (
            "--site discoverer --account a --gpu",
            "--gpu: site discoverer has no GPU queue in its profile",
        ),
        (
            "--site vega --queue cpu --gpu",
            "--gpu: queue cpu of site vega has no GPUs; those that have: gpu",
        ),
        (
            "--site lumi --account project_465000001 --gpu",
            "--gpu: site lumi: CUDA does not run on AMD MI250X, and hpcapp has no "
            "kernels for ROCm; numba-hip may run its CUDA kernels there one day and is "
            "experimental; what works: LUMI-C, without --gpu",
        ),
        (
            "--site lumi --account project_465000001 --gpu --partition dev-g",
            "--gpu: site lumi: CUDA does not run on AMD MI250X",
        ),
        (
            "--site lumi --account project_465000001 --queue standard-g",
            "queue standard-g of site lumi has GPUs: CUDA does not run on AMD MI250X",
        ),
        (
            "--site snellius --partition gpu_h100",
            "queue gpu_h100 of site snellius has GPUs: give --gpu for a job that wants "
            "them; those without GPUs: genoa, rome",
        ),
        (
            "--site marenostrum5 --account a --qos gp_debug --nodes 700",
            "--nodes 700: must be <= 32 in queue gpp-debug of site marenostrum5",
        ),
        (
            "--site leonardo --account a --qos dcgp_qos_dbg --time 24h",
            "--time 1-00:00:00: must be <= 00:30:00 in queue dcgp-debug of site leo",
        ),
        (
            "--site lumi --account project_465000001 --queue standard --partition "
            "debug",
            "--partition debug: not that of queue standard of site lumi, but of "
            "--queue debug",
        ),
        (
            "--site leonardo --account a --partition boost_usr_prod --qos dcgp_qos_dbg",
            "--qos dcgp_qos_dbg: not that of queue ",
        ),
        (
            "--site leonardo --account a --qos dcgp_qos_bprod --nodes 4",
            "--nodes 4: must be >= 17 in queue dcgp-bprod of site leonardo; allowed in "
            "--queue dcgp",
        ),
        (
            "--site alliance --account a --queue trillium --time 5",
            "--time 00:05:00: must be >= 00:15:00 in queue trillium of site alliance; "
            "allowed in --queue cpu, narval, trillium-debug",
        ),
        (
            "--site alliance --account a --queue trillium-gpu --gpu --ranks 2",
            "--nodes 1 --ranks 2: ranks in all must be one of 1, 4 or a multiple of 4 "
            "in queue trillium-gpu of alliance: GPUs of a job, a rank for each",
        ),
        (
            "--site alliance --account a --queue trillium-gpu --gpu --ranks 1 "
            "--nodes 2",
            "--nodes 2 --ranks 1: ranks in all must be one of 1, 4 or a multiple of 4",
        ),
        (
            "--site marenostrum5 --account a --gpu --ranks 1 --threads 40",
            "--threads 40: must be 20 in queue acc of marenostrum5: cores for each GPU",
        ),
        (
            "--site karolina --account a --time 49h",
            "--time 2-01:00:00: must be <= 2-00:00:00 in queue qcpu of site karolina; "
            "allowed in --queue qcpu_long; a run that needs longer goes on by itself",
        ),
        (
            "--site lumi --account project_465000001 --nodes 513",
            "--nodes 513: must be <= 512 in queue standard of site lumi",
        ),
        ("--site local --queue x", "--queue x: site local has no such queue; known: d"),
        ("--site local --nodes 0", "--nodes: must be >= 1, got 0"),
        ("--site local --time 1x", "--time 1x: must be a time such as 2 h, 02:00:00"),
        ("--site local --qos=a\nb", "--qos: must be a name, got 'a\\nb'"),
        (
            "--site local --ranks 4 --threads 2",
            "--ranks 4 --threads 2: ranks x threads must be <= 4, the cores of a node",
        ),
        (
            "--site local --gpu --ranks 4",
            "--ranks 4: must be <= 2, the GPUs of a node in queue gpu of site local",
        ),
        (
            "--site local -s parameters.terms=0",
            "--set: parameters.terms: must be >= 1, got 0",
        ),
    ],
)
def test_what_a_site_does_not_allow_is_one_message_and_exit_2(
    submit, arguments, message
):
    code, out, err = submit(SMALL, *arguments.split(" "))
    assert (code, out) == (Exit.USAGE, "")
    assert message in err
    assert err.startswith("hpcapp: ")


def test_an_account_of_the_environment_is_a_name_too(submit, monkeypatch):
    monkeypatch.setenv("SBATCH_ACCOUNT", "a b")
    code, _, err = submit(SMALL, "--site", "local")
    assert code == Exit.USAGE
    assert "SBATCH_ACCOUNT: must be a name, got 'a b'" in err
    assert submit(SMALL, "--site", "local", "--account", "a")[0] == Exit.DONE


def test_gpus_that_a_site_hands_out_are_counted_in_all(submit):
    words = ("--site", "alliance", "--account", "a", "--queue", "trillium-gpu", "--gpu")
    assert submit(SMALL, *words, "--ranks", "1")[0] == Exit.DONE
    assert submit(SMALL, *words, "--nodes", "3")[0] == Exit.DONE


def test_a_problem_too_large_for_the_nodes_is_refused_with_numbers(submit):
    size = ("-s", "parameters.shape=[200001,200001]", "-s", "parameters.tolerance=1e-3")
    words = ("--account", "project_465000001", *size)
    code, _, err = submit("configs/small/laplace.yaml", "--site", "lumi", *words)
    assert code == Exit.USAGE
    assert (
        "does not fit into memory: the 16 ranks on node 1 of queue standard need" in err
    )
    assert "241 GB may be used; use more nodes" in err
    code, _, err = submit(
        "configs/small/laplace.yaml", "--site", "lumi", *words, "--nodes", "64"
    )
    assert code == Exit.DONE, err


def test_memory_is_what_the_script_asks_for_not_the_whole_node(submit):
    # 8 cores of 1750 MiB, as the header asks, are 14.7 GB
    size = ("-s", "parameters.shape=[40001,40001]", "-s", "parameters.tolerance=1e-3")
    words = ("--account", "project_465000001", "--queue", "small", *size)
    words = ("configs/small/laplace.yaml", "--site", "lumi", *words, "--ranks", "1")
    code, _, err = submit(*words, "--threads", "8")
    assert code == Exit.USAGE
    assert "the 1 ranks on node 1 of queue small need 25.8 GB" in err
    assert "14.7 GB may be used" in err
    assert submit(*words, "--threads", "64")[0] == Exit.DONE


def test_memory_of_a_part_of_a_node_is_warned_of_where_nodes_are_shared(submit):
    # 18 of 72 cores of 515 GB; with all of them there is nothing to share
    size = ("-s", "parameters.shape=[120001,120001]", "-s", "parameters.tolerance=1e-3")
    words = ("--site", "snellius", "--queue", "gpu_a100", "--gpu", *size)
    code, _, err = submit("configs/small/laplace.yaml", *words, "--ranks", "1")
    assert code == Exit.DONE
    assert "129 GB may be used; use more nodes" in err
    assert "(a job of 18 of 72 cores has so much where nodes are shared)" in err
    _, _, err = submit("configs/small/laplace.yaml", *words)
    assert "may be used" not in err


def test_a_configuration_is_needed_but_for_a_look(submit):
    code, _, err = submit("--site", "local")
    assert code == Exit.USAGE
    assert "submit: CONFIG is missing" in err


def test_every_site_that_loads_modules_loads_python_and_mpi():
    # modules of EESSI bring both
    both = re.compile("(?=.*(python|h5py))(?=.*(mpi|foss|cray-python))", re.IGNORECASE)
    for name in site_names():
        for environment in read_profile(name).environments.values():
            if environment.modules:
                assert both.match(" ".join(environment.modules)), name


@pytest.mark.parametrize(
    ("site", "account", "folder"),
    [
        ("karolina", "OPEN-30-1", "/scratch/project/open-30-1"),
        ("deucalion", "F2025ABCx", "/projects/F2025ABC"),
        ("lumi", "project_465000001", "/scratch/project_465000001"),
    ],
)
def test_the_folder_for_results_is_that_of_the_project(submit, site, account, folder):
    _, out, _ = submit(SMALL, "--site", site, "--account", account)
    assert f"# submit from, or write to: {folder}\n" in out


@pytest.mark.parametrize("way", ["--submit", "--check"])
def test_without_slurm_one_message(submit, monkeypatch, tmp_path, way):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = submit(SMALL, "--site", "local", way)
    name = "sbatch" if way == "--submit" else "scontrol"
    assert (code, out) == (Exit.USAGE, "")
    assert f"submit: there is no {name} on PATH: Slurm is not installed here" in err


def fake(folder, name, script):
    """Write a command of Slurm that does what the test wants."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_number_of_a_submitted_job_is_all_that_stdout_has(
    submit, monkeypatch, tmp_path
):
    # of a federation: with the cluster's name
    fake(tmp_path, "sbatch", f"/bin/cat > {tmp_path}/script; echo '4711;east'")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = submit(SMALL, "--site", "local", "--submit")
    assert (code, out) == (Exit.DONE, "4711\n")
    assert (tmp_path / "script").read_text().startswith("#!/bin/bash -l\n# hpcapp on")


def test_what_sbatch_refuses_is_said_in_its_words(submit, monkeypatch, tmp_path):
    fake(tmp_path, "sbatch", "echo 'sbatch: error: no\nsuch account' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = submit(SMALL, "--site", "local", "--submit")
    assert code == Exit.USAGE
    assert "submit: sbatch --parsable failed: sbatch: error: no such account" in err


def test_a_controller_that_is_silent_is_given_up(submit, monkeypatch, tmp_path):
    fake(tmp_path, "sbatch", "exec /bin/sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hpcapp.slurm.call.ANSWER", 0.2)
    code, _, err = submit(SMALL, "--site", "local", "--submit")
    assert code == Exit.USAGE
    assert "submit: sbatch has not answered for 0 s: try again later" in err


def test_a_site_of_gpus_alone_wants_the_option():
    profile = read_profile("local")
    profile = profile.model_copy(update={"queues": profile.queues[1:]})
    with pytest.raises(ConfigError, match="all queues of its profile have GPUs; give"):
        choose(Request(), profile, {})


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("90s", 120, "00:02:00"),
        ("90", 5400, "01:30:00"),
        ("30:00", 1800, "00:30:00"),
        ("0:30", 60, "00:01:00"),
        ("2 h", 7200, "02:00:00"),
        ("02:00:00", 7200, "02:00:00"),
        ("1-12", 129600, "1-12:00:00"),
        ("2-00:30:00", 174600, "2-00:30:00"),
    ],
)
def test_times_are_whole_minutes_in_slurms_spelling(text, seconds, shown):
    assert parse_time(text) == seconds
    assert clock(parse_time(text)) == shown


@pytest.fixture(scope="session")
def every_script(tmp_path_factory):
    """Return files with all that is made for each queue of each site."""
    return write_scripts(tmp_path_factory.mktemp("scripts"))


def test_each_queue_of_each_site_makes_scripts_of_valid_bash(every_script):
    assert len(every_script) > 100
    for path in every_script:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
        assert done.returncode == 0, (path, done.stderr)


def test_shellcheck_finds_nothing_in_scripts_of_any_queue(every_script):
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here (Debian: shellcheck)")
    # files of the site are not here; rank and device are read by the inner shell
    options = ["--shell=bash", "--exclude=SC1090,SC1091,SC2016"]
    # one of those that differ in what Slurm reads, and in numbers, alone
    kinds = {}
    for path in every_script:
        lines = path.read_text().splitlines()
        body = [line for line in lines if not line.startswith(("#", "salloc"))]
        kinds[re.sub(r"\d+", "1", "".join(body))] = path
    command = ["shellcheck", *options, *kinds.values()]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_scripts_in_the_folder_slurm_are_those_of_the_profiles(root):
    there = {path.name: path.read_text() for path in (root / "slurm").glob("*.sbatch")}
    assert there == scripts(), "run: python -m hpcapp.slurm.generate"


def test_gpu_scripts_are_for_nvidia_alone():
    names = set(scripts())
    assert {name for name in names if name.endswith("cpu.sbatch")} == {
        f"{site}-cpu.sbatch" for site in site_names()
    }
    assert "lumi-gpu.sbatch" not in names
    assert "discoverer-gpu.sbatch" not in names


def test_every_script_is_valid_bash(root):
    for path in (*(root / "slurm").glob("*.sbatch"), *(root / "slurm").glob("*.sh")):
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_request_is_what_the_options_say():
    words = ["submit", "a.yaml", "--site", "x", "--time", "2h", "--environment", "/e"]
    request = read_request(build_parser().parse_args(words))
    assert request == Request(seconds=7200.0, venv="/e")
