# SPDX-License-Identifier: MIT
"""How a workload is found: by its name, its module, its file, or as a plug-in."""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hpcapp.errors import ConfigError
from hpcapp.messages import nearest, shown
from hpcapp.workload import Workload

__all__ = ["GROUP", "find_workload", "plugin_names", "workload_names"]

GROUP = "hpcapp.workloads"
"""The entry points by which other packages offer workloads."""


def workload_names() -> list[str]:
    """Return the names of the workloads in this package, sorted."""
    import hpcapp.workloads

    return sorted(
        module.name for module in pkgutil.iter_modules(hpcapp.workloads.__path__)
    )


def plugin_names() -> list[str]:
    """Return the names that other packages offer, sorted; none is imported."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find_workload(name: str, place: str) -> type[Workload]:
    """Import the workload of a name.

    Parameters
    ----------
    name : str
        One of `workload_names` or `plugin_names`, the dotted name of a module of the
        user's, or a file that ends in ``.py``.
    place : str
        Where the name was written, for messages.

    Returns
    -------
    type of Workload
        The class that the module defines.

    Raises
    ------
    ConfigError
        If there is no such module or file, it cannot be imported, or it does not
        define exactly one workload.
    """
    if isinstance(name, str) and name.endswith(".py"):
        return _only_workload(_load_file(name, place), place)
    parts = name.split(".") if isinstance(name, str) else [""]
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{place}: workload: must be a name, got {shown(name)}")
    if "." in name:
        return _only_workload(_import_own(name, place), place)
    if name in workload_names():
        module = importlib.import_module(f"hpcapp.workloads.{name}")
        return _only_workload(module, place)
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if points:
        return _load_plugin(points, place)
    known = [*workload_names(), *plugin_names()]
    raise ConfigError(
        f"{place}: workload: no workload '{name}'{nearest(name, known)} (one of your "
        "own is named package.module, or my_workload.py)"
    )


def _load_plugin(points: list[EntryPoint], place: str) -> type[Workload]:
    values = sorted({point.value for point in points})
    name = points[0].name
    if len(values) > 1:
        raise ConfigError(
            f"{place}: workload: '{name}' is offered by {' and '.join(values)}; "
            "remove one of these packages"
        )
    try:
        found = points[0].load()
    except Exception as error:
        raise _broken(f"plug-in {name} ({values[0]})", place, error) from None
    if inspect.ismodule(found):
        return _only_workload(found, place)
    if inspect.isclass(found) and issubclass(found, Workload):
        return found
    raise ConfigError(
        f"{place}: workload: plug-in {name} ({values[0]}) must be a Workload or a "
        f"module with one, got {shown(str(found))}"
    )


def _load_file(name: str, place: str) -> Any:
    path = os.path.abspath(os.path.expanduser(name))
    stem = os.path.basename(path).removesuffix(".py")
    if not os.path.isfile(path):
        raise ConfigError(f"{place}: workload: no file {name}")
    # a name of its own: a file may be called like a library
    module_name = f"hpcapp_file_{stem}"
    state = (path, os.stat(path).st_mtime_ns)
    known = sys.modules.get(module_name)
    if known is not None and getattr(known, "hpcapp_file_state", None) == state:
        return known
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not stem.isidentifier():
        raise ConfigError(
            f"{place}: workload: must be a file named like a variable, such as "
            f"my_workload.py, got {name}"
        )
    module: Any = importlib.util.module_from_spec(spec)
    # what travels between ranks is found again by this name
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise _broken(name, place, error) from None
    module.hpcapp_file_state = state
    return module


def _import_own(name: str, place: str) -> Any:
    # the console script does not put the working directory on the path; -m does
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{place}: workload: no module '{name}' in the working directory "
                "or the environment"
            ) from None
        raise _broken(name, place, error) from None
    except Exception as error:
        raise _broken(name, place, error) from None


def _broken(name: str, place: str, error: Exception) -> ConfigError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    at = f" at {last.filename}:{last.lineno}"
    if isinstance(error, SyntaxError) or "importlib" in last.filename:
        # the last frame is the import system's: the message must do
        at = ""
    return ConfigError(
        f"{place}: workload: {name} cannot be imported: {type(error).__name__}{at}: "
        f"{error}"
    )


def _only_workload(module: Any, place: str) -> type[Workload]:
    package = module.__name__
    found = {
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Workload)
        and not inspect.isabstract(value)
        and (value.__module__ == package or value.__module__.startswith(package + "."))
    }
    if len(found) != 1:
        name = package.removeprefix("hpcapp_file_")
        raise ConfigError(
            f"{place}: workload: {name} must define one Workload, it has {len(found)}"
        )
    return found.pop()
