# SPDX-License-Identifier: MIT
"""Comparison of a profile with a machine: planted differences are found, no others."""

import pytest
from test_profiles import OWN

from hpcapp.errors import Exit
from hpcapp.slurm.check import compare
from hpcapp.slurm.machine import Group, Machine, read_machine
from hpcapp.slurm.sites import read_profile

CONFIG = """\
Configuration data as of 2026-11-21T18:00:00
AccountingStorageEnforce = associations,limits
ClusterName             = own
JobRequeue              = 1
MpiDefault              = none
SLURM_VERSION           = 23.11.8
"""
PARTITION = "PartitionName=short Default=YES MaxNodes=4 MaxTime=02:00:00 TotalNodes=9"
NODES = "short|8|64000|(null)|2|8|1\nshort|1|128000|gpu:a100:4(S:0-1)|2|8|1"
PLUGINS = """\
MPI plugin types are...
\tnone
\tpmix
\tpmi2
specific pmix plugin versions available: pmix_v4
"""
OLD_PLUGINS = "srun: MPI types are...\nsrun: none\nsrun: pmix\nsrun: pmi2\n"


@pytest.fixture
def machine(tmp_path):
    """Return a function that reads a machine whose commands say what the test wants."""

    def read(config=CONFIG, partition=PARTITION, nodes=NODES, plugins=PLUGINS, **more):
        texts = {"config": config, "partition": partition, "nodes": nodes}
        for name, text in {**texts, "plugins": plugins}.items():
            (tmp_path / name).write_text(text)
        scripts = {
            "scontrol": f"/bin/cat {tmp_path}/$2",
            "sinfo": f"/bin/cat {tmp_path}/nodes",
            "srun": f"/bin/cat {tmp_path}/plugins >&2",
            "sacctmgr": "printf 'normal|\\nlong|2-00:00:00\\n'",
        }
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        return read_machine({"PATH": f"{tmp_path}:/usr/bin:/bin", **more})

    return read


@pytest.fixture
def profile(tmp_path):
    """Return a function that reads the profile, changed."""

    def read(old="", new=""):
        assert old in OWN
        path = tmp_path / "own.yaml"
        path.write_text(OWN.replace(old, new))
        return read_profile(str(path))

    return read


@pytest.mark.parametrize("plugins", [PLUGINS, OLD_PLUGINS])
def test_a_profile_that_is_true_has_no_differences(machine, profile, plugins):
    found = compare(profile(), machine(plugins=plugins))
    assert found.differences == []
    assert found.notes[0].startswith("queue cpu: 2 kinds of nodes; compared with the 8")


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("needed: true", "needed: false", "account: profile not needed, here needed"),
        (
            "mpi: pmix",
            "mpi: pmix_v5",
            "environment wheels: srun --mpi: profile pmix_v5, here none, pmix, pmi2, "
            "pmix_v4",
        ),
        (
            "partition: short",
            "partition: long",
            "queue cpu: partition: profile long, here only short",
        ),
        (
            "max_time: 2 h",
            "max_time: 1 d",
            "queue cpu: time limit: profile 1-00:00:00, here 02:00:00",
        ),
        (
            "max_nodes: 4",
            "max_nodes: 5",
            "queue cpu: nodes of a job: profile 5, here 4",
        ),
        (
            "cores: 16",
            "cores: 32",
            "queue cpu: cores of a node: profile 32, here 16",
        ),
        (
            "cores: 16",
            "cores: 16, threads: 2",
            "queue cpu: threads of a core: profile 2, here 1",
        ),
        (
            "memory: 32000",
            "memory: 65000",
            "queue cpu: memory of a node: profile 65000 MiB, here 64000 MiB",
        ),
        (
            "    node:",
            '    gpu: {model: any, count: 4, request: "--gres=gpu", source: site}\n'
            "    node:",
            "queue cpu: GPUs of a node: profile 4, here 0",
        ),
        (
            "partition: short",
            "partition: short\n    qos: lang",
            "queue cpu: qos: profile lang, here only long, normal",
        ),
    ],
)
def test_a_planted_difference_is_found_alone(machine, profile, old, new, difference):
    assert compare(profile(old, new), machine()).differences == [difference]


