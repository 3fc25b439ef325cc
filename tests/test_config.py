# SPDX-License-Identifier: MIT
"""Laws of the configuration: messages, order of sources, and that it reads back."""

import copy
import json
import pickle
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hpcapp.config import Model, Run, parameter
from hpcapp.discovery import find_workload
from hpcapp.errors import ConfigError, Exit, PlanError
from hpcapp.messages import LIMIT, nearest, shown
from hpcapp.planning import make_plan
from hpcapp.problem import dump_yaml, parse_problem, read_problem
from hpcapp.yaml_source import parse_yaml

HEAD = "workload: laplace\nparameters:\n"


def problem(text, *settings, **environ):
    return parse_problem(text, "configs/laplace.yaml", settings, environ)


def refusal(text, *settings, **environ):
    with pytest.raises(ConfigError) as caught:
        problem(text, *settings, **environ)
    assert caught.value.code == Exit.USAGE == 2
    return str(caught.value)


# --- the contract's own example

EXAMPLE = """workload: laplace
# what to solve
parameters:
  shape: [65, 65]
  boundary:
    top: sin(pi*x)
  tolerance: -1e-6
"""


def test_negative_tolerance_is_named_by_file_line_key_and_spelling():
    message = refusal(EXAMPLE)
    assert message.startswith(
        "configs/laplace.yaml:7: parameters.tolerance: must be > 0"
    )
    assert message.endswith(", got -1e-6")
    assert "\n" not in message


# --- unknown keys


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workload: laplace\nrnu: {}\n", "2: rnu: unknown key, did you mean 'run'?"),
        (
            HEAD + "  tolerence: 1e-3\n",
            "3: parameters.tolerence: unknown key, did you mean 'tolerance'?",
        ),
        (
            HEAD + "  boundary:\n    tpo: 1\n",
            "4: parameters.boundary.tpo: unknown key, did you mean 'top'?",
        ),
        (
            "workload: laplace\nrun: {thread: 2}\n",
            "2: run.thread: unknown key, did you mean 'threads'?",
        ),
        (
            "workload: laplace\noutput: {directry: x}\n",
            "2: output.directry: unknown key, did you mean 'directory'?",
        ),
        (
            "workload: laplace\ncheckpoint: {evry: 1 h}\n",
            "2: checkpoint.evry: unknown key, did you mean 'every'?",
        ),
        (
            "workload: laplace\ncheckpoint: {zzz: 1}\n",
            "2: checkpoint.zzz: unknown key; known: every, keep",
        ),
        (
            'workload: laplace\n"a\\nb": 1\n',
            "2: a\\nb: unknown key; known: checkpoint, output, parameters, run, "
            "version, workload",
        ),
    ],
)
def test_unknown_key_gets_the_nearest_known_one(text, message):
    assert refusal(text) == f"configs/laplace.yaml:{message}"


def test_nearest_names_nothing_where_nothing_is_known():
    assert nearest("x", []) == ""


