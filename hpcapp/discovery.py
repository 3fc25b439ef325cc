# SPDX-License-Identifier: MIT
"""How a workload is found by its name; none is mentioned anywhere."""

import importlib
import inspect
import pkgutil
import sys
import traceback
from typing import Any

from hpcapp.errors import ConfigError
from hpcapp.messages import nearest, shown
from hpcapp.workload import Workload

__all__ = ["find_workload", "workload_names"]


def workload_names() -> list[str]:
    """Return the names of the workloads in this package, sorted."""
    import hpcapp.workloads

    return sorted(
        module.name for module in pkgutil.iter_modules(hpcapp.workloads.__path__)
    )


def find_workload(name: str, place: str) -> type[Workload]:
    """Import the workload of a name.

    Parameters
    ----------
    name : str
        One of `workload_names`, or the dotted name of a module of the user's.
    place : str
        Where the name was written, for messages.

    Returns
    -------
    type of Workload
        The class that the module defines.

    Raises
    ------
    ConfigError
        If there is no such module, it cannot be imported, or it does not
        define exactly one workload.
    """
    parts = name.split(".") if isinstance(name, str) else [""]
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{place}: workload: must be a name, got {shown(name)}")
    if "." in name:
        return _only_workload(_import_own(name, place), place)
    if name not in workload_names():
        raise ConfigError(
            f"{place}: workload: no workload '{name}'"
            f"{nearest(name, workload_names())} (one of your own is named "
            "package.module)"
        )
    return _only_workload(importlib.import_module(f"hpcapp.workloads.{name}"), place)


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
        raise ConfigError(
            f"{place}: workload: {package} must define one Workload, it has "
            f"{len(found)}"
        )
    return found.pop()
