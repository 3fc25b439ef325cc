# SPDX-License-Identifier: MIT
"""What the documentation prints must work as printed."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent


def blocks(page, language):
    """Return the code blocks of a page."""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_workload_of_the_guide_runs_with_the_same_bits(mpirun, hpcapp, tmp_path):
    (tmp_path / "mywork").mkdir()
    (tmp_path / "mywork" / "mean.py").write_text(
        blocks("your-own-workload.md", "python")[0]
    )
    (tmp_path / "mean.yaml").write_text(blocks("your-own-workload.md", "yaml")[0])
    f = np.arange(100000) % 7 * 1.0
    for _ in range(10):
        f[1:-1] = 0.5 * (f[:-2] + f[2:])
    expected = math.fsum(f) / len(f)
    for ranks in (1, 3):
        done = mpirun(ranks, "run", "mean.yaml", "-o", f"r{ranks}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"mywork.mean: mean {expected:.6f}\n")
    same = hpcapp("compare", "r1", "r3", cwd=tmp_path)
    assert same.returncode == 0, same.stdout
    # MPICH tells of requests that a run leaves behind
    endless = ["--set", "parameters.rounds=100000000", "--set", "run.wall_time=2s"]
    done = mpirun(2, "run", "mean.yaml", *endless, "-o", "stopped", cwd=tmp_path)
    assert done.returncode == 75, done.stderr
    assert "request" not in done.stderr


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_snakefile_counts_every_book():
    program = shutil.which("snakemake")
    if program is None:
        pytest.skip("snakemake is not installed, and no package of hpcapp's")
    command = [program, "-s", "configs/Snakefile", "-c", "2", "--dry-run"]
    done = subprocess.run(
        [*command, "--config", "books=data/corpus/t*.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for book in ("three", "two"):
        assert f"results/books/{book}/export" in done.stdout + done.stderr