# --- wrong types and values


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tolerance: true", "tolerance: must be a number, got true"),
        ("tolerance: fine", "tolerance: must be a number, got fine"),
        ("tolerance: [1]", "tolerance: must be a number, got [1]"),
        ("tolerance: '1e-3'", "tolerance: must be a number, got 1e-3"),
        ("tolerance: 1", "tolerance: must be < 1, got 1"),
        ("tolerance: .nan", "tolerance: must be a finite number, got .nan"),
        ("tolerance: 1e999", "tolerance: must be a finite number, got 1e999"),
        ("tolerance: |\n    a\n    b", r"tolerance: must be a number, got a\nb\n"),
        ("accuracy: 0", "accuracy: must be > 0, got 0"),
        ("shape: 65", "shape: must be a list, got 65"),
        ("shape: null", "shape: must be a list, got null"),
        ("shape: [5, 6, 7]", "shape: must have at most 2 items, got [5, 6, 7]"),
        (
            "shape: [5]",
            "shape: item 1 of the list is missing (they count from 0), got [5]",
        ),
        ("shape: [5, x]", "shape.1: must be a whole number, got x"),
        ("shape: [5, true]", "shape.1: must be a whole number, got true"),
        ("shape: [5, 2]", "shape.1: must be >= 3, got 2"),
        ("shape: [5, 3.5]", "shape.1: must be a whole number, got 3.5"),
        ("shape: [1e300, 5]", "shape.0: must be <= 1000000000, got 1e300"),
        ("max_iterations: 1e-3", "max_iterations: must be a whole number, got 1e-3"),
        ("max_iterations: -1", "max_iterations: must be >= 0, got -1"),
        (
            "method: jacoby",
            "method: must be one of 'jacobi', 'sor', 'multigrid' or 'cg', got jacoby",
        ),
        ("boundary: 5", "boundary: must be a section of keys and values, got 5"),
        ("boundary: null", "boundary: must be a section of keys and values, got null"),
        (
            "boundary: {top: true}",
            "boundary.top: must be a number or an expression in x and y, "
            "or {flux: it}, got true",
        ),
        (
            "boundary: {top: sni(x)}",
            "boundary.top: unknown name 'sni' at column 1, did you mean 'sin'? "
            "(variables: x, y), got sni(x)",
        ),
        (
            "domain: [[0, 1], [1, 1]]",
            "domain.1: must go from a smaller to a larger number, got [1, 1]",
        ),
        (
            "domain: [[0, 1e-200], [0, 1]]",
            "domain.0: must be from 1e-100 to 1e100 long, got [0, 1e-200]",
        ),
        ("relaxation: 2", "relaxation: must be < 2, got 2"),
        ("halo_depth: 65", "halo_depth: must be <= 64, got 65"),
    ],
)
def test_wrong_value_is_named_with_its_rule(line, message):
    got = refusal(HEAD + f"  {line}\n")
    assert got == f"configs/laplace.yaml:3: parameters.{message}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("threads: 0", "threads: must be auto or a whole number >= 1, got 0"),
        ("threads: yes", "threads: must be auto or a whole number >= 1, got yes"),
        ("seed: -1", "seed: must be >= 0, got -1"),
        (
            "seed: 18446744073709551616",
            "seed: must be <= 18446744073709551615, got 18446744073709551616",
        ),
        ("device: gpu", "device: must be one of 'cpu', 'cuda' or 'auto', got gpu"),
        ("process_grid: [0, 1]", "process_grid.0: must be >= 1, got 0"),
        ("process_grid: 4", "process_grid: must be a list, got 4"),
        ("process_grid: []", "process_grid: must have at least an item, got []"),
        (
            "process_grid: [1, 1, 1, 1]",
            "process_grid: must have at most 3 items, got [1, 1, 1, 1]",
        ),
        ("wall_time: 0", "wall_time: must be > 0, got 0"),
    ],
)
def test_wrong_value_in_run_is_named_with_its_rule(line, message):
    got = refusal(f"workload: laplace\nrun: {{{line}}}\n")
    assert got == f"configs/laplace.yaml:2: run.{message}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("shape=[5]", "shape: item 1 of the list is missing (they count from 0)"),
        ("shape=[]", "shape: item 0 of the list is missing (they count from 0)"),
        (
            "domain=[[0], [0, 1]]",
            "domain.0: item 1 of the list is missing (they count from 0)",
        ),
        ("domain=[[0, 1]]", "domain: item 1 of the list is missing"),
        ("domain=[[1, 0], [0, 1]]", "domain.0: must go from a smaller to a larger"),
    ],
)
def test_short_list_of_an_option_is_named_with_its_key_and_value(setting, message):
    value = "[0]" if "[[0]," in setting else setting.partition("=")[2]
    first = refusal("workload: laplace\n", f"parameters.{setting}").splitlines()[0]
    assert first.startswith(f"--set: parameters.{message}")
    if "missing" in message:
        assert first.endswith(f"(they count from 0), got {value}")