def test_a_partition_without_limits_holds_what_it_has(machine, profile):
    text = PARTITION.replace("MaxNodes=4", "MaxNodes=UNLIMITED")
    assert compare(profile(), machine(partition=text)).differences == []
    found = compare(profile("max_nodes: 4", "max_nodes: 10"), machine(partition=text))
    assert found.differences == [
        "queue cpu: nodes of a job: profile 10, here 9 nodes in all"
    ]
    text = text.replace("02:00:00", "UNLIMITED")
    assert compare(profile(), machine(partition=text)).differences == [
        "queue cpu: time limit: profile 02:00:00, here unlimited"
    ]


def test_what_the_profile_does_not_know_is_a_note_with_the_value(machine, profile):
    found = compare(profile("    max_nodes: 4\n"), machine())
    assert found.differences == []
    assert "queue cpu: nodes of a job: not in the profile, here 4" in found.notes


def test_the_gpus_of_a_node_are_counted(machine, profile):
    words = '    gpu: {model: any, count: 2, request: "--gres=gpu", source: site}\n'
    nodes = "short|8|64000|gpu:a100:3(S:0),gpu:v100:1,nvme:2|2|8|1"
    found = compare(profile("    node:", f"{words}    node:"), machine(nodes=nodes))
    assert found.differences == ["queue cpu: GPUs of a node: profile 2, here 4"]


def test_inside_of_a_job_the_node_itself_is_looked_at(machine, profile):
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_PARTITION": "short"}
    found = compare(profile("cores: 16", "cores: 16, arch: aarch64"), machine(**job))
    import platform

    here = platform.machine()
    expected = f"queue cpu: this node: architecture: profile aarch64, here {here}"
    assert (expected in found.differences) == (here != "aarch64")
    assert any("queue cpu: this node: NUMA nodes: not in" in n for n in found.notes)


def test_exit_code_and_count_tell_of_differences(machine, profile, tmp_path, capsys):
    from hpcapp.slurm.check import check_site

    machine()
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    lines = []
    assert check_site(profile(), environ, lines.append) == Exit.DONE
    assert lines[0] == "site own compared with cluster own, Slurm 23.11.8"
    assert lines[-1] == "0 differences"
    lines.clear()
    wrong = profile("max_time: 2 h", "max_time: 3 h")
    assert check_site(wrong, environ, lines.append) == Exit.FAILED
    assert lines[1].startswith("differs: queue cpu: time limit: ")
    assert lines[-1] == "1 difference"


def found_of(queue, groups, qos=None, **node):
    """Return what a comparison of marenostrum5 with a machine finds of a queue."""
    profile = read_profile("marenostrum5")
    entry = next(entry for entry in profile.queues if entry.name == queue)
    entry = entry.model_copy(update={"node": entry.node.model_copy(update=node)})
    profile = profile.model_copy(update={"queues": (entry,)})
    config = {"AccountingStorageEnforce": "associations"}
    return compare(profile, Machine(config, {}, groups, (), qos))


KINDS = {
    "gpp": (Group(6192, 112, 1, 230000, 0),),
    "acc": (Group(1120, 80, 1, 480000, 4),),
}
LIMITS = {"gp_ehpc": "3-00:00:00", "acc_ehpc": "3-00:00:00"}


def test_a_queue_that_is_a_qos_is_compared_with_it_and_with_nodes_alike():
    found = found_of("gpp", KINDS, LIMITS)
    assert found.differences == []
    # what a job may use is less than what there is
    note = "queue gpp: memory of a node: profile 213623 MiB, here 230000 MiB"
    assert note in found.notes
    assert found_of("acc", KINDS, LIMITS).differences == []


@pytest.mark.parametrize(
    ("qos", "groups", "difference"),
    [
        (
            {"gp_ehpc": "2-00:00:00"},
            KINDS,
            "time limit: profile 3-00:00:00, here 2-00:00:00",
        ),
        (
            LIMITS,
            {"gpp": (Group(9, 128, 1, 230000, 0),)},
            "cores of a node: profile 112, here 128",
        ),
        (
            LIMITS,
            {"gpp": (Group(9, 112, 1, 200000, 0),)},
            "memory of a node: profile 213623 MiB, here 200000 MiB",
        ),
    ],
)
def test_what_differs_from_a_qos_or_its_nodes_is_found(qos, groups, difference):
    assert found_of("gpp", groups, qos).differences == [f"queue gpp: {difference}"]


def test_cores_that_the_system_keeps_are_no_difference():
    groups = {"gpp": (Group(9, 112, 1, 230000, 0),)}
    assert found_of("gpp", groups, LIMITS, cores=104, reserved=8).differences == []
