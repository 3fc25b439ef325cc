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
BAD = TEXT + b"\xe9"


class Books(BaseHTTPRequestHandler):
    """Knows ranges; of the books some are none, and some come in a wrong way."""

    asked = ()

    def do_GET(self):
        """Answer with a book or a part of it."""
        name = self.path.rpartition("/pg")[2]
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        Books.asked = (*Books.asked, (self.path, start))
        # 2 is no book, 3 not UTF-8, 4 breaks off, 5 knows no ranges, 6 confuses them
        names = ("1.txt", "4.txt", "5.txt", "6.txt")
        bodies = {**dict.fromkeys(names, TEXT), "2.txt": b"sorry", "3.txt": BAD}
        if name not in bodies:
            self.send_error(404)
            return
        if start >= len(bodies[name]):
            self.send_error(416)
            return
        start = 0 if name == "5.txt" else start
        body = bodies[name][start:]
        self.send_response(206 if start else 200)
        if start:
            told = start - (name == "6.txt")
            whole = len(bodies[name])
            self.send_header("Content-Range", f"bytes {told}-{whole - 1}/{whole}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if name == "4.txt" else body)

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


def test_book_that_breaks_off_is_kept_and_goes_on_the_next_time(tmp_path, base):
    for time in (1, 2):
        done = fetch(tmp_path, base, 4)
        assert done.returncode == 1
        told = f"pg4.txt.part: {1000 * time} of {len(TEXT)} bytes came; start again"
        assert told in done.stderr
    assert (tmp_path / "pg4.txt.part").read_bytes() == TEXT[:2000]
    assert Books.asked == (("/4/pg4.txt", 0), ("/4/pg4.txt", 1000))


def test_server_without_ranges_sends_all_of_it(tmp_path, base):
    (tmp_path / "pg5.txt.part").write_bytes(b"something else")
    assert fetch(tmp_path, base, 5).returncode == 0
    assert (tmp_path / "pg5.txt").read_bytes() == TEXT


@pytest.mark.parametrize("part", [TEXT, TEXT + b"more than there is"])
def test_part_of_which_nothing_is_left_is_fetched_anew(tmp_path, base, part):
    (tmp_path / "pg1.txt.part").write_bytes(part)
    assert fetch(tmp_path, base, 1).returncode == 0
    assert (tmp_path / "pg1.txt").read_bytes() == TEXT
    assert [start for _, start in Books.asked] == [len(part), 0]


def test_other_bytes_than_those_asked_for_are_refused(tmp_path, base):
    (tmp_path / "pg6.txt.part").write_bytes(TEXT[:10])
    done = fetch(tmp_path, base, 6)
    assert done.returncode == 1
    assert "bytes from 10 on were asked for, got 'bytes 9-" in done.stderr
    assert (tmp_path / "pg6.txt.part").read_bytes() == TEXT[:10]


def test_books_before_a_failure_are_kept(tmp_path, base):
    done = fetch(tmp_path, base, 1, 9, 5)
    assert done.stdout == "pg1.txt: fetched\n"
    assert "404 Not Found" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pg1.txt"]


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


@pytest.mark.parametrize("name, first", [("enccs", 10), ("escience", 11)])
def test_list_of_a_course_is_asked_for_in_its_order(tmp_path, base, name, first):
    assert fetch(tmp_path, base, "--list", name).returncode == 1
    assert Books.asked == ((f"/{first}/pg{first}.txt", 0),)


def test_list_and_numbers_exclude_each_other(tmp_path, base):
    done = fetch(tmp_path, base, "--list", "escience", 1)
    assert done.returncode == 2
    assert "give numbers or --list, not both" in done.stderr
    assert Books.asked == ()


def test_without_a_network_it_says_so_at_once(tmp_path):
    # a port that nobody listens on
    done = fetch(tmp_path, "http://127.0.0.1:9", 1)
    assert done.returncode == 1
    assert "is there a network?" in done.stderr