def test_key_missing_in_a_section_given_whole_is_named():
    text = "workload: tests.own.needy\n"
    assert refusal(text, "parameters={start: 1}") == (
        "--set: parameters.points: is required"
    )


def test_text_is_no_number_and_a_number_no_text():
    message = refusal("workload: laplace\noutput: {directory: 5}\n")
    assert message == "configs/laplace.yaml:2: output.directory: must be a text, got 5"


def test_all_faults_are_told_each_on_a_line_of_its_own():
    lines = refusal("workload: laplace\nrun: {seed: -1, threads: x}\nrnu: 1\n")
    assert len(lines.splitlines()) == 3


def test_many_faults_are_cut_off_and_counted():
    many = "".join(f"key{n}: 1\n" for n in range(LIMIT + 7))
    lines = refusal("workload: laplace\n" + many).splitlines()
    assert len(lines) == LIMIT + 1
    assert lines[-1] == "configs/laplace.yaml: 7 more faults"


def test_long_values_are_shortened():
    message = refusal("workload: laplace\nrun: {seed: " + "x" * 5000 + "}\n")
    assert message.endswith(", got " + "x" * 57 + "...")


def test_required_parameter_is_asked_for():
    class Needy(Model):
        points: int = parameter(..., "how many")

    from hpcapp.config import build_config
    from hpcapp.yaml_source import parse_yaml

    with pytest.raises(ConfigError) as caught:
        build_config(parse_yaml("workload: w\nparameters: {}\n", "c.yaml"), Needy, {})
    assert str(caught.value) == "c.yaml:2: parameters.points: is required"


# --- relations between keys


def test_tolerance_below_the_rounding_floor_is_refused_with_the_number():
    # 1e-16 N^2 with N = 1000 intervals
    message = refusal(HEAD + "  shape: [1001, 5]\n  tolerance: 1e-11\n")
    assert message == (
        "configs/laplace.yaml:4: parameters.tolerance: must be >= 1e-10, which "
        "rounding allows on 1001 x 5 points (1e-16 N^2), got 1e-11"
    )


@pytest.mark.parametrize("tolerance", ["1e-10", "0"])
def test_tolerance_at_the_floor_and_zero_are_accepted(tolerance):
    problem(HEAD + f"  shape: [1001, 5]\n  tolerance: {tolerance}\n")


def test_tolerance_and_accuracy_exclude_each_other():
    message = refusal(HEAD + "  tolerance: 1e-3\n  accuracy: 1e-4\n")
    rule = "give tolerance or accuracy, not both"
    assert message == f"configs/laplace.yaml:4: parameters.accuracy: {rule}, got 1e-4"


def test_relaxation_is_for_sor_only():
    message = refusal(HEAD + "  relaxation: 1.5\n  method: jacobi\n")
    rule = "is for method: sor only"
    assert message == f"configs/laplace.yaml:3: parameters.relaxation: {rule}, got 1.5"


# --- numbers


def test_count_may_be_written_as_a_power_of_ten():
    config = problem(HEAD + "  max_iterations: 1e8\n").config
    assert config.parameters.max_iterations == 10**8
    assert type(config.parameters.max_iterations) is int


def test_leading_zero_does_not_make_a_number_octal():
    assert problem("workload: laplace\nrun: {seed: 010}\n").config.run.seed == 10


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("600", 600),
        ("0.5", 0.5),
        ("600 s", 600),
        ("600s", 600),
        ("1e3 s", 1000),
        ("90 min", 5400),
        ("2 h", 7200),
        ("1.5 d", 129600),
        ("02:00:00", 7200),
        ("100:00:01", 360001),
        ("'0:00:05'", 5),
    ],
)
def test_durations(text, seconds):
    config = problem(f"workload: laplace\nrun: {{wall_time: {text}}}\n").config
    assert config.run.wall_time == seconds


