# SPDX-License-Identifier: MIT
"""The JSON Schema: in step with the models, and it judges as the program does."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from hpcapp.config import Checkpoint, Output, Run
from hpcapp.discovery import find_workload, workload_names
from hpcapp.studies import schema as module
from hpcapp.studies.schema import build_schema, schema_path, schema_text
from hpcapp.yaml_source import read_yaml

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("configs", "hpcapp/starters", "tests/own")
    for path in (ROOT / folder).rglob("*.yaml")
)


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(schema_path().read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_shipped_schema_is_in_step_with_the_models():
    shipped = json.loads(schema_path().read_text())
    assert shipped == build_schema(), "run: python -m hpcapp.studies.schema"


def test_schema_is_written_where_editors_look(tmp_path, monkeypatch, capsys):
    target = tmp_path / "config.json"
    monkeypatch.setattr(module, "schema_path", lambda: target)
    module.main()
    assert target.read_text() == schema_text()
    assert "written" in capsys.readouterr().out


def test_only_standard_keywords_and_units():
    keywords = set()

    def walk(node, names):
        for key, value in node.items():
            if not names:
                keywords.add(key)
            if isinstance(value, dict) and key not in ("default", "const"):
                walk(value, not names and key in ("properties", "$defs"))
            for item in value if isinstance(value, list) else ():
                if isinstance(item, dict):
                    walk(item, False)

    walk(build_schema(), False)
    told = {"$schema", "$defs", "$comment", "title", "description", "default", "then"}
    assert keywords - set(jsonschema.Draft202012Validator.VALIDATORS) - told == {"unit"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_examples_and_starters_are_valid(path, validator):
    values = read_yaml(str(path)).values
    assert list(validator.iter_errors(values)) == []


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if "own" not in path.parts],
    ids=lambda path: path.stem,
)
def test_examples_name_the_schema_so_that_editors_find_it(path):
    first = path.read_text().splitlines()[0]
    relative = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / relative).resolve() == schema_path().resolve()


GOOD = {
    "workload": "laplace",
    "parameters": {"shape": [33, 33], "accuracy": 1e-6, "boundary": {"left": "y*y"}},
    "run": {"threads": "auto", "wall_time": "2 h"},
    "output": {"writer": "direct"},
    "checkpoint": {"every": 600, "keep": 2},
}

BAD = [
    (("wrokload",), "laplace"),
    (("workload",), "laplac"),
    (("workload",), 3),
    (("parameters", "tolerence"), 1e-6),
    (("parameters", "boundary", "lefft"), 0),
    (("parameters", "shape"), [33, 2]),
    (("parameters", "shape"), [33.5, 33]),
    (("parameters", "shape"), [33, 33, 33]),
    (("parameters", "accuracy"), 0),
    (("parameters", "accuracy"), "small"),
    (("parameters", "max_iterations"), -1),
    (("parameters",), None),
    (("run", "thread"), 2),
    (("run", "threads"), 0),
    (("run", "wall_time"), "2 hours"),
    (("run", "device"), "gpu"),
    (("output", "folder"), "x"),
    (("checkpoint", "keep"), 0),
    (("version",), 2),
]


def test_good_document_is_valid(validator):
    assert list(validator.iter_errors(GOOD)) == []
    assert list(validator.iter_errors({"workload": "laplace"})) == []


@pytest.mark.parametrize(("key", "value"), BAD, ids=lambda part: str(part))
def test_typos_and_bad_values_are_refused(key, value, validator):
    document = copy.deepcopy(GOOD)
    section = document
    for part in key[:-1]:
        section = section[part]
    section[key[-1]] = value
    assert list(validator.iter_errors(document))


def test_own_workload_has_free_parameters_but_checked_sections(validator):
    own = {"workload": "package.module", "parameters": {"anything": [1, {"a": 2}]}}
    assert list(validator.iter_errors(own)) == []
    assert list(validator.iter_errors({**own, "run": {"thread": 2}}))
    assert list(validator.iter_errors({"parameters": {}}))


def test_every_parameter_is_described_with_its_unit():
    schema = build_schema()
    for name in workload_names():
        model = find_workload(name, "test").Parameters
        described = schema["$defs"][name]["properties"]
        assert list(described) == list(model.model_fields)
        for key, field in model.model_fields.items():
            assert described[key]["description"].startswith(field.description)
            assert described[key]["unit"] == field.json_schema_extra["unit"]
    for name, model in {"Run": Run, "Output": Output, "Checkpoint": Checkpoint}.items():
        assert list(schema["$defs"][name]["properties"]) == list(model.model_fields)
    assert (
        "(unit: s)" in schema["$defs"]["Run"]["properties"]["wall_time"]["description"]
    )
    summaries = {
        option.get("const"): option["description"]
        for option in schema["properties"]["workload"]["anyOf"]
    }
    assert summaries["laplace"] == find_workload("laplace", "test").summary


def test_a_parameter_may_be_called_title_and_be_required(monkeypatch):
    from hpcapp.config import Integer, Model, parameter

    class Known:
        summary = "a test"

        class Parameters(Model):
            """Odd names."""

            title: Integer = parameter(..., "which")

    monkeypatch.setattr(module, "workload_names", lambda: ["known"])
    monkeypatch.setattr(module, "find_workload", lambda name, place: Known)
    judge = jsonschema.Draft202012Validator(build_schema())
    assert judge.is_valid({"workload": "known", "parameters": {"title": 3}})
    assert not judge.is_valid({"workload": "known", "parameters": {"title": "x"}})
    assert not judge.is_valid({"workload": "known"})
