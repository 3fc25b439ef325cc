# SPDX-License-Identifier: MIT
"""The layers of the package, read from the imports of every module.

The table is section 6 of the design: a module may import those of the rows above
its own and those of its own folder, never others of its row or those below.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hpcapp"

# a folder stands for all modules inside; "" is hpcapp itself
LAYERS = (
    ("", "errors", "clock", "postfix", "writeback"),
    ("yaml_source", "log", "decomposition", "expression_kernels"),
    ("reduction_kernels", "checksum_kernels"),
    ("messages", "expression", "evaluation", "reduction", "checksum"),
    ("values",),
    ("config",),
    ("device", "mpi"),
    ("gpu",),
    ("fields", "steps", "validity"),
    ("workload",),
    ("discovery",),
    ("workloads", "problem", "store"),
    ("failure", "trace"),
    ("planning", "stops", "status", "watchdog", "witness"),
    ("changes", "run_directory"),
    ("session",),
    ("closing", "guards", "profiling", "snapshots"),
    ("driver", "prepare"),
    ("slurm",),
    ("studies", "doctor"),
    ("interactive",),
    ("parallel",),
    ("cli",),
    ("__main__",),
)
RANK = {name: row for row, names in enumerate(LAYERS) for name in names}

# the folder of workloads is looked into, for its names; none of them is imported.
# hpcapp.open and hpcapp.Session are for notebooks, and imported when they are used
EXCEPTIONS = {
    ("discovery", "workloads"),
    ("", "studies.opening"),
    ("", "interactive.session"),
}

# start-up is paid by every rank at once: these are imported where they are used
LAZY = frozenset(
    {
        *("dask", "h5netcdf", "h5py", "matplotlib", "multiprocess", "netCDF4"),
        *("nltk", "numexpr", "ray", "rich", "ruamel", "scipy", "tqdm", "xarray"),
        *("IPython", "anywidget", "cloudpickle", "ipyparallel", "ipywidgets"),
        *("psutil", "traitlets"),
    }
)

LINES = 400
# exceptions, of which there should be none
LONGER: dict[str, int] = {}


def dotted(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
EACH = pytest.mark.parametrize("name", MODULES, ids=lambda name: f"hpcapp.{name}")


def imported(tree):
    """Return the full names of what is imported anywhere in a tree."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_at_top(tree):
    """Return what the import of a module imports: no functions, no type checking."""
    found = set()
    work = list(tree.body)
    while work:
        node = work.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            work.extend(node.orelse)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= imported(node)
        work.extend(ast.iter_child_nodes(node))
    return found


def own_modules(names):
    """Return the modules of hpcapp among full names, without the package's name."""
    found = set()
    for name in names:
        first, _, rest = name.partition(".")
        if first != "hpcapp":
            continue
        if rest not in MODULES:
            # the last part is a name inside of the module
            rest = rest.rpartition(".")[0]
        found.add(rest)
    return found


def layer(name):
    return name.partition(".")[0]


@EACH
def test_every_module_has_its_layer(name):
    assert layer(name) in RANK


@EACH
def test_module_imports_only_from_layers_above_its_own(name):
    below = {
        other
        for other in own_modules(imported(TREES[name]))
        if layer(other) != layer(name)
        and RANK[layer(other)] >= RANK[layer(name)]
        and (name, other) not in EXCEPTIONS
    }
    assert below == set()


@EACH
def test_only_the_folder_mpi_imports_mpi4py(name):
    found = {other.partition(".")[0] for other in imported(TREES[name])}
    assert "mpi4py" not in found or layer(name) == "mpi"


@EACH
def test_only_kernels_import_numba_when_they_are_imported(name):
    found = {other.partition(".")[0] for other in imported_at_top(TREES[name])}
    assert "numba" not in found or name.endswith("kernels")


@EACH
def test_kernels_are_imported_where_they_are_used(name):
    if name.endswith("kernels"):
        return  # kernels are compiled into others
    found = own_modules(imported_at_top(TREES[name]))
    assert not any(other.endswith("kernels") for other in found)


@EACH
def test_heavy_libraries_are_imported_where_they_are_used(name):
    found = {other.partition(".")[0] for other in imported_at_top(TREES[name])}
    assert found & LAZY == set()


@EACH
def test_no_workload_is_imported_by_name_outside_its_folder(name):
    def workload_of(module):
        parts = module.split(".")
        return parts[1] if parts[0] == "workloads" and len(parts) > 1 else ""

    others = {workload_of(other) for other in own_modules(imported(TREES[name]))}
    assert others - {"", workload_of(name)} == set()


@EACH
def test_only_main_exits_the_process(name):
    calls = [
        ast.unparse(n.func) for n in ast.walk(TREES[name]) if isinstance(n, ast.Call)
    ]
    exits = {"exit", "quit", "sys.exit", "os._exit", "os.abort"} & set(calls)
    allowed = {
        "__main__": {"sys.exit"},
        "cli": {"sys.exit"},  # argparse, for wrong options
        "stops": {"os._exit"},  # a signal that comes again
        "mpi.abort": {"os._exit"},  # the last step of an abort
    }
    assert exits <= allowed.get(name, set())


@EACH
def test_module_has_licence_docstring_and_a_readable_length(name):
    lines = MODULES[name].read_text("utf-8").splitlines()
    assert lines[0] == "# SPDX-License-Identifier: MIT"
    assert (ast.get_docstring(TREES[name]) or "").strip()
    assert len(lines) <= LONGER.get(name, LINES)


@EACH
def test_public_names_are_listed_and_exist(name):
    definitions = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    defined, listed = set(), None
    for node in TREES[name].body:
        if isinstance(node, definitions):
            defined.add(node.name)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            if "__all__" in names:
                listed = ast.literal_eval(node.value)
            defined |= names
        if isinstance(node, ast.ImportFrom | ast.Import):
            defined |= {alias.asname or alias.name for alias in node.names}
    if listed is None:
        public = [n for n in TREES[name].body if isinstance(n, definitions)]
        assert [n.name for n in public if not n.name.startswith("_")] == []
        return
    assert set(listed) <= defined
    assert len(listed) == len(set(listed))


def test_import_of_the_package_loads_nothing_heavy(root):
    script = (
        "import sys; before = set(sys.modules); import hpcapp\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True
    )
    assert done.stdout.strip() == "['hpcapp']"


def test_check_of_the_launcher_needs_no_mpi(root):
    script = "import sys, hpcapp.mpi.world; sys.exit('mpi4py' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=root)
    assert done.returncode == 0
