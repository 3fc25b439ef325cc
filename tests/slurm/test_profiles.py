# SPDX-License-Identifier: MIT
"""Site profiles: what ships is valid and says of whom each fact is; messages."""

from datetime import date

import pytest

from hpcapp.errors import ConfigError
from hpcapp.slurm.sites import doubts, profile_folder, read_profile, site_names

SUPPORTED = {"lumi", "vega", "karolina", "snellius", "alliance", "generic", "local"}
DRAFTS = {
    *("leonardo", "marenostrum5", "meluxina"),
    *("discoverer", "deucalion", "jupiter"),
}
TODAY = date(2026, 11, 21)

OWN = """\
version: 1
site: own
title: a site
status: supported
evidence:
  site: {kind: site, title: its pages, date: 2026-08}
  user: {kind: script, title: a script, date: "2024"}
account: {needed: true, pattern: "p[0-9]+", source: site}
environments:
  wheels: {setup: setup-wheels.sh, launcher: srun, mpi: pmix, source: site}
files: {source: site}
queues:
  - name: cpu
    environment: wheels
    partition: short
    max_nodes: 4
    max_time: 2 h
    node: {cores: 16, source: site, memory: 32000, sources: {memory: user}}
    layout: {ranks: 4, threads: 4, source: site}
    source: site
"""


@pytest.fixture
def own(tmp_path):
    """Return a function that writes a profile, changed, and reads it."""

    def read(old="", new=""):
        assert old in OWN
        path = tmp_path / "own.yaml"
        path.write_text(OWN.replace(old, new))
        return read_profile(str(path))

    return read


def test_sites_that_are_promised_ship_and_drafts_say_so():
    status = {name: read_profile(name).status for name in site_names()}
    assert {name for name in status if status[name] == "supported"} == SUPPORTED
    assert {name for name in status if status[name] == "draft"} == DRAFTS


@pytest.mark.parametrize("name", site_names())
def test_each_fact_of_a_shipped_profile_has_dated_evidence_or_a_doubt(name):
    profile = read_profile(name)
    assert profile.site == name
    for queue in profile.queues:
        lines = " ".join(doubts(profile, queue, TODAY))
        for part, facts in queue.parts().items():
            for fact, key in facts.stated().items():
                evidence = profile.evidence[key]
                if evidence.kind in ("copied", "script") or (
                    evidence.kind == "site" and evidence.date is None
                ):
                    assert f"{part}.{fact}" in lines


def test_profiles_are_where_a_reader_looks(root):
    there = root / "slurm" / "sites"
    assert there.resolve() == profile_folder().resolve()


def test_facts_of_lumi_are_those_of_its_guide():
    # docs.lumi-supercomputer.eu: partitions, LUMI-C
    queue = read_profile("lumi").queues[0]
    assert (queue.partition, queue.max_nodes, queue.max_time) == (
        "standard",
        512,
        172800,
    )
    assert (queue.node.cores, queue.node.threads, queue.node.numa) == (128, 2, 8)
    assert (queue.node.memory, queue.layout.ranks) == (224 * 1024, 16)


def test_old_and_weak_facts_are_doubted_by_name(own):
    profile = own()
    lines = doubts(profile, profile.queues[0], TODAY)
    assert lines == (
        "site own: somebody's script or measurement of 2024, older than a year "
        "(a script): cpu.node.memory",
    )
    later = doubts(profile, profile.queues[0], date(2027, 8, 2))
    assert later[0].startswith(
        "site own: of 2026-08, older than a year (its pages): account.needed, "
    )


def test_a_draft_says_so_first(own):
    profile = own("supported", "draft")
    assert doubts(profile, profile.queues[0], TODAY)[0] == (
        "site own: a draft: nobody has run there: hpcapp submit --site own --check"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: a site", 'title: "a\\nsite"', ":3: title: must be one line"),
        ("site: own", "site: a b", "2: site: must be a name of letters, digits"),
        ("2026-08", "2026-13", "must be a date such as 2026, 2026-08 or 2026-08-21"),
        ("p[0-9]+", "p[0-9", "8: account.pattern: must be a regular expression"),
        ("max_nodes: 4", "max_node: 4", ":16: queues.0.max_node: unknown key"),
        ("ranks: 4", "ranks: 0", "queues.0.layout.ranks: must be >= 1, got 0"),
        (
            "ranks: 4",
            "ranks: 5",
            ":19: queues.0.layout.ranks: ranks x threads must be <= the 16 cores of "
            "a node, got 5",
        ),
        (
            "{memory: user}",
            "{momory: user}",
            ":18: queues.0.node.sources.momory: must be a fact of this section",
        ),
        ("{memory: user}", "{memory: me}", "must be one of site, user, got me"),
        (
            "environment: wheels",
            "environment: eessi",
            ":14: queues.0.environment: must be one of wheels, got eessi",
        ),
        ("source: site}\nqueues", "source: x}\nqueues", ":11: files.source: must be"),
        (
            "queues:\n",
            "queues:\n"
            "  - {name: cpu, environment: wheels, source: site,"
            " node: {cores: 2, source: site},"
            " layout: {ranks: 1, threads: 1, source: site}}\n",
            ":14: queues.1.name: is the name of two queues, got cpu",
        ),
        (OWN[OWN.index("queues:") :], "queues: []", ":12: queues: must have at least"),
        ("version: 1", "version: 2", ":1: version: must be <= 1, got 2: written for"),
        ("status: supported\n", "", "own.yaml: status: is required"),
        ("mpi: pmix", "options: [rm -rf]", "options.0: string should match pattern"),
    ],
)
def test_a_fault_is_named_with_file_line_key_rule_and_value(own, old, new, message):
    with pytest.raises(ConfigError) as caught:
        own(old, new)
    assert message in str(caught.value)
    assert "own.yaml" in str(caught.value)


def test_an_unknown_site_is_told_the_list():
    with pytest.raises(ConfigError) as caught:
        read_profile("lumii")
    assert str(caught.value).startswith(
        "--site lumii: no such site, did you mean 'lumi'?; known: alliance, deucalion"
    )
