# SPDX-License-Identifier: MIT
"""launch/jupyter: private by default, and it prints the tunnel that leads there."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "launch" / "jupyter"


def run(*arguments):
    return subprocess.run(
        [SCRIPT, *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port"], "--port needs a number"),
        (["--port", "abc"], "--port: must be a number, got abc"),
        (["--port", "80"], "--port: must be from 1024 to 65535, got 80"),
    ],
)
def test_a_wrong_port_is_refused(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip() == f"launch/jupyter: {message}"


def test_help_tells_of_the_options():
    assert "--node" in run("--help").stdout


@pytest.mark.medium
@pytest.mark.parametrize("node", [False, True], ids=["loopback", "node"])
def test_it_asks_for_a_token_and_prints_the_tunnel(node, tmp_path):
    if not (ROOT / ".venv" / "hpcapp-stamp").exists():
        pytest.skip("no .venv of launch/: ./launch/test makes it")
    host = socket.gethostname()
    address = "127.0.0.1"
    if node:
        try:
            address = socket.gethostbyname(host)
        except OSError:
            pytest.skip(f"the name of this node, {host}, has no address")
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [SCRIPT, "--port", "18888", *(["--node"] if node else [])],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HPCAPP_LOGIN": "me@login"},
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 200
        answer = None
        while answer is None and time.monotonic() < until:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
            found = re.search(r"localhost:(\d+)/lab\?token=(\w{48})", log.read_text())
            if found:
                answer = ask(f"http://{address}:{found[1]}/api/contents")
        assert answer == 403
        tokened = f"http://{address}:{found[1]}/api/contents?token={found[2]}"
        assert ask(tokened) == 200
        port = found[1]
        tunnel = (
            f"ssh -L {port}:{host}:{port} me@login"
            if node
            else f"ssh -J me@login {host} -L {port}:localhost:{port}"
        )
        assert tunnel in log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def ask(url):
    """Return the status of an address, None where nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None