@pytest.mark.parametrize(
    "text",
    ["5 m", "'600'", "1:00", "00:60:00", "true", "s", "-1 s", "1 s s", "''", "[1]"],
)
def test_what_is_no_duration_is_refused(text):
    message = refusal(f"workload: laplace\nrun: {{wall_time: {text}}}\n")
    rule = "must be a duration such as 600 s, 2 h or 02:00:00"
    assert message.startswith(f"configs/laplace.yaml:2: run.wall_time: {rule}")


@pytest.mark.parametrize(
    ("text", "rule"),
    [("0 s", "> 0"), ("-5", "> 0"), ("1e999 s", "a finite number")],
)
def test_duration_out_of_range_is_refused(text, rule):
    message = refusal(f"workload: laplace\ncheckpoint: {{every: {text}}}\n")
    expected = f"2: checkpoint.every: must be {rule}, got {text}"
    assert message == f"configs/laplace.yaml:{expected}"


def test_checkpoints_can_be_switched_off():
    config = problem("workload: laplace\ncheckpoint: {every: null}\n").config
    assert config.checkpoint.every is None


# --- order of sources


def test_command_line_wins_over_environment_over_file_over_default():
    def threads(text, *settings, **environ):
        return problem(text, *settings, **environ).config.run.threads

    plain, text = "workload: laplace\n", "workload: laplace\nrun: {threads: 2}\n"
    environ = {"HPCAPP_RUN_THREADS": "3"}
    assert threads(plain) == "auto"
    assert threads(text) == 2
    assert threads(plain, **environ) == 3
    assert threads(text, **environ) == 3
    assert threads(text, "run.threads=4", **environ) == 4
    assert threads(text, "run.threads=4", "run.threads=5") == 5


def test_other_variables_of_ours_are_no_settings():
    environ = {"HPCAPP_CACHE": "x", "HPCAPP_PROGRESS": "bar", "RUN_THREADS": "7"}
    assert problem("workload: laplace\n", **environ).config.run == Run()


@pytest.mark.parametrize(
    ("settings", "environ", "message"),
    [
        (("run.seed=-1",), {}, "--set: run.seed: must be >= 0, got -1"),
        (("run.seed=",), {}, "--set: run.seed: must be a whole number, got null"),
        (
            ("parameters.boundary={tpo: 1}",),
            {},
            "--set: parameters.boundary.tpo: unknown key, did you mean 'top'?",
        ),
        (
            ("parameters.boundary={top: [1e-6]}",),
            {},
            "--set: parameters.boundary.top: must be a number or an expression in x "
            "and y, or {flux: it}, got [1e-06]",
        ),
        (("run=5",), {}, "--set: run: must be a section of keys and values, got 5"),
        (
            (),
            {"HPCAPP_RUN_THREADS": "-3"},
            "HPCAPP_RUN_THREADS: run.threads: must be auto or a whole number >= 1, "
            "got -3",
        ),
        (
            (),
            {"HPCAPP_RUN_THREDS": "3"},
            "HPCAPP_RUN_THREDS: run.threds: unknown key, did you mean 'threads'?",
        ),
    ],
)
def test_fault_in_a_setting_names_the_option_or_variable(settings, environ, message):
    assert refusal("workload: laplace\n", *settings, **environ) == message


def test_setting_can_change_the_workload():
    message = refusal("workload: laplace\n", "workload=laplcae")
    assert message.startswith("--set: workload: no workload 'laplcae', did you mean")


# --- workload and version


def test_workload_is_required():
    rule = "workload: is required; hpcapp list shows what there is"
    assert refusal("") == f"configs/laplace.yaml: {rule}"
    assert refusal("workload: null\n") == f"configs/laplace.yaml: {rule}"


@pytest.mark.parametrize("version", ["2", "99", "2.0"])
def test_newer_version_is_refused(version):
    message = refusal(f"version: {version}\nworkload: laplace\nfuture: 1\n")
    assert message.startswith(
        f"configs/laplace.yaml:1: version: must be <= 1, got {version}"
    )
    assert "future" not in message or version == "2.0"


def test_newer_version_is_called_so():
    message = refusal("version: 2\nworkload: of.the.future\n")
    assert message.endswith(": written for a newer hpcapp")


