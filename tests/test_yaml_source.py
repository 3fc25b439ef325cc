# SPDX-License-Identifier: MIT
"""Laws of the YAML reader; expected values from the YAML 1.2 core schema."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcapp.errors import ConfigError
from hpcapp.yaml_source import (
    DEPTH_LIMIT,
    SIZE_LIMIT,
    Source,
    Where,
    parse_override,
    parse_yaml,
    read_yaml,
)


def value_of(text):
    return parse_yaml(f"key: {text}\n", "c.yaml").values["key"]


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "c.yaml")
    return str(caught.value)


# YAML 1.2.2, section 10.3.2, and the promises of the configuration's documentation
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E6", 1e6),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("'1e-6'", "1e-6"),
        ('"010"', "010"),
        ("02:00:00", "02:00:00"),
        ("2026-01-02", "2026-01-02"),
        ("[1, a, null]", [1, "a", None]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        (".inf", math.inf),
        ("-.inf", -math.inf),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    got = value_of(text)
    assert got == value
    assert type(got) is type(value)


def test_nan_is_a_number():
    assert math.isnan(value_of(".nan"))


@settings(deadline=None, max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
def test_number_as_python_writes_it_reads_back_equal(number):
    assert value_of(repr(number)) == number


def test_every_key_knows_line_and_spelling():
    text = "a: 1e-6\nb:\n  c: [x,\n    010]\n"
    source = parse_yaml(text, "c.yaml")
    assert source.where(("a",)) == Where("c.yaml:1", "1e-6")
    assert source.where(("b",)) == Where("c.yaml:2", "")
    assert source.where(("b", "c", "0")) == Where("c.yaml:3", "x")
    assert source.where(("b", "c", "1")) == Where("c.yaml:4", "010")


def test_unwritten_key_has_the_place_of_the_mapping_around_it():
    source = parse_yaml("a: 1\nb:\n  c: 2\n", "c.yaml")
    assert source.where(("b", "d", "e")) == Where("c.yaml:2", "")
    assert source.where(("z",)) == Where("c.yaml", "")


def test_empty_file_is_an_empty_mapping():
    assert parse_yaml("# nothing\n", "c.yaml").values == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "c.yaml:1: must be a mapping of keys to values"),
        ("\n\n5\n", "c.yaml:3: must be a mapping of keys to values"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "c.yaml:4: b.c: duplicate key"),
        ("a: &x [1]\nb: *x\n", "c.yaml:2: b: YAML aliases are not supported"),
        ("? [a]\n: 1\n", "c.yaml:1: keys must be plain names"),
        ("a: &x [*x]\n", "c.yaml:1: a.0: YAML aliases are not supported"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2: no valid YAML: but found another document"),
        (
            f"a: 1{'0' * 60}\n",
            f"c.yaml:1: a: no number: 1{'0' * 60}",
        ),
        (
            'a: "\\ud800"\n',
            "c.yaml:1: a: must be made of whole Unicode characters",
        ),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "c.yaml:1: a: the YAML tag "
            "tag:yaml.org,2002:python/object/apply:os.system is not supported",
        ),
        ("a: !odd {b: 1}\n", "c.yaml:1: a: the YAML tag !odd is not supported"),
        ("a: !odd b\n", "c.yaml:1: a: the YAML tag !odd is not supported"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_line(text, message):
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1\n", 2), ("a: 1\nb: 'x\n", 3), ("a: \tb\n\tc\n", 1), ("a: b: c\n", 1)],
)
def test_syntax_error_names_the_line(text, line):
    assert refusal(text).startswith(f"c.yaml:{line}: no valid YAML: ")


def test_alias_as_key_is_refused():
    assert refusal("a: &x k\n*x : 1\n").endswith(": keys must be plain names")


def test_yes_of_yaml_1_1_is_never_taken_for_false():
    text = "%YAML 1.1\n---\na: yes\n"
    assert "is not supported" in refusal(text)


@pytest.mark.parametrize("escape", ["\\UFFFFFFFF", "\\U00110000"])
def test_character_beyond_unicode_is_refused(escape):
    assert refusal(f'a: "{escape}"').startswith("c.yaml: no valid YAML: ")


def test_control_character_is_refused_in_one_line():
    message = refusal("a: \0")
    assert message.startswith("c.yaml: no valid YAML: unacceptable character")
    assert "\n" not in message


def test_deep_nesting_is_refused():
    deep = "".join(" " * level + "a:\n" for level in range(DEPTH_LIMIT + 2))
    message = refusal(deep)
    assert message.endswith(f"nested deeper than {DEPTH_LIMIT} levels")
    assert "recursion" in refusal("[" * 100_000)


def test_billion_laughs_are_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        inner = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{inner}]")
    begun = time.process_time()
    assert "YAML aliases are not supported" in refusal("\n".join(lines))
    assert time.process_time() - begun < 5


def test_file_with_byte_order_mark_reads_like_one_without(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfworkload: laplace\n")
    assert read_yaml(str(path)).values == {"workload": "laplace"}


def test_bad_utf8_is_named_by_line_byte_and_offset(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(str(path))
    rule = "must be UTF-8 text, got byte 0xff at offset 8"
    assert str(caught.value) == f"{path}:2: {rule}"


def test_huge_file_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"#" * (SIZE_LIMIT + 1))
    with pytest.raises(ConfigError) as caught:
        read_yaml(str(path))
    assert str(caught.value) == f"{path}: must be at most {SIZE_LIMIT} bytes"


@pytest.mark.parametrize("make", [False, True])
def test_unreadable_file_is_refused_with_the_system_s_reason(tmp_path, make):
    path = tmp_path / "c.yaml"
    if make:
        path.mkdir()
    reason = "Is a directory" if make else "No such file or directory"
    with pytest.raises(ConfigError) as caught:
        read_yaml(str(path))
    assert str(caught.value) == f"{path}: cannot be read: {reason}"


def test_setting_is_a_key_path_and_a_yaml_value():
    key, value, places = parse_override("a.b = {c: 1e-6}", "--set")
    assert (key, value) == (("a", "b"), {"c": 1e-6})
    assert places[key] == Where("--set", "{c: 1e-6}")
    assert places[(*key, "c")] == Where("--set", "1e-6")


def test_setting_may_contain_further_equals_signs():
    assert parse_override("a=x<=y", "--set")[1] == "x<=y"


def test_setting_without_a_value_is_null():
    assert parse_override("a=", "--set")[1] is None


@pytest.mark.parametrize("setting", ["a", "=1", "a..b=1", ".=1", ""])
def test_malformed_setting_is_refused(setting):
    with pytest.raises(ConfigError) as caught:
        parse_override(setting, "--set")
    hint = "must be KEY=VALUE, as in run.threads=2"
    assert str(caught.value) == f"--set {setting}: {hint}"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("*.txt", '"*.txt"'),
        ("*", '"*"'),
        ("[*.txt]", '["*.txt"]'),
        ("[a.txt, *.md,*]", '[a.txt, "*.md","*"]'),
        ("[&a, *b]", '["&a", "*b"]'),
    ],
)
def test_unquoted_star_gets_a_hint_that_works(text, quoted):
    with pytest.raises(ConfigError) as caught:
        parse_override(f"parameters.inputs={text}", "--set")
    message = str(caught.value)
    assert message.endswith(f"quote it: parameters.inputs='{quoted}'")
    assert message.startswith(f"--set parameters.inputs={text}: YAML takes")
    parse_override(f"parameters.inputs={quoted}", "--set")


def test_other_bad_yaml_in_a_setting_gets_no_hint_about_stars():
    with pytest.raises(ConfigError, match="no valid YAML") as caught:
        parse_override("a=[1", "--set")
    assert "quote" not in str(caught.value)


def test_override_replaces_value_and_places():
    source = parse_yaml("run:\n  threads: 2\n  seed: 1\n", "c.yaml")
    source.override(*parse_override("run.threads=4", "--set"))
    assert source.values == {"run": {"threads": 4, "seed": 1}}
    assert source.where(("run", "threads")) == Where("--set", "4")
    assert source.where(("run", "seed")) == Where("c.yaml:3", "1")


def test_override_of_a_section_forgets_the_places_inside():
    source = parse_yaml("a:\n  b: 1\n", "c.yaml")
    source.override(*parse_override("a={c: 2}", "--set"))
    assert source.values == {"a": {"c": 2}}
    assert source.where(("a", "b")) == Where("--set", "")


def test_override_makes_missing_sections():
    source = Source("c.yaml", {"a": 5})
    source.override(*parse_override("a.b.c=1", "--set"))
    assert source.values == {"a": {"b": {"c": 1}}}
    assert source.where(("a", "b")).origin == "--set"
