# SPDX-License-Identifier: MIT
"""Laws of `hpcapp list` and `hpcapp init`: complete, from the models, and valid."""

import os
import re
import subprocess
import sys
from pathlib import Path

import netCDF4
import pytest

from hpcapp.config import Count, Duration, Integer, Model, Real, Run, parameter
from hpcapp.discovery import find_workload, workload_names
from hpcapp.errors import ConfigError
from hpcapp.problem import read_problem
from hpcapp.studies.catalogue import (
    SCHEMA_LINE,
    describe_workloads,
    entries,
    write_starter,
)
from hpcapp.studies.wording import flow, type_words
from hpcapp.yaml_source import parse_yaml

sys.path.insert(0, str(Path(__file__).parent))


class Inner(Model):
    """A nested section."""

    depth: Real = parameter(1.5, "how deep", "m")


class Outer(Model):
    """Every kind of key."""

    needed: Integer = parameter(..., "given by the user")
    count: Count = parameter(3, "at least one", le=10**12)
    inner: Inner = Inner()
    pair: tuple[Count, Count] | None = parameter(None, "two of them")
    wait: Duration = parameter("2 h", "how long", "s")
    names: tuple[str, ...] = parameter(("a", "b: c"), "texts", "")


def test_entries_follow_the_model_with_nested_sections():
    found = {entry.name: entry for entry in entries(Outer)}
    assert list(found) == [
        *("needed", "count", "inner", "inner.depth", "pair", "wait", "names")
    ]
    assert found["needed"].default == "required"
    assert found["count"].kind == "whole number >= 1 and <= 10^12"
    assert found["inner"].kind == "section"
    depth = found["inner.depth"]
    assert (depth.kind, depth.unit, depth.default) == ("number", "m", "1.5")
    assert depth.meaning == "how deep"
    assert found["pair"].kind == "2 whole numbers >= 1, or null"
    assert found["pair"].default == "null"
    assert (found["wait"].kind, found["wait"].default) == ("duration", "2 h")
    assert found["names"].kind == "list of texts"
    assert found["names"].default == '[a, "b: c"]'


@pytest.mark.parametrize("name", workload_names())
def test_list_shows_every_parameter_with_default_and_meaning(name):
    cls = find_workload(name, "test")
    text = describe_workloads(name)
    assert text.startswith(f"{name}: {cls.summary}\n")
    words = " ".join(text.split())
    for key, field in cls.Parameters.model_fields.items():
        assert re.search(rf"^{key}\s+\S", text, re.MULTILINE), key
        assert " ".join(field.description.split()) in words
    for entry in entries(cls.Parameters):
        row = next(row for row in text.splitlines() if row.split()[:1] == [entry.name])
        assert entry.kind in row and row.endswith(entry.default or entry.kind)
    assert max(map(len, text.splitlines())) <= 100


def test_list_of_all_names_each_workload_its_keys_and_the_way_on():
    text = describe_workloads(None)
    for name in workload_names():
        cls = find_workload(name, "test")
        assert f"  {name}" in text and cls.summary in text
        assert all(key in text for key in cls.Parameters.model_fields)
    assert "hpcapp list WORKLOAD" in text and "hpcapp init WORKLOAD" in text
    assert "run, output, checkpoint" in text


def test_list_of_a_section_shows_its_keys():
    text = describe_workloads("run")
    assert all(re.search(rf"^{key} ", text, re.MULTILINE) for key in Run.model_fields)
    assert "cpu | cuda | auto" in text
    assert "whole number >= 0 and <= 2^64 - 1" in text
    assert "check | warn | off" in text


def test_list_of_own_workload_by_dotted_name():
    text = describe_workloads("own.quadrature")
    assert "chunk" in text and "points of a step" in text


def test_list_tells_what_may_grow():
    start = "A finished run can be extended by resume: "
    text = describe_workloads("laplace")
    assert f"{start}accuracy, max_iterations, tolerance\n" in text
    assert start not in describe_workloads("own.quadrature")
    # without its required parameter there is no instance to ask
    assert f"{start}points, from a start of 0\n" in describe_workloads("own.needy")


@pytest.mark.parametrize(
    ("name", "hint"), [("laplac", "laplace"), ("chekpoint", "checkpoint")]
)
def test_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(ConfigError) as caught:
        describe_workloads(name)
    assert str(caught.value) == (
        f"list: no workload or section '{name}', did you mean '{hint}'?"
    )


@pytest.mark.parametrize(
    "value", [0.0, 1e-6, 1e300, -2, True, None, "sin(pi*x)", "off"]
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v, [v]], lambda v: {"k": v}])
def test_flow_reads_back_as_the_same_value(value, wrap):
    text = flow(wrap(value))
    assert "\n" not in text
    assert parse_yaml(f"key: {text}", "test").values["key"] == wrap(value)


@pytest.mark.parametrize(
    "text",
    [
        "600 s",
        "1e5",
        "12:30:00",
        "a: b",
        "#",
        "",
        "null",
        "{name}/x",
        "results/{name}",
        "x, y",
        "~",
    ],
)
def test_flow_quotes_texts_that_yaml_would_take_for_something_else(text):
    for value in (text, [text]):
        assert parse_yaml(f"key: {flow(value)}", "test").values["key"] == value