@pytest.mark.parametrize("version", ["0", "x", "true", "1.5"])
def test_impossible_version_is_refused(version):
    message = refusal(f"version: {version}\nworkload: laplace\n")
    assert message.startswith("configs/laplace.yaml:1: version: must be ")


# --- paths


def test_paths_expand_home_variables_and_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")

    def directory(text, **environ):
        text = f"workload: laplace\noutput: {{directory: '{text}'}}\n"
        return problem(text, **environ).config.output.directory

    assert directory("~/x") == "/home/ada/x"
    assert directory("a~b") == "a~b"
    assert directory("${A}/${B}_{name}", A="1", B="2") == "1/2_laplace"
    assert directory("$A", A="1") == "$A"
    assert problem("workload: laplace\n").config.output.directory == "results/laplace"


def test_unset_variable_in_a_path_is_refused():
    message = refusal("workload: laplace\noutput: {directory: 'a/${NOPE}'}\n")
    rule = "the environment variable NOPE is not set, got a/${NOPE}"
    assert message == f"configs/laplace.yaml:2: output.directory: {rule}"


@pytest.mark.parametrize(("text", "got"), [('""', ""), ('"a\\0b"', ", got a\\x00b")])
def test_impossible_directory_is_refused(text, got):
    message = refusal(f"workload: laplace\noutput: {{directory: {text}}}\n")
    rule = "output.directory: must name a file or directory"
    assert message == f"configs/laplace.yaml:2: {rule}{got}"


def test_paths_of_a_workload_expand_like_the_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    text = "workload: tests.own.needy\nparameters:\n  points: 5\n"
    assert problem(text).config.parameters.inputs == ("/home/ada/a",)
    more = text + "  inputs: ['${DATA}/*.txt', '~/b', 'x{name}']\n"
    found = problem(more, DATA="/data")
    assert found.config.parameters.inputs == ("/data/*.txt", "/home/ada/b", "x{name}")
    # what a run writes down has its paths as they were used
    round_trip(found)
    assert refusal(more) == (
        "configs/laplace.yaml:4: parameters.inputs.0: the environment variable DATA is "
        "not set, got ${DATA}/*.txt"
    )
    assert refusal(text + "  inputs: ['']\n") == (
        "configs/laplace.yaml:4: parameters.inputs.0: must name a file or directory"
    )


def test_file_is_read_with_its_environment(tmp_path):
    path = tmp_path / "mine.run.yaml"
    path.write_text("workload: laplace\n")
    config = read_problem(str(path), (), {"HPCAPP_RUN_SEED": "7"}).config
    assert (config.run.seed, config.output.directory) == (7, "results/mine.run")


# --- frozen, pickled, written and read back

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0${}~"), min_size=1, max_size=40
)
EXPRESSIONS = st.sampled_from(
    [
        "sin(pi*x)",
        "10",
        "1e5",
        "x",
        "1_0",
        "  x  +  y",
        "x*y - " * 30 + "1",
        "0 < x < 1",
    ]
)
FLOATS = st.floats(1e-6, 0.999)


def round_trip(first):
    again = parse_problem(first.text(), first.config.origin, (), {})
    assert again.config == first.config
    assert again.text() == first.text()


@pytest.mark.parametrize("text", ["?0", "?", "- a", "!x", "&a", "*b", "%x", "`", "|"])
def test_texts_that_begin_with_a_sign_read_back_equal(text):
    document = {"output": {"directory": text}, "list": [text, 1]}
    assert parse_yaml(dump_yaml(document), "x").values == document


