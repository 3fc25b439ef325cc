# SPDX-License-Identifier: MIT
"""What is counted of strace's lines, written as strace 6 writes them."""

import sys

from tests.benchmarks.operations import ROOT, sort_out


def test_calls_are_counted_where_the_file_is_and_whether_it_was_there():
    lines = [
        f'7  openat(AT_FDCWD<{ROOT}>, "{sys.prefix}/lib/x.py", O_RDONLY) = 3</x>',
        f'7  newfstatat(AT_FDCWD<{ROOT}>, "{sys.prefix}/y", 0x7f, 0) = -1 ENOENT (No)',
        '7  readlink("/proc/self/exe", "/usr/bin/x", 4096) = 10',
        f'8  openat(AT_FDCWD<{ROOT}>, "hpcapp/cli.py", O_RDONLY|O_CLOEXEC) = 5</y>',
        "8  getdents64(3</results/run/checkpoints>, 0x55 /* 3 entries */, 32768) = 80",
        '8  unlinkat(3</results/run>, "a.part", 0) = 0',
        "7  +++ exited with 0 +++",
        "7  --- SIGCHLD {si_signo=SIGCHLD} ---",
        '8  execve("/usr/bin/python", ["python"], 0x7f) = ?',
    ]
    counted = sort_out("\n".join(lines), "/results/run")
    assert {place: dict(numbers) for place, numbers in counted.items()} == {
        "environment": {"found": 1, "in vain": 1},
        "kernel (/proc, /sys, /dev)": {"found": 1},
        "hpcapp": {"found": 1},
        "run directory": {"found": 2},
    }
