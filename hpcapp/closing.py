# SPDX-License-Identifier: MIT
"""What a run says at its end, from its outcome or from the file that it left."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.clock import PHASES
from hpcapp.errors import Exit, ResultError
from hpcapp.log import duration, scaled
from hpcapp.session import Finished, Outcome, Session
from hpcapp.workload import Answer

__all__ = ["Closing", "close_finished", "close_session", "ending"]


@dataclass(frozen=True)
class Closing:
    """A run that is over.

    Parameters
    ----------
    workload : str
        Its name.
    directory : str
        The run directory.
    ranks, hosts : int
        How many computed.
    outcome : Outcome
        How it ended.
    places : sequence of (str, sequence of int)
        Node and cores of each rank; empty where they are not known.
    """

    workload: str
    directory: str
    ranks: int
    hosts: int
    outcome: Outcome
    places: Sequence[tuple[str, Sequence[int]]] = ()

    def lines(self) -> list[str]:
        """Return the three lines for people: answer, cost, what to do next."""
        outcome, answer = self.outcome, self.outcome.answer
        place = shlex.quote(self.directory)
        if answer is None:
            return [
                f"{self.workload}: stopped ({outcome.reason}), not finished",
                self._cost(),
                f"{outcome.path}: go on with: hpcapp resume {place}",
            ]
        rate = f"; {scaled(outcome.rate)}{outcome.unit}/s" if outcome.rate else ""
        return [
            f"{self.workload}: {answer.text}",
            self._cost() + rate,
            f"{outcome.path}: see it with: hpcapp plot {place}",
        ]

    def summary(self) -> dict[str, Any]:
        """Return the object for programs, as ``--json`` prints it."""
        outcome, answer = self.outcome, self.outcome.answer
        return {
            "workload": self.workload,
            "ranks": self.ranks,
            "result": dict(answer.values) if answer else None,
            "converged": answer.converged if answer else None,
            "rate": outcome.rate,
            "unit": f"{outcome.unit}/s",
            "phases": outcome.phases,
            "threads": outcome.threads,
            "path": outcome.path,
            "checksum": outcome.checksum or None,
            "stopped": outcome.reason or None,
            "seconds": outcome.seconds or None,
            "places": [list(place) for place in self.places] or None,
        }

    def _cost(self) -> str:
        spent = ", ".join(
            f"{name} {duration(self.outcome.phases[name]['max'])}"
            for name in PHASES
            if self.outcome.phases[name]["max"] >= 0.005
        )
        threads = self.outcome.threads
        return (
            f"{self.ranks} rank{'s' * (self.ranks > 1)} x {threads} "
            f"thread{'s' * (threads > 1)}, {self.hosts} host{'s' * (self.hosts > 1)}; "
            f"{spent}"
        )


def close_session(session: Session, outcome: Outcome) -> Closing:
    """Return the closing of a run that has just ended."""
    return Closing(
        workload=session.problem.config.workload,
        directory=session.directory,
        ranks=session.comm.size,
        hosts=len(set(session.machine.nodes)),
        outcome=outcome,
        places=session.machine.masks,
    )


def ending(answer: Answer, work: float, unit: str) -> dict[str, Any]:
    """Return the attributes of a result from which its closing can be told again."""
    numbers = {"values": dict(answer.values), "work": work, "unit": unit}
    found = {
        "hpcapp_state": "finished",
        "hpcapp_answer": answer.text,
        "hpcapp_numbers": json.dumps(numbers),
    }
    if answer.converged is None:
        return found
    return {**found, "converged": np.int32(answer.converged)}


def close_finished(finished: Finished) -> Closing:
    """Return the closing of a run that ended earlier, from its result.

    Parameters
    ----------
    finished : Finished
        With the attributes of its result. The time between the last of them
        and the end of the run is not known.

    Returns
    -------
    Closing
        As of then.

    Raises
    ------
    ResultError
        If the attributes are not those of a result.
    """
    attributes = finished.attributes
    try:
        layout = json.loads(attributes["hpcapp_layout"])
        numbers = json.loads(attributes["hpcapp_numbers"])
        outcome = Outcome(
            code=Exit.DONE,
            answer=_answer(attributes, numbers["values"]),
            phases=json.loads(attributes["hpcapp_timings"]),
            path=finished.path,
            threads=int(layout["threads"]),
            checksum=attributes["hpcapp_checksum"],
            work=numbers["work"],
            unit=numbers["unit"],
        )
        return Closing(
            workload=attributes["hpcapp_workload"],
            directory=finished.directory,
            ranks=int(layout["ranks"]),
            hosts=len(set(layout["hosts"])),
            outcome=outcome,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(
            f"{finished.path}: does not tell how the run ended: {error!r}; it was "
            "written by another version, or damaged"
        ) from None


def _answer(attributes: Mapping[str, Any], values: Mapping[str, float]) -> Answer:
    flag = attributes.get("converged")
    return Answer(
        text=attributes["hpcapp_answer"],
        values=values,
        converged=None if flag is None else bool(flag),
    )