@settings(deadline=None, max_examples=60)
@given(
    directory=TEXTS,
    seed=st.integers(0, 2**64 - 1),
    wall=st.none() | st.floats(1e-3, 1e12),
    tolerance=st.none() | FLOATS,
    top=EXPRESSIONS | st.floats(-1e300, 1e300),
    domain=st.tuples(st.floats(-1e9, 0), st.floats(1e-3, 1e9)),
)
def test_configuration_as_written_reads_back_equal(
    directory, seed, wall, tolerance, top, domain
):
    document = {
        "run": {"seed": seed, "wall_time": wall, "process_grid": [2, 1]},
        "output": {"directory": directory},
        "parameters": {
            "tolerance": tolerance,
            "boundary": {"top": top},
            "domain": [list(domain), [0, 1]],
        },
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in document.items()]
    try:
        first = problem("workload: laplace\n" + "\n".join(lines))
    except ConfigError as error:
        # a path of blanks and control characters is refused before
        assert "no valid YAML" in str(error) or "output.directory" in str(error)
        return
    round_trip(first)


def test_configuration_changed_by_settings_reads_back_equal():
    changed = problem(
        "workload: laplace\n",
        "parameters.boundary={left: 1e-6, top: 'x**2'}",
        "parameters.shape=[9, 1e1]",
        "checkpoint.every=2 h",
        HPCAPP_RUN_MEMORY="off",
    )
    round_trip(changed)
    assert changed.config.parameters.shape == (9, 10)
    assert changed.config.run.memory == "off"


def test_written_configuration_holds_every_key():
    document = parse_problem("workload: laplace\n", "c.yaml", (), {}).config.document()
    cls = find_workload("laplace", "here")
    assert set(document["parameters"]) == set(cls.Parameters.model_fields)
    assert set(document["run"]) == set(Run.model_fields)
    assert document["version"] == 1


def test_configuration_cannot_be_changed():
    config = problem("workload: laplace\n").config
    with pytest.raises(ValidationError, match="frozen"):
        config.run.seed = 5
    with pytest.raises(AttributeError):
        config.workload = "x"


def test_problem_travels_between_processes_with_its_workload():
    first = problem(EXAMPLE.replace("-1e-6", "1e-6"))
    assert first.workload.parameters is first.config.parameters
    again = pickle.loads(pickle.dumps(first))
    assert again.config == first.config
    assert again.workload.domain() == first.workload.domain()
    assert copy.deepcopy(first).config == first.config


def test_process_grid_that_does_not_fit_is_refused():
    refused = problem("workload: laplace\nrun: {process_grid: [2, 3]}\n")
    with pytest.raises(ConfigError) as caught:
        refused.layout(5)
    rule = "must not need more than the 5 ranks that there are, got 2 x 3"
    assert str(caught.value) == f"configs/laplace.yaml:2: run.process_grid: {rule}"


# --- faults that only a later look finds: the configuration knows its places


def test_configuration_knows_where_each_key_was_set():
    config = problem(
        EXAMPLE.replace("-1e-6", "1e-6") + "checkpoint:\n  keep: 3\n",
        "run.seed=5",
        "parameters.boundary={left: 1}",
        HPCAPP_RUN_THREADS="2",
    ).config
    assert config.where("parameters", "tolerance") == "configs/laplace.yaml:7"
    assert config.where("parameters", "shape", "1") == "configs/laplace.yaml:4"
    assert config.where("parameters", "boundary", "left") == "--set"
    assert config.where("run", "seed") == "--set"
    assert config.where("run", "threads") == "HPCAPP_RUN_THREADS"
    # not set: the section around it, unless an option made that, or the file
    assert config.where("checkpoint", "every") == "configs/laplace.yaml:8"
    assert config.where("run", "process_grid") == "configs/laplace.yaml"
    assert config.where("output", "directory") == "configs/laplace.yaml"
    assert pickle.loads(pickle.dumps(config)).places == config.places


def test_option_is_no_place_for_what_is_not_set_beside_it():
    text = "workload: tests.own.needy\n"
    assert refusal(text, "parameters.start=1") == (
        "configs/laplace.yaml: parameters.points: is required"
    )


def test_process_grid_that_does_not_fit_names_the_option_that_gave_it():
    refused = problem("workload: laplace\nrun: {seed: 1}\n", "run.process_grid=[9, 9]")
    with pytest.raises(ConfigError) as caught:
        refused.layout(5)
    assert str(caught.value).startswith("--set: run.process_grid: must not need more")


