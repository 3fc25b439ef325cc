# SPDX-License-Identifier: MIT
"""Laws of what a run says at its end, now and from its file later."""

import json

import pytest

from hpcapp.clock import PHASES
from hpcapp.closing import close_finished, ending
from hpcapp.errors import ResultError
from hpcapp.session import Finished, solve_seconds
from hpcapp.workload import Answer

ANSWER = Answer("pi is 3.14 +- 0.01", {"pi": 3.14}, False)
TIMES = {name: {"min": 1.0, "mean": 1.5, "max": 2.0} for name in PHASES}


def attributes(answer=ANSWER):
    return {
        **ending(answer, 6e6, "samples"),
        "hpcapp_workload": "montecarlo",
        "hpcapp_layout": json.dumps({"ranks": 4, "threads": 2, "hosts": ["a"] * 4}),
        "hpcapp_timings": json.dumps(TIMES),
        "hpcapp_checksum": "00ff",
    }


def closing(found):
    return close_finished(Finished("runs/my pi", "runs/my pi/result.nc", found))


def test_lines_can_be_said_again_from_the_file():
    assert closing(attributes()).lines() == [
        "montecarlo: pi is 3.14 +- 0.01",
        "4 ranks x 2 threads, 1 host; setup 2.0 s, compile 2.0 s, compute 2.0 s, halo "
        # 6e6 samples in compute, halo and reduce
        "2.0 s, reduce 2.0 s, io 2.0 s; 1 Msamples/s",
        "runs/my pi/result.nc: see it with: hpcapp plot 'runs/my pi'",
    ]


@pytest.mark.parametrize("converged", [True, False, None])
def test_object_can_be_printed_again_from_the_file(converged):
    answer = Answer("", {"pi": 3.14}, converged)
    found = json.loads(json.dumps(closing(attributes(answer)).summary()))
    assert found == {
        "workload": "montecarlo",
        "ranks": 4,
        "result": {"pi": 3.14},
        "converged": converged,
        "rate": 1e6,
        "unit": "samples/s",
        "phases": TIMES,
        "threads": 2,
        "path": "runs/my pi/result.nc",
        "checksum": "00ff",
        "stopped": None,
        # not kept in the file
        "seconds": None,
        "places": None,
    }


def test_time_of_the_slowest_rank_is_not_the_sum_of_the_slowest_phases():
    # one computes while the other waits: both are busy for 5 s, not for 8
    clocks = [dict.fromkeys(PHASES, 1.0) for _ in range(2)]
    clocks[0] |= {"compute": 1.0, "halo": 3.0}
    clocks[1] |= {"compute": 3.0, "halo": 1.0}
    assert solve_seconds(clocks) == 5.0


def test_file_that_does_not_tell_is_refused():
    for name in ("hpcapp_layout", "hpcapp_numbers", "hpcapp_checksum"):
        found = attributes()
        del found[name]
        with pytest.raises(ResultError) as caught:
            closing(found)
        assert str(caught.value) == (
            "runs/my pi/result.nc: does not tell how the run ended: "
            f"KeyError('{name}'); it was written by another version, or damaged"
        )
    with pytest.raises(ResultError, match="does not tell how the run ended"):
        closing({**attributes(), "hpcapp_layout": "{"})
