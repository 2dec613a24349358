"""Drawn shapes: a part of the picture that Pillow draws on at twice its size."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from providers.painter.colour import Colour, Picture, from_image, to_bytes, to_image

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

Point = tuple[float, float]
_SCALE = 2


class Sketch:
    """Draws antialiased shapes; coordinates are the picture's pixels."""

    def __init__(self, image: Image.Image, left: int, top: int) -> None:
        self._draw = ImageDraw.Draw(image)
        self._left, self._top = left, top

    def _at(self, points: Sequence[Point]) -> list[Point]:
        return [((x - self._left) * _SCALE, (y - self._top) * _SCALE) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled shape."""
        self._draw.polygon(self._at(points), fill=to_bytes(colour))

    def line(self, points: Sequence[Point], colour: Colour, width_px: float) -> None:
        """An open line with round joints."""
        width = max(1, round(width_px * _SCALE))
        self._draw.line(self._at(points), fill=to_bytes(colour), width=width, joint="curve")

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse around a point."""
        (left, top), (right, bottom) = self._at([(x - rx, y - ry), (x + rx, y + ry)])
        self._draw.ellipse((left, top, right, bottom), fill=to_bytes(colour))


@contextmanager
def sketch(
    picture: Picture, box: tuple[float, float, float, float] | None = None
) -> Generator[Sketch]:
    """Draw on a part of a picture (left, top, right, bottom in pixels), or on all of it."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box or (0.0, 0.0, width, height)
    x0, y0 = max(int(left) - 2, 0), max(int(top) - 2, 0)
    x1, y1 = min(int(right) + 3, width), min(int(bottom) + 3, height)
    if x0 >= x1 or y0 >= y1:
        yield Sketch(Image.new("RGB", (1, 1)), 0, 0)
        return
    # Doubled by repeating and halved by averaging: what is not drawn on stays as it is.
    part = to_image(picture[y0:y1, x0:x1])
    large = part.resize((part.width * _SCALE, part.height * _SCALE), Image.Resampling.NEAREST)
    yield Sketch(large, x0, y0)
    picture[y0:y1, x0:x1] = from_image(large.reduce(_SCALE))


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 8) -> list[Point]:
    """A Catmull-Rom curve through points."""
    knots = np.array(points, dtype=np.float64)
    if closed:
        around = np.vstack([knots[-1:], knots, knots[:2]])
    else:
        around = np.vstack([knots[:1], knots, knots[-1:]])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[:, None]
    curve: list[NDArray[np.float64]] = []
    for a, b, c, d in zip(around, around[1:], around[2:], around[3:], strict=False):
        curve.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                   + (3 * b - a - 3 * c + d) * t**3)
        )  # fmt: skip
    if not closed:
        curve.append(knots[-1:])
    return [(float(x), float(y)) for x, y in np.vstack(curve)]


def placed(points: Sequence[Point], x: float, y: float, size: float, mirrored: bool) -> list[Point]:
    """An outline in its own units, moved to x, y (pixels) and scaled by `size` pixels."""
    sign = -1.0 if mirrored else 1.0
    return [(x + sign * px * size, y + py * size) for px, py in points]