@pytest.mark.parametrize(
    ("workload", "grid", "rule"),
    [
        ("laplace", [2], "2 numbers for the axes y, x, got 2"),
        ("laplace", [2, 1, 1], "2 numbers for the axes y, x, got 2 x 1 x 1"),
        ("tests.own.quadrature", [2, 1], "1 number for the axis point, got 2 x 1"),
    ],
)
def test_process_grid_has_a_number_for_each_axis(workload, grid, rule):
    refused = problem(f"workload: {workload}\n", HPCAPP_RUN_PROCESS_GRID=str(grid))
    with pytest.raises(ConfigError) as caught:
        refused.layout(5)
    assert str(caught.value) == (
        f"HPCAPP_RUN_PROCESS_GRID: run.process_grid: must have {rule}"
    )


def test_workload_of_one_axis_takes_a_process_grid():
    text = "workload: tests.own.quadrature\nrun: {process_grid: [3]}\n"
    layout = problem(text).layout(5)
    assert (layout.grid, layout.used) == ((3,), 3)


def test_boundary_that_is_no_number_is_named_with_its_line():
    refused = problem(HEAD + "  shape: [5, 5]\n  boundary:\n    left: log(y)\n")
    with pytest.raises(ConfigError) as caught:
        refused.check()
    assert str(caught.value) == (
        "configs/laplace.yaml:5: parameters.boundary.left: must be a finite number on "
        "the whole side, got log(y), which is none at x = 0, y = 0"
    )


def test_fault_without_a_key_is_placed_in_the_file():
    with (
        pytest.raises(PlanError) as caught,
        problem("workload: laplace").config.placing(),
    ):
        raise PlanError("too much")
    assert str(caught.value) == "configs/laplace.yaml: too much"


def test_fault_travels_between_processes_with_its_key():
    error = pickle.loads(pickle.dumps(ConfigError("is wrong", key="run.seed")))
    assert (str(error), error.key) == ("run.seed: is wrong", "run.seed")


