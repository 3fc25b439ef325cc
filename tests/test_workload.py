# SPDX-License-Identifier: MIT
"""Laws of finding a workload, of its state, and of its defaults."""

import os
import subprocess
import sys

import numpy as np
import pytest

from hpcapp.config import Model, Run, parameter
from hpcapp.decomposition import Block, Domain, Layout
from hpcapp.discovery import find_workload, workload_names
from hpcapp.errors import ConfigError, Exit
from hpcapp.fields import LatePart
from hpcapp.workload import (
    Answer,
    Context,
    Field,
    Part,
    State,
    Workload,
)

OWN = """
from hpcapp.config import Model, parameter
from hpcapp.workload import Workload

class {name}(Workload):
    class Parameters(Model):
        points: int = parameter(5, "how many")
    def domain(self): ...
    def fields(self): ...
    def steps(self, ctx): ...
    def answer(self, state): ...
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in a folder with a package of the user's own, named anew for each test."""
    package = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / package).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != ""])

    def write(name, text):
        (tmp_path / package / f"{name}.py").write_text(text)
        return f"{package}.{name}"

    yield write
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def refusal(name):
    with pytest.raises(ConfigError) as caught:
        find_workload(name, "c.yaml:1")
    assert caught.value.code == Exit.USAGE
    message = str(caught.value)
    assert message.startswith("c.yaml:1: workload: ")
    assert "\n" not in message
    return message.removeprefix("c.yaml:1: workload: ")


def test_every_workload_of_the_package_is_found_by_its_name():
    assert "laplace" in workload_names()
    for name in workload_names():
        assert issubclass(find_workload(name, "here"), Workload)


def test_module_in_the_working_directory_is_found(place):
    cls = find_workload(place("heat", OWN.format(name="Heat")), "here")
    assert (cls.__name__, issubclass(cls, Workload)) == ("Heat", True)


def test_workload_of_the_user_s_own_travels_to_another_process(place, root):
    name = place("heat", OWN.format(name="Heat"))
    # as the console script does: the working directory is not on the path
    script = (
        "import sys; sys.path = [p for p in sys.path if p not in ('', {cwd!r})]\n"
        "import pickle\n"
        "from hpcapp.problem import parse_problem\n"
        "if {send}:\n"
        "    p = parse_problem('workload: {name}', 'c.yaml', (), {{}})\n"
        "    p.workload\n"
        "    sys.stdout.buffer.write(pickle.dumps(p))\n"
        "else:\n"
        "    print(pickle.load(sys.stdin.buffer).config.parameters)\n"
    )
    data = b""
    for send in (True, False):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                script.format(cwd=os.getcwd(), send=send, name=name),
            ],
            input=data,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert done.returncode == 0, done.stderr.decode()
        data = done.stdout
    assert data == b"points=5\n"


def test_misspelled_workload_gets_the_nearest():
    assert refusal("laplcae") == (
        "no workload 'laplcae', did you mean 'laplace'? "
        "(one of your own is named package.module, or my_workload.py)"
    )


def test_unknown_workload_gets_the_list():
    message = refusal("zzz")
    assert message.startswith("no workload 'zzz'; known: ")
    assert ", ".join(workload_names()) in message


@pytest.mark.parametrize("name", ["", ".x", "x.", "a..b", "a b", "a/b", "1.2", "a-b"])
def test_what_is_no_name_is_refused(name):
    assert refusal(name) == f"must be a name, got {name}"


@pytest.mark.parametrize(
    ("name", "text"), [(5, "5"), (True, "true"), (None, "null"), (["a"], "['a']")]
)
def test_value_that_is_no_text_is_no_name(name, text):
    assert refusal(name) == f"must be a name, got {text}"


@pytest.mark.parametrize("name", ["nowhere.to.be.found", "{package}.nope"])
def test_missing_module_is_refused(place, name):
    package = place("heat", "").partition(".")[0]
    name = name.format(package=package)
    rule = f"no module '{name}' in the working directory or the environment"
    assert refusal(name) == rule


def test_module_without_a_workload_is_refused(place):
    name = place("empty", "from hpcapp.workload import Workload\n")
    assert refusal(name) == f"{name} must define one Workload, it has 0"


def test_module_with_two_workloads_is_refused(place):
    name = place("two", OWN.format(name="A") + OWN.format(name="B"))
    assert refusal(name) == f"{name} must define one Workload, it has 2"


def test_imported_and_abstract_workloads_do_not_count(place):
    text = (
        "from hpcapp.workloads.laplace import Laplace\n"
        "from hpcapp.workload import Workload\n"
        "class Base(Workload): ...\n"
    )
    name = place("mine", text + OWN.format(name="Mine"))
    assert find_workload(name, "here").__name__ == "Mine"


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("import no_such_library\n", "ModuleNotFoundError", "named 'no_such_library'"),
        ("1/0\n", "ZeroDivisionError", "division by zero"),
        ("def f(:\n", "SyntaxError", "invalid syntax"),
        ("from hpcapp.workload import Nope\n", "ImportError", "'Nope'"),
    ],
)
def test_module_that_cannot_be_imported_is_refused_with_the_reason(
    place, text, kind, reason
):
    name = place("broken", text)
    message = refusal(name)
    assert message.startswith(f"{name} cannot be imported: {kind}")
    assert reason in message
    assert "broken.py" in message


