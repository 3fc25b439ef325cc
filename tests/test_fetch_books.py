# SPDX-License-Identifier: MIT
"""The fetching of books, from a server of the test's own."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "data" / "fetch-books"
TEXT = "\ufeffThe Project Gutenberg eBook\r\nété\r\n".encode() * 100


class Books(BaseHTTPRequestHandler):
    """Knows ranges; book 2 is none, book 3 is not UTF-8, book 9 does not exist."""

    asked = ()

    def do_GET(self):
        """Answer with a book or a part of it."""
        number = self.path.rpartition("/pg")[2]
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        Books.asked = (*Books.asked, (self.path, start))
        bodies = {"1.txt": TEXT, "2.txt": b"sorry", "3.txt": TEXT + b"\xe9"}
        if number not in bodies:
            self.send_error(404)
            return
        body = bodies[number][start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def base():
    Books.asked = ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Books)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(folder, base, *numbers):
    command = [sys.executable, PROGRAM, "-o", folder, "--base", base, "--pause", "0"]
    return subprocess.run(
        [*command, *map(str, numbers)], capture_output=True, text=True, timeout=60
    )


def test_book_is_fetched_once_and_resumed_where_it_broke_off(tmp_path, base):
    (tmp_path / "pg1.txt.part").write_bytes(TEXT[:1000])
    assert fetch(tmp_path, base, 1).stdout == "pg1.txt: fetched\n"
    assert (tmp_path / "pg1.txt").read_bytes() == TEXT
    assert Books.asked == (("/1/pg1.txt", 1000),)
    assert fetch(tmp_path, base, 1).stdout == "pg1.txt: there already\n"
    assert len(Books.asked) == 1


@pytest.mark.parametrize(
    "number, message",
    [
        (2, "pg2.txt.part: no book of Project Gutenberg: removed"),
        (3, f"pg3.txt.part: not UTF-8 at byte {len(TEXT)}: removed"),
        (9, "pg9.txt: 404 Not Found"),
    ],
)
def test_what_is_no_book_is_refused_and_not_kept(tmp_path, base, number, message):
    done = fetch(tmp_path, base, number)
    assert done.returncode == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_says_so_at_once(tmp_path):
    # a port that nobody listens on
    done = fetch(tmp_path, "http://127.0.0.1:9", 1)
    assert done.returncode == 1
    assert "is there a network?" in done.stderr
