"""Creatures, alone and in swarms, put into a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.painter.colour import mix
from providers.painter.figures import COATS, FIGURES, Figure
from providers.painter.masonry import LAMP
from providers.painter.sketch import sketch, smooth
from providers.painter.sky import paint_halo

if TYPE_CHECKING:
    import numpy as np

    from providers.painter.scene import Creature
    from providers.painter.sheet import Sheet


def paint_figure(
    sheet: Sheet,
    kind: Creature,
    x: float,
    y: float,
    size: float,
    *,
    mirrored: bool,
    haze: float = 0.0,
) -> None:
    """A creature or vehicle whose foot is at x, y; `size` is about its height. In pixels."""
    palette = sheet.palette
    colour = palette.creature or COATS[kind]
    coat = palette.lit(colour).mixed(palette.haze, haze)
    pale = palette.lit((0.97, 0.93, 0.84)).mixed(palette.haze, haze)
    reach = size * 1.4
    with sketch(sheet.picture, (x - reach, y - reach, x + reach, y + size * 0.3)) as pen:
        FIGURES[kind](Figure(pen, x, y, size, mirrored), coat, pale)


def paint_birds(sheet: Sheet, rng: np.random.Generator) -> None:
    """A loose flock of small wings in the upper sky."""
    middle = (rng.uniform(0.25, 0.75), sheet.horizon * rng.uniform(0.25, 0.5))
    colour = mix(sheet.palette.rock.dark, sheet.palette.haze, 0.15)
    if sheet.palette.creature is not None:
        colour = sheet.palette.creature
    with sketch(sheet.picture, (0, 0, sheet.width, sheet.height * sheet.horizon)) as pen:
        for dx, dy in rng.normal(0.0, (0.12, 0.05), (13, 2)):
            x, y = (middle[0] + dx) * sheet.width, (middle[1] + dy) * sheet.height
            span = sheet.unit * rng.uniform(0.010, 0.024)
            lift = span * rng.uniform(0.25, 0.6)
            wings = smooth([(x - span, y - lift * 0.4), (x - span * 0.5, y - lift), (x, y),
                            (x + span * 0.5, y - lift), (x + span, y - lift * 0.4)],
                            closed=False)  # fmt: skip
            pen.line(wings, colour, max(span * 0.16, 0.8))


def paint_butterflies(sheet: Sheet, rng: np.random.Generator) -> None:
    """A few butterflies over the foreground."""
    with sketch(sheet.picture, (0, sheet.height * 0.5, sheet.width, sheet.height)) as pen:
        for u, v, turn in rng.random((9, 3)):
            x, y = (0.1 + 0.8 * u) * sheet.width, (0.60 + 0.32 * v) * sheet.height
            size = sheet.unit * (0.008 + 0.012 * v)
            colour = (
                sheet.palette.creature
                or sheet.palette.petals[int(turn * 97) % len(sheet.palette.petals)]
            )
            for side in (-1.0, 1.0):
                pen.ellipse(
                    x + side * size * 0.62,
                    y - size * 0.4,
                    size * 0.6,
                    size * (0.5 + 0.3 * turn),
                    colour,
                )
                pen.ellipse(x + side * size * 0.45, y + size * 0.32, size * 0.4, size * 0.4, colour)
            pen.line(
                [(x, y - size * 0.7), (x, y + size * 0.7)], sheet.palette.rock.dark, size * 0.16
            )


def paint_fireflies(sheet: Sheet, rng: np.random.Generator, *, count: int = 34) -> None:
    """Warm lights in the air, each with a halo."""
    for u, v, size in rng.random((count, 3)):
        at = (u * sheet.width, (0.45 + 0.5 * v) * sheet.height)
        radius = (0.0022 + 0.0032 * size) * sheet.unit
        paint_halo(sheet.picture, *at, radius, (1.0, 0.92, 0.55), 0.95)
        paint_halo(sheet.picture, *at, radius * 5.5, LAMP, 0.28)


def paint_spirits(sheet: Sheet, rng: np.random.Generator) -> None:
    """Small round white beings with dark eyes, glowing faintly."""
    pale = sheet.palette.lit((0.98, 0.99, 0.95))
    for u, v in rng.random((6, 2)):
        x, y = (0.12 + 0.76 * u) * sheet.width, (0.74 + 0.18 * v) * sheet.height
        size = sheet.unit * (0.035 + 0.045 * v)
        paint_halo(sheet.picture, x, y - size * 0.5, size * 1.3, (0.85, 1.0, 0.85), 0.3)
        with sketch(sheet.picture, (x - size, y - size * 1.3, x + size, y + 3)) as pen:
            fig = Figure(pen, x, y, size, False)
            body = mix(pale.light, (1.0, 1.0, 0.96), 0.5)
            fig.blob(
                [
                    (-0.20, 0.0),
                    (-0.24, -0.3),
                    (-0.12, -0.55),
                    (0.12, -0.55),
                    (0.24, -0.3),
                    (0.20, 0.0),
                ],
                body,
            )
            fig.blob(
                [
                    (-0.34, -0.72),
                    (-0.2, -0.96),
                    (0.12, -1.0),
                    (0.34, -0.8),
                    (0.26, -0.54),
                    (-0.22, -0.5),
                ],
                body,
            )
            for ex, ey in ((-0.13, -0.74), (0.12, -0.78)):
                fig.dot(ex, ey, 0.05, 0.065, (0.12, 0.14, 0.16))
            fig.dot(0.0, -0.62, 0.03, 0.03, (0.12, 0.14, 0.16))
