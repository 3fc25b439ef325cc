# SPDX-License-Identifier: MIT
"""Start a session, run, stop, again and again: ``cycles.py COUNT ENGINES``.

Prints one object: seconds of each start and stop, and what was left behind.
"""

import json
import os
import sys
import time
from pathlib import Path

import psutil


def left():
    """Return what sessions of this process have left running."""
    mine = psutil.Process().children(recursive=True)
    marked = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HPCAPP_TEST_CYCLES") == str(os.getpid()):
                marked.append(process)
        except (psutil.Error, OSError):
            continue
    found = {p.pid: p.name() for p in [*mine, *marked] if p.pid != os.getpid()}
    return list(found.values())


def main(count, engines):
    import hpcapp
    from hpcapp.interactive.keeper import find_segments

    before = set(left())
    os.environ["HPCAPP_TEST_CYCLES"] = str(os.getpid())
    config = {"workload": "series", "parameters": {"name": "kempner", "terms": 10000}}
    starts, stops, values, folders = [], [], [], []
    for _ in range(count):
        begun = time.monotonic()
        session = hpcapp.Session(n=engines, timeout=120)
        starts.append(time.monotonic() - begun)
        # not those of other sessions on this machine
        folders.append(session._engines.close.__self__.folder)
        pids = [engine.pid for engine in session._engines.known.values()]
        folders += find_segments(pids)
        with session.run(config) as result:
            values.append(float(result["value"]))
        begun = time.monotonic()
        session.close()
        stops.append(time.monotonic() - begun)
    over = sorted(set(left()) - before)
    over += [folder for folder in folders if Path(folder).exists()]
    print(
        json.dumps({"starts": starts, "stops": stops, "values": values, "left": over})
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
