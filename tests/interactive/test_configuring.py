# SPDX-License-Identifier: MIT
"""Files, mappings and Config objects lead to the same run."""

from pathlib import Path

import numpy as np
import pytest

from hpcapp.errors import ConfigError
from hpcapp.interactive.configuring import fresh_directory, read_given
from hpcapp.problem import read_problem

ROOT = Path(__file__).parent.parent.parent
SMALL = ROOT / "configs" / "small" / "series-kempner.yaml"
PLAIN = {"workload": "series", "parameters": {"name": "kempner", "terms": 1000}}


def refused(config, **overrides):
    with pytest.raises(ConfigError) as caught:
        read_given(config, overrides)
    return str(caught.value)


def test_a_file_a_mapping_and_a_config_are_the_same():
    problem = read_problem(str(SMALL))
    ways = [SMALL, str(SMALL), problem.config.document(), problem.config]
    found = [read_given(way, {}).problem.config.parameters for way in ways]
    assert all(one == problem.config.parameters for one in found)


def test_overrides_are_parameters_and_sections():
    given = read_given(PLAIN, {"terms": np.int64(50), "run": {"threads": 2}})
    assert given.problem.config.parameters.terms == 50
    assert given.problem.config.run.threads == 2
    assert given.problem.config.output.directory == "results/series"


def test_text_that_looks_like_a_number_stays_text():
    given = read_given(PLAIN, {"digits": "010"})
    assert given.problem.config.parameters.digits == "010"


def test_a_wrong_override_is_named():
    assert "parameters.terms: must be" in refused(PLAIN, terms=-1)
    assert "did you mean terms" in refused(PLAIN, term=5).replace("'", "")
    assert refused(PLAIN, run=2).startswith("run: must be a mapping, such as run={")
    text = refused(PLAIN, terms=object())
    assert text.startswith("parameters.terms: must be a number, text, list or mapping")


def test_files_that_cannot_be_read_are_named(tmp_path):
    assert "no.yaml: cannot be read: No such file" in refused(tmp_path / "no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"workload: caf\xe9")
    assert "latin.yaml: must be UTF-8" in refused(tmp_path / "latin.yaml")


def test_each_run_has_a_directory_of_its_own(tmp_path):
    base = tmp_path / "results" / "laplace"
    found = [fresh_directory(str(base)) for _ in range(3)]
    assert found == [f"{base}-{number}" for number in (1, 2, 3)]
    assert all(Path(one).is_dir() for one in found)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(ConfigError) as caught:
        fresh_directory(str(tmp_path / "results" / "laplace"))
    assert str(caught.value).startswith("output.directory: cannot be written: ")