def test_directory_of_an_option_goes_before_settings_and_is_named_by_it(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("workload: laplace\n")
    odd = "it's {a: b}"
    setting = ("output.directory=x",)
    config = read_problem(str(path), setting, {}, ("--output", odd)).config
    assert config.output.directory == odd
    assert config.where("output", "directory") == "--output"
    with pytest.raises(ConfigError) as caught:
        read_problem(str(path), (), {}, ("--output", ""))
    assert str(caught.value) == (
        "--output: output.directory: must name a file or directory, got ''"
    )


def test_values_are_shown_as_they_are_written():
    assert [shown(value) for value in (None, True, 1e-6, "a\tb\u2028")] == [
        "null",
        "true",
        "1e-06",
        "a\\tb\\u2028",
    ]


# --- any file: a problem or a message

SECTIONS = {
    "parameters": [
        *("shape", "domain", "boundary", "source", "method", "relaxation", "tolerance"),
        *("accuracy", "max_iterations", "check_every", "halo_depth", "tolerence"),
    ],
    "run": [
        *("device", "threads", "seed", "wall_time", "memory", "process_grid", "sede"),
    ],
    "output": ["directory", "writer", "dir"],
    "checkpoint": ["every", "keep", "evry"],
    "rnu": ["seed"],
}
VALID = {
    "shape": ["[5, 7]", "[1e2, 9]"],
    "domain": ["[[0, 1], [-1, 1e3]]"],
    "boundary": ["{left: 'x < 1', top: 1e-6}"],
    "source": ["sin(pi*x)"],
    "method": ["sor"],
    "tolerance": ["1e-3", "0", "null"],
    "process_grid": ["[2, 1]", "null"],
    "seed": ["010", "18446744073709551615"],
    "wall_time": ["2 h"],
    "threads": ["auto", "2"],
    "directory": ["'a: b'", "${HOME}/{name}"],
    "writer": ["auto", "direct"],
    "memory": ["warn"],
    "device": ["auto"],
    "every": ["02:00:00"],
    "keep": ["7"],
}
VALUES = [
    *(
        "1",
        "-1",
        "0",
        "1e-6",
        "1e8",
        "1e300",
        "-1e300",
        "1e-320",
        ".nan",
        ".inf",
        "010",
    ),
    *("9" * 39, "true", "yes", "null", "''", "x", "sin(pi*x)", "1/0", "'**'", "0.5"),
    *(
        "[5, 5]",
        "[5]",
        "[[0, 1], [0, 1]]",
        "[[0, 1e-300], [-1e308, 1e308]]",
        "[]",
        "{}",
    ),
    *("{top: 1}", "{a: {b: [c]}}", "auto", "cuda", "sor", "jacobi", "laplace", ".x"),
    *("600 s", "2 h", "99:99:99", "'{name}'", "${HOME}", "${NOPE}", "é", "\U0001f600"),
    *("1_000", "2026-01-01", "x" * 3000, "|\n    a\n    b", "[[[[1]]]]", "{top: [1]}"),
    *("{left: 'x < 1', top: 1e999}", "[1e9, 1e9]", "[3, 3]", "[2, 1]", "direct", "7"),
]
BROKEN = [
    *('"\\0"', '"\\ud800"', "*a", "&a 1", "!!int x", "!!bool maybe", "!t x", "9" * 60),
    *("'", '"', "[", "{", ": :", "- -", "\t", "0x", "0xFg", "? a", "%", "[" * 40, "1e"),
]


def random_text(random):
    """Return a file in the shape of a configuration, with wrong things in places."""
    lines = ["workload: laplace"]
    for section in random.sample(list(SECTIONS), random.choice([1, 1, 2, 3])):
        if random.random() < 0.05:
            lines.append(f"{section}: {random.choice(VALUES)}")
            continue
        lines.append(f"{section}:")
        keys = SECTIONS[section]
        for key in random.sample(keys, min(len(keys), random.choice([1, 1, 2, 3]))):
            values = VALID.get(key, VALUES) if random.random() < 0.7 else VALUES
            values = BROKEN if random.random() < 0.03 else values
            lines.append(f"  {key}: {random.choice(values)}")
    return "\n".join(lines) + "\n"


def mutated(random, text):
    """Return bytes with some of them changed, one time in five."""
    data = bytearray(text.encode())
    if random.random() < 1 / 5:
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(data) + 1)
            data[at : at + random.randrange(2)] = random.choice(
                [b"\xff", b"\0", b"\r", b"\t", b":", b"\xef\xbb\xbf", b" ", b"#", b"\n"]
            )
    return bytes(data)


@pytest.mark.parametrize("chunk", range(4))
def test_any_file_gives_a_problem_or_one_line_for_each_fault(tmp_path, chunk):
    choose = random.Random(chunk)
    path = tmp_path / "fuzz.yaml"
    environ = {"HOME": str(tmp_path)}
    valid = 0
    for _ in range(150):
        data = mutated(choose, random_text(choose))
        path.write_bytes(data)
        begun = time.process_time()
        try:
            found = read_problem(str(path), (), environ)
            found.workload.fields()
            plan = make_plan(found, 7)
            assert plan.output_bytes > 0
            round_trip(found)
            valid += 1
        except ConfigError as error:
            for line in str(error).splitlines():
                assert line.startswith(str(path)), data
                assert len(line) < 400 + len(str(path)), data
        assert time.process_time() - begun < 3, data
    assert valid > 10


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_any_text_after_set_gives_a_problem_or_a_message(text):
    for setting in (text, f"run.seed={text}", f"{text}=1", f"output.directory={text}"):
        try:
            round_trip(problem("workload: laplace\n", setting))
        except ConfigError as error:
            assert str(error).startswith(("--set", "configs/laplace.yaml"))


def test_shipped_configurations_are_valid(root):
    paths = sorted(Path(root, "configs").rglob("*.yaml"))
    assert paths
    for path in paths:
        round_trip(read_problem(str(path), (), {}))
