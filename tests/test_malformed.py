# SPDX-License-Identifier: MIT
"""Malformed configurations: always exit 2, one message, no traceback, no file.

Documents are drawn from the JSON Schema and judged by jsonschema, texts are broken by
construction.
"""

import io
import itertools
import json
import math
import os
from contextlib import redirect_stderr, redirect_stdout
from functools import partial

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hpcapp.cli import run_command_line
from hpcapp.discovery import workload_names
from hpcapp.errors import Exit
from hpcapp.studies.schema import schema_path

SCHEMA = json.loads(schema_path().read_text())
JUDGE = jsonschema.Draft202012Validator(SCHEMA)
WORKLOADS = workload_names()
SECTIONS = {"run": "Run", "output": "Output", "checkpoint": "Checkpoint"}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**63, 2**64, 10**400, -(10**400)])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "1e-6", "10 s", "\x85", "a: b", "- x", "{", "&a", "*a"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def names_of(definition):
    return sorted(SCHEMA["$defs"][definition]["properties"])


@st.composite
def documents(draw):
    """Draw a document with one to three keys that may be of any type."""
    workload = draw(st.sampled_from(WORKLOADS))
    document = {"workload": workload}
    for _ in range(draw(st.integers(1, 3))):
        section = draw(st.sampled_from(["parameters", *SECTIONS, ""]))
        if not section:
            name = draw(st.sampled_from(["version", "workload", "parameters", "zzz"]))
            document[name] = draw(VALUES)
            continue
        known = names_of(SECTIONS.get(section, workload))
        name = draw(st.sampled_from(known) | st.text(max_size=10))
        inside = document.setdefault(section, {})
        if isinstance(inside, dict):
            inside[name] = draw(VALUES)
    return document


def finite(value):
    """Tell whether JSON, and so the judge, can hold a value."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def say(arguments):
    """Run a command in this process; return its code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_command_line(arguments)
    return code, out.getvalue(), err.getvalue()


def check(path, data):
    """Check that a file is refused with one message."""
    path.write_bytes(data)
    code, out, err = say(["plan", str(path)])
    assert (code, out) == (Exit.USAGE, ""), (data, err)
    assert err.startswith(f"hpcapp: {path}"), (data, err)
    assert err.count("hpcapp: ") == 1, err
    assert "Traceback" not in err
    assert len(err) < 10_000, (data, err)
    assert os.listdir(path.parent) == [path.name]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the file that is written, judged and replaced."""
    return tmp_path_factory.mktemp("malformed") / "c.yaml"


def examples(number):
    return settings(
        deadline=None,
        max_examples=number,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )


@examples(1400)
@given(document=documents())
def test_documents_that_the_schema_refuses_are_refused(path, document):
    assume(finite(document))
    assume(not JUDGE.is_valid(document))
    check(path, json.dumps(document).encode())


@examples(200)
@given(
    workload=st.sampled_from(WORKLOADS),
    section=st.sampled_from(sorted(SECTIONS)),
    data=st.data(),
)
def test_duplicate_keys_are_refused(path, workload, section, data):
    name = data.draw(st.sampled_from(names_of(SECTIONS[section])))
    value = json.dumps(
        SCHEMA["$defs"][SECTIONS[section]]["properties"][name]["default"]
    )
    twice = f"{section}: {{{name}: {value}, {name}: {value}}}"
    outside = f"{section}: {{{name}: {value}}}\n" * 2
    text = data.draw(st.sampled_from([twice, outside]))
    check(path, f"workload: {workload}\n{text}\n".encode())


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in itertools.pairwise("abcdefghi")
)
BROKEN = [
    BOMB,
    "base: &base {seed: 1}\nrun: {<<: *base}\n",
    "run: *nowhere\n",
    "run: &r {seed: *r}\n",
    "run: !!python/object/apply:os.system ['touch owned']\n",
    "run: !!binary aGFsbG8=\n",
    "run: {seed: !mine 1}\n",
    "run: {seed: 1\n",
    "run:\n\tseed: 1\n",
    "run: 'unclosed\n",
    "run: {seed: 1}\n---\nrun: {seed: 2}\n",
    "%YAML 9.9\n---\nrun: {seed: 1}\n",
    "run: {seed: \x00}\n",
    "run: {seed: \x07}\n",
    "run: " + "[" * 900 + "]" * 900 + "\n",
    "run: " + "{a: " * 900 + "1" + "}" * 900 + "\n",
    "? " + "k" * 5000 + "\n: 1\n",
    "? [a, b]\n: 1\n",
    "run: {1: 2}\nnull: 3\n",
    "- a list\n",
    "run: {seed: " + "9" * 5000 + "}\n",
    "run: {wall_time: 99999999999999999999:00:00}\n",
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_texts_that_are_no_configuration_are_refused(path, number):
    text, workload = BROKEN[number], WORKLOADS[number % len(WORKLOADS)]
    head = "" if text.startswith(("%", "-")) else f"workload: {workload}\n"
    check(path, (head + text).encode())


@examples(200)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_refused(path, data):
    assume(b"workload" not in data)
    check(path, data)


@examples(180)
@given(
    text=st.text(min_size=1, max_size=20),
    encoding=st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"]),
)
def test_other_encodings_are_refused(path, text, encoding):
    data = f"workload: series # {text} \xe9\n".encode(encoding, "replace")
    # those with a byte order mark are YAML too
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff")))
    check(path, data)


# --- end to end


END_TO_END = [
    *BROKEN[:8],
    *("run: {sede: 1}", "run: {seed: x}", "run: {threads: 0}", "output: 3"),
    *("checkpoint: {keep: 0}", "checkpoint: {every: soon}", "parameters: [1]"),
    *("parameters: {zzz: 1}", "version: 99", "zzz: 1", "run: {seed: 1, seed: 2}"),
    "run: {process_grid: [0, 0]}",
]


@pytest.mark.medium
@pytest.mark.parametrize("text", END_TO_END, ids=range(len(END_TO_END)))
def test_the_program_refuses_them_too(hpcapp, mpirun, tmp_path, text):
    (tmp_path / "c.yaml").write_text(f"workload: montecarlo\n{text}\n")
    # most of them alone, which is sooner done
    several = END_TO_END.index(text) % 5 == 0
    run = partial(mpirun, 3) if several else hpcapp
    done = run("run", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("hpcapp: c.yaml")
    assert done.stderr.count("hpcapp: ") == 1
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["c.yaml"]
