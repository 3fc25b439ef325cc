# SPDX-License-Identifier: MIT
"""A study as a file that a later command reads: what jobs of a cluster measured."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hpcapp.errors import ResultError
from hpcapp.studies.scaling.points import Point, Sample
from hpcapp.studies.scaling.study import Plan, Study
from hpcapp.studies.scaling.validity import Machine
from hpcapp.studies.scaling.watching import Watch

__all__ = ["STUDY", "load_plan", "load_study", "save_plan", "save_study"]

STUDY = "study.json"
"""All runs of a study."""

FORMAT = 1


def save_study(path: str, study: Study) -> None:
    """Write a study: plain values, as its dataclasses hold them."""
    _write(path, {"format": FORMAT, **asdict(study)})


def save_plan(path: str, plan: Plan) -> None:
    """Write what jobs are to measure."""
    _write(path, {"format": FORMAT, "plan": asdict(plan)})


def _write(path: str, document: Mapping[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        # a machine without a quota has an infinite one
        json.dump(document, stream, indent=1)


def load_plan(path: str) -> Plan:
    """Read what jobs were to measure.

    Raises
    ------
    ResultError
        If the file is missing, or something else.
    """
    found: Plan = _read(path, lambda document: _plan(document["plan"]))
    return found


def load_study(path: str) -> Study:
    """Read a study.

    Raises
    ------
    ResultError
        If the file is missing, or something else.
    """
    found: Study = _read(path, _study)
    return found


def _read(path: str, build: Any) -> Any:
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        return build(found)
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(
            f"{path}: is no study of this version of hpcapp: {error!r}; run it again"
        ) from None


def _plan(found: Mapping[str, Any]) -> Plan:
    points = tuple(
        Point(**{**point, "settings": tuple(point["settings"])})
        for point in found["points"]
    )
    return Plan(**{**found, "points": points, "settings": tuple(found["settings"])})


def _study(found: Mapping[str, Any]) -> Study:
    return Study(
        plan=_plan(found["plan"]),
        machines=tuple(_machine(machine) for machine in found["machines"]),
        samples=tuple(
            tuple(Sample(**{**one, "watch": Watch(**one["watch"])}) for one in row)
            for row in found["samples"]
        ),
        places=tuple(
            tuple((host, tuple(mask)) for host, mask in row) for row in found["places"]
        ),
    )


def _machine(found: Mapping[str, Any]) -> Machine:
    # keys of JSON are texts
    siblings = {int(core): other for core, other in found["siblings"].items()}
    return Machine(**{**found, "siblings": siblings})