# --- state


class Reader:
    """Stands for a saved file."""

    def __init__(self):
        self.asked = []

    def read(self, name, block, out):
        self.asked.append((name, block))
        out[...] = 7


BLOCK = Block((0, 0), (2, 3))
NOTHING = Block((0, 0), (0, 0))


def test_fresh_state_has_no_values_and_leaves_arrays_alone():
    state = State()
    out = np.zeros((2, 3))
    assert not state.resumed
    assert not state.read("u", BLOCK, out)
    assert not out.any()
    assert "u" not in state
    assert state.get("u", 5) == 5
    assert list(state.parts("u")) == []
    with pytest.raises(KeyError):
        state["u"]


def test_resumed_state_gives_saved_values_and_fills_arrays():
    reader = Reader()
    state = State({"done": 3}, reader)
    out = np.zeros((2, 3))
    assert state.resumed
    assert state["done"] == state.get("done", 0) == 3
    assert state.read("u", BLOCK, out)
    assert (out == 7).all()
    assert state.read("u", NOTHING, np.zeros((0, 0)))
    assert reader.asked == [("u", BLOCK)]


def test_state_does_not_share_the_mapping_it_was_given():
    saved = {"done": 3}
    state = State(saved, Reader())
    state["done"] = 4
    assert saved == {"done": 3}


def test_empty_parts_are_left_out():
    state = State()
    part = Part(BLOCK, np.zeros((2, 3)))
    state["u"] = [Part(NOTHING, np.zeros((0, 0))), part]
    assert list(state.parts("u")) == [part]


@pytest.mark.parametrize(
    ("kind", "saved", "published"),
    [("result", False, True), ("state", True, False), ("both", True, True)],
)
def test_kind_says_which_files_hold_a_field(kind, saved, published):
    field = Field("u", (), "1", "u", kind=kind)
    assert (field.saved, field.published) == (saved, published)


# --- defaults of the contract


class Small(Workload):
    """A workload with nothing of its own."""

    def domain(self):
        return Domain(("y", "x"), (10, 8))

    def fields(self):
        return (
            Field("u", ("y", "x"), "1", "u", distributed=True),
            Field("n", ("y", "x"), "1", "n", "int32", "state", distributed=True),
            Field("s", ("y",), "1", "s"),
        )

    def steps(self, ctx):
        yield from ()

    def answer(self, state):
        return Answer("nothing", {})


def test_memory_is_by_default_one_copy_of_each_distributed_field():
    workload = Small(Small.Parameters(), Run())
    layout = Layout.choose(workload.domain(), 3)
    for rank in range(3):
        assert workload.memory(layout, rank) == (8 + 4) * layout.block(rank).size
    workload.warm_up(None)


class Growing(Small):
    """A workload that can be extended where it counts at random."""

    class Parameters(Model):
        """Several kinds of values."""

        random: bool = parameter(True, "how")
        samples: int = parameter(10, "how many")
        names: tuple[str, ...] = parameter((), "which")

    def extendable(self):
        return frozenset({"samples", "names"} if self.parameters.random else ())


def test_workload_cannot_be_extended_by_default():
    assert Small(Small.Parameters(), Run()).extendable() == frozenset()


def test_number_must_not_become_smaller_when_a_run_goes_on():
    workload = Growing(Growing.Parameters(samples=10, names=("a",)), Run())
    for before in ({"samples": 10}, {"samples": 3, "names": ["b"]}, {"samples": None}):
        workload.check_extension(before)
    with pytest.raises(ConfigError) as caught:
        workload.check_extension({"samples": 11, "names": []})
    assert (str(caught.value), caught.value.key) == (
        "parameters.samples: must not become smaller when a run goes on, was 11, got "
        "10; start another run",
        "parameters.samples",
    )


def test_what_may_grow_can_depend_on_the_parameters():
    fixed = Growing(Growing.Parameters(random=False, samples=10), Run())
    assert fixed.extendable() == frozenset()
    fixed.check_extension({"samples": 11})


def test_context_knows_the_block_of_its_rank():
    layout = Layout.choose(Domain(("x",), (2,)), 3)
    blocks = []
    for rank in range(3):
        comm = type("OneOfThree", (), {"rank": rank})()
        blocks.append(Context(comm, None, layout).block)
    assert [block.size for block in blocks] == [1, 1, 0]


def test_values_of_a_late_part_are_fetched_once_and_only_when_wanted():
    calls = []

    def fetch():
        calls.append(1)
        return np.arange(6.0).reshape(2, 3)

    state = State()
    state["u"] = [LatePart(Block((4, 0), (6, 3)), fetch), LatePart(NOTHING, fetch)]
    (part,) = state.parts("u")
    assert (part.block.shape, calls) == ((2, 3), [])
    assert part.array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert part.array.sum() == 15
    assert calls == [1]