def test_numbers_are_written_as_people_do():
    assert [flow(value) for value in (1e300, 1e-6, 2.0)] == ["1e300", "1e-6", "2.0"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"type": "number", "exclusiveMinimum": 0, "maximum": 2},
            "number > 0 and <= 2",
        ),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, "number or text"),
        ({"enum": ["a", "b", 3]}, "a | b | 3"),
        ({"type": "integer", "minimum": 1000001}, "whole number >= 1000001"),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            "list: whole number; text",
        ),
        ({"type": "array"}, "list of any value"),
        ({}, "any value"),
    ],
)
def test_types_in_words(schema, words):
    assert type_words(schema) == words


# --- starters


@pytest.mark.parametrize("name", [*workload_names(), "own.quadrature"])
def test_starter_is_valid_and_names_the_schema(name, tmp_path):
    path = tmp_path / "start.yaml"
    assert write_starter(name, str(path)) == str(path)
    first, *rest = path.read_text().splitlines()
    assert first.startswith(SCHEMA_LINE)
    assert Path(first.removeprefix(SCHEMA_LINE)).is_file()
    assert not any(line.startswith(SCHEMA_LINE) for line in rest)
    assert sum("#" in line for line in rest) >= 8
    problem = read_problem(str(path), (), {})
    assert problem.config.workload == name
    assert problem.config.output.directory == "results/start"


def test_generated_starter_holds_every_key_and_its_meaning(tmp_path):
    path = tmp_path / "q.yaml"
    write_starter("own.quadrature", str(path))
    text = path.read_text()
    cls = find_workload("own.quadrature", "test")
    for key, field in cls.Parameters.model_fields.items():
        assert f"  # {field.description}" in text
        assert f"\n  {key}: {flow(field.default)}\n" in text
    problem = read_problem(str(path), (), {})
    assert problem.config.parameters == cls.Parameters()
    assert problem.config.run == Run()


def test_generated_starter_indents_sections_and_marks_required(tmp_path, monkeypatch):
    from hpcapp.studies import catalogue

    class Known:
        summary = "a test"
        Parameters = Outer

    monkeypatch.setattr(catalogue, "find_workload", lambda name, place: Known)
    text = Path(write_starter("a.known", str(tmp_path / "k.yaml"))).read_text()
    assert "\n  needed:  # required\n" in text
    values = parse_yaml(text, "k.yaml").values["parameters"]
    assert values["inner"] == {"depth": 1.5}
    assert values["names"] == ["a", "b: c"]
    assert values["wait"] == "2 h"


def test_alternatives_in_the_comments_of_a_shipped_starter_are_valid(tmp_path, root):
    text = (root / "hpcapp" / "starters" / "laplace.yaml").read_text()
    singles = re.findall(r"^  # ((?:source|domain): .+)$", text, re.MULTILINE)
    assert len(singles) >= 3
    sides = re.findall(r"# .*?((?:left|right|bottom|top): .+)$", text, re.MULTILINE)
    assert len(sides) >= 4
    for number, line in enumerate([*singles, *sides]):
        key, _, value = line.partition(": ")
        key = key if line in singles else f"boundary.{key}"
        own = tmp_path / f"{number}.yaml"
        own.write_text(text)
        setting = f"parameters.{key}={value}"
        read_problem(str(own), (setting,), {}).workload.fields()
    changed = text.replace("  accuracy: 1e-6\n", "").replace(
        "# tolerance: 1e-8", "\n  tolerance: 1e-8"
    )
    own.write_text(changed)
    assert read_problem(str(own), (), {}).config.parameters.tolerance == 1e-8


def test_existing_file_is_never_overwritten(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="exists already and is kept"):
        write_starter("laplace", str(path))
    assert path.read_text() == "precious"


def test_starter_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        write_starter("laplace", str(tmp_path / "none" / "x.yaml"))


def test_starter_of_unknown_workload_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match="init: workload: no workload 'lapace', did you"
    ):
        write_starter("lapace", str(tmp_path / "x.yaml"))


def test_commands_use_the_default_name_and_exit_codes(hpcapp, tmp_path):
    done = hpcapp("init", "laplace", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith(
        "laplace.yaml: written; next"
    )
    again = hpcapp("init", "laplace", cwd=tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr
    assert hpcapp("list", "laplace").stdout.startswith("laplace: ")


LIGHT = """
import sys
from hpcapp.cli import run_command_line
code = run_command_line(sys.argv[1:])
heavy = {"mpi4py", "numba", "xarray"} & set(sys.modules)
sys.exit(f"{sys.argv[1]}: imports {heavy}" if heavy else 0)
"""


def test_serial_commands_import_neither_mpi_nor_numba_nor_xarray(root, tmp_path):
    for name in ("a.nc", "b.nc"):
        with netCDF4.Dataset(tmp_path / name, "w") as file:
            file.createVariable("v", "f8", ())[...] = 1
    config = str(root / "configs" / "laplace.yaml")
    for command in (
        ["plan", config],
        ["list"],
        ["list", "laplace"],
        ["init", "laplace"],
        ["compare", "a.nc", "b.nc"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", LIGHT, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
