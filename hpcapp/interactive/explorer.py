# SPDX-License-Identifier: MIT
"""The Mandelbrot set to pan and zoom, computed by the engines as a run would."""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Explorer"]

WORKLOAD = "mandelbrot"

# the first picture of a view has so many times fewer rows and columns
COARSE = 8

Counts = NDArray[np.int32]


class Explorer:
    """Pictures of views of the set.

    Parameters
    ----------
    evaluate : callable
        Computes a field of a configuration: ``evaluate(config, field)``.
    shape : (int, int)
        Rows and columns of a picture.
    max_iterations : int
        Of a pixel.
    """

    def __init__(
        self,
        evaluate: Callable[[dict[str, Any], str], Any],
        shape: tuple[int, int],
        max_iterations: int,
    ) -> None:
        self._evaluate = evaluate
        self.shape, self.max_iterations = shape, max_iterations

    def config(
        self, center: tuple[float, float], width: float, coarse: int = 1
    ) -> dict[str, Any]:
        """Return the configuration of a view, which `Session.run` would take too.

        Parameters
        ----------
        center : (float, float)
            Real and imaginary part.
        width : float
            Extent along the real axis.
        coarse : int
            By how much rows and columns are fewer.

        Returns
        -------
        dict
            Of the workload mandelbrot.
        """
        ny, nx = self.shape
        return {
            "workload": WORKLOAD,
            "parameters": {
                "shape": [max(1, ny // coarse), max(1, nx // coarse)],
                "center": list(center),
                "extent": [width, width * ny / nx],
                "max_iterations": self.max_iterations,
                "schedule": "cyclic",
            },
            "run": {"threads": 1},
        }

    def counts(
        self, center: tuple[float, float], width: float, coarse: int = 1
    ) -> Counts:
        """Return the iterations of each pixel.

        Parameters
        ----------
        center, width, coarse
            As for `config`.

        Returns
        -------
        int32[ny, nx]
            The same as in the result of a run.
        """
        found: Counts = self._evaluate(self.config(center, width, coarse), "iterations")
        return found

    def picture(
        self, center: tuple[float, float], width: float, coarse: int = 1
    ) -> bytes:
        """Return a view as a PNG image, the imaginary axis upwards.

        Points that do not escape are black.

        Parameters
        ----------
        center, width, coarse
            As for `config`.

        Returns
        -------
        bytes
            PNG.
        """
        from PIL import Image

        colours = self._colours()[self.counts(center, width, coarse)]
        # rows of a result begin below, those of an image above
        image = Image.fromarray(np.ascontiguousarray(colours[::-1]))
        image.putpalette(_palette())
        stream = BytesIO()
        image.save(stream, "PNG", compress_level=1)
        return stream.getvalue()

    def _colours(self) -> NDArray[np.uint8]:
        """Return the colour of each number of iterations: 0 is black."""
        n = np.arange(self.max_iterations + 1)
        # many turns near the edge, few far away
        colour = 1 + (40 * np.log2(1 + n)).astype(np.int64) % 255
        colour[-1] = 0
        return colour.astype(np.uint8)

    def widget(self, center: tuple[float, float], width: float) -> Any:
        """Return a widget that shows views and changes them with the mouse.

        Parameters
        ----------
        center, width
            The first view.

        Returns
        -------
        anywidget.AnyWidget
            With the trait `view`: real part, imaginary part and width.
        """
        import anywidget
        import traitlets

        explorer = self
        script = Path(__file__).with_name("explorer.js").read_text(encoding="utf-8")

        class Widget(anywidget.AnyWidget):
            """The picture, and what stands below it."""

            _esm = script
            shape = traitlets.List(list(self.shape)).tag(sync=True)
            view = traitlets.List([*center, width]).tag(sync=True)
            picture = traitlets.Bytes(b"").tag(sync=True)
            line = traitlets.Unicode("").tag(sync=True)
            frames = traitlets.Int(0).tag(sync=True)

            @traitlets.observe("view")
            def _changed(self, _change: Any) -> None:
                self.draw()

            def draw(self) -> None:
                """Show the view, coarse first and then fine."""
                re, im, wide = self.view
                begun = time.monotonic()
                self.picture = explorer.picture((re, im), wide, COARSE)
                self.picture = explorer.picture((re, im), wide)
                spent = time.monotonic() - begun
                self.line = f"center {re:.12g} {im:+.12g}i, width {wide:.3g}, " + (
                    f"{explorer.max_iterations} iterations: {spent:.2f} s"
                )
                self.frames += 1

        made = Widget()
        made.draw()
        return made


def _palette() -> list[int]:
    """Return 256 colours: black, then a circle of them."""
    import matplotlib

    circle = matplotlib.colormaps["twilight_shifted"](np.linspace(0, 1, 255))
    table = np.zeros((256, 3))
    table[1:] = 255 * circle[:, :3]
    return [int(value) for value in table.round().reshape(-1)]
