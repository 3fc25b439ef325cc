# SPDX-License-Identifier: MIT
"""What notebooks show: true to the numbers, whole HTML, nothing of a user unescaped."""

from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest

from hpcapp.decomposition import Domain, Layout
from hpcapp.errors import ConfigError
from hpcapp.interactive.configuring import read_given
from hpcapp.interactive.display import (
    curve_svg,
    layout_svg,
    progress_html,
    table_html,
)
from hpcapp.interactive.explorer import Explorer
from hpcapp.interactive.preview import preview
from hpcapp.interactive.running import Progress
from hpcapp.interactive.studying import batch_text
from hpcapp.problem import read_problem

SERIES = {"workload": "series", "parameters": {"name": "kempner", "terms": 1000}}


class Whole(HTMLParser):
    """Tags that are open, those that there were, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_a_bar_is_as_long_as_what_is_done():
    progress = Progress("running", 0.25, "residual 1e-3", 2e9, "updates", 90.0)
    page = Whole(progress_html(progress, "results/laplace-1"))
    bar = next(a for a in page.all("div") if a.get("class") == "hpcapp-bar")
    assert bar["style"].startswith("width:25.0%;")
    for words in ("results/laplace-1", "25 %", "2 Gupdates/s", "90.0 s left"):
        assert words in page.text


def test_what_a_user_wrote_is_escaped():
    page = progress_html(Progress("failed", note="<script>x</script>"), "<b>&")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;&amp;" in page


def test_a_curve_that_falls_by_powers_is_straight():
    points = [(n, 10.0**-n) for n in range(1, 6)]
    line = Whole(curve_svg(points, "residual")).all("polyline")[0]["points"]
    found = [tuple(map(float, pair.split(","))) for pair in line.split()]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(found)]
    assert slopes == pytest.approx([slopes[0]] * 4, rel=0.02)
    # downwards on a screen
    assert slopes[0] > 0


def test_a_curve_needs_two_finite_points():
    assert curve_svg([(1, 2.0), (2, float("nan"))], "sum") == ""
    assert Whole(curve_svg([(1, 2.0), (2, 2.0)], "sum")).all("polyline")


def test_blocks_of_a_picture_cover_it():
    layout = Layout.choose(Domain(("y", "x"), (90, 160)), 6)
    page = Whole(layout_svg(layout))
    area = sum(float(a["width"]) * float(a["height"]) for a in page.all("rect"))
    whole = page.all("svg")[0]
    assert len(page.all("rect")) == 6
    assert area == pytest.approx(
        float(whole["width"]) * float(whole["height"]), rel=0.01
    )
    assert page.text.count("rank") == 6


def test_one_axis_is_a_strip():
    page = Whole(layout_svg(Layout.choose(Domain(("x",), (100,)), 4)))
    assert {a["y"] for a in page.all("rect")} == {"0.0"}


def test_the_imaginary_axis_of_the_explorer_points_up():
    image = pytest.importorskip("PIL.Image")

    def escape(config, field):
        # the lowest row of the plane belongs to the set, the rest escapes at once
        counts = np.zeros(config["parameters"]["shape"], np.int32)
        counts[0] = 100
        return counts

    data = Explorer(escape, (40, 30), 100).picture((0.0, 0.0), 3.0)
    black = np.array(image.open(BytesIO(data)).convert("L")) == 0
    assert black[-1].all()
    assert not black[:-1].any()


def test_a_plan_is_a_table_and_text():
    shown = preview(read_given(SERIES, {}).problem, 3)
    page = Whole(shown._repr_html_())
    assert len(page.all("tr")) == len(str(shown).splitlines())
    assert "process grid" in page.text
    assert repr(shown) == shown.plan.text()
    assert Whole(table_html("output        8 B")).text == "output8 B"


def test_a_batch_script_runs_the_file_with_its_overrides(tmp_path):
    path = tmp_path / "k.yaml"
    path.write_text("workload: series\nparameters: {name: kempner, terms: 10}\n")
    text = batch_text(path, "generic", {"nodes": 2, "time": "1h"}, {"terms": 20})
    assert text.startswith("#!/bin/")
    assert "#SBATCH --nodes=2" in text
    assert str(path) in text
    assert "parameters.terms=20" in text


def test_a_mapping_becomes_a_file_for_the_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = batch_text(SERIES, "generic", {}, {"terms": 20})
    assert "series.yaml" in text
    assert "parameters.terms=20" in text
    assert read_problem("series.yaml").config.parameters.terms == 1000
    # the same again is the same file; what stands there is kept
    assert "series.yaml" in batch_text(SERIES, "generic", {}, {})
    config = read_given(SERIES, {"terms": 50}).problem.config
    assert "series-1.yaml" in batch_text(config, "generic", {}, {})
    assert read_problem("series-1.yaml").config.parameters.terms == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "series-1.yaml",
        "series.yaml",
    ]


def test_what_cannot_be_a_batch_script(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="to_sbatch: node: unknown option; there are"):
        batch_text(tmp_path / "k.yaml", "generic", {"node": 2}, {})
    with pytest.raises(ConfigError, match=r"did you mean .terms."):
        batch_text({**SERIES, "parameters": {"term": 3}}, "generic", {}, {})
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match=r"to_sbatch: .*cannot be written: No such"):
        batch_text(SERIES, "generic", {}, {})
