"""Drawings of creatures and vehicles: outlines with a shaded and a lit part, of a few points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import Colour, mix
from providers.painter.masonry import LAMP
from providers.painter.scene import Creature
from providers.painter.sketch import Point, Sketch, placed, smooth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from providers.painter.palette import Tones


class Figure:
    """A pen in a figure's own units: x to the right, y down, feet at y = 0, about 1 high."""

    def __init__(self, pen: Sketch, x: float, y: float, size: float, mirrored: bool) -> None:
        self._pen, self._x, self._y, self._size, self._mirrored = pen, x, y, size, mirrored

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled smooth outline."""
        at = placed(points, self._x, self._y, self._size, self._mirrored)
        self._pen.polygon(smooth(at), colour)

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled outline with corners."""
        self._pen.polygon(placed(points, self._x, self._y, self._size, self._mirrored), colour)

    def dot(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse."""
        (at,) = placed([(x, y)], self._x, self._y, self._size, self._mirrored)
        self._pen.ellipse(at[0], at[1], rx * self._size, ry * self._size, colour)

    def stroke(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """An open smooth line."""
        at = placed(points, self._x, self._y, self._size, self._mirrored)
        self._pen.line(smooth(at, closed=False), colour, max(width * self._size, 0.6))


def _cat(fig: Figure, coat: Tones, _: Tones) -> None:
    fig.stroke([(0.20, -0.06), (0.46, -0.04), (0.58, -0.22), (0.50, -0.40)], coat.dark, 0.085)
    fig.blob([(-0.20, 0.0), (-0.19, -0.28), (-0.10, -0.52), (0.06, -0.54), (0.21, -0.34),
              (0.27, -0.12), (0.24, 0.0), (0.0, 0.02)], coat.mid)  # fmt: skip
    fig.blob(
        [(-0.18, -0.02), (-0.17, -0.26), (-0.09, -0.46), (-0.02, -0.30), (-0.05, -0.02)], coat.light
    )
    fig.shape([(-0.21, -0.70), (-0.19, -0.95), (-0.05, -0.80)], coat.mid)
    fig.shape([(0.03, -0.80), (0.15, -0.94), (0.17, -0.68)], coat.mid)
    fig.blob([(-0.23, -0.64), (-0.15, -0.80), (0.03, -0.83), (0.17, -0.72), (0.16, -0.56),
              (0.0, -0.47), (-0.17, -0.50)], coat.mid)  # fmt: skip
    fig.blob(
        [(-0.22, -0.66), (-0.14, -0.79), (0.0, -0.82), (-0.04, -0.70), (-0.13, -0.56)], coat.light
    )
    fig.shape(
        [(-0.185, -0.74), (-0.175, -0.89), (-0.09, -0.80)], mix(coat.light, (0.95, 0.6, 0.55), 0.5)
    )


def _fox(fig: Figure, coat: Tones, pale: Tones) -> None:
    fig.blob([(0.22, -0.04), (0.42, -0.10), (0.66, -0.34), (0.70, -0.52), (0.54, -0.50), (0.36,
             -0.30),
              (0.18, -0.22)], coat.mid)  # fmt: skip
    fig.blob([(0.60, -0.36), (0.70, -0.52), (0.56, -0.50), (0.52, -0.42)], pale.light)
    fig.blob(
        [(-0.18, 0.0), (-0.18, -0.30), (-0.10, -0.56), (0.08, -0.52), (0.24, -0.26), (0.26, 0.0)],
        coat.mid,
    )
    fig.blob(
        [(-0.17, -0.04), (-0.17, -0.30), (-0.10, -0.50), (-0.04, -0.30), (-0.08, -0.03)], pale.mid
    )
    for ear in ((-0.14, -0.72), (0.06, -0.72)):
        fig.shape(
            [(ear[0] - 0.08, ear[1]), (ear[0] + 0.01, ear[1] - 0.25), (ear[0] + 0.10, ear[1])],
            coat.dark,
        )
    fig.blob([(-0.36, -0.56), (-0.20, -0.70), (-0.08, -0.80), (0.10, -0.76), (0.14, -0.60), (0.0,
             -0.50),
              (-0.20, -0.50)], coat.mid)  # fmt: skip
    fig.blob([(-0.36, -0.56), (-0.22, -0.60), (-0.08, -0.54), (-0.18, -0.49)], pale.light)
    fig.dot(-0.35, -0.56, 0.03, 0.025, (0.12, 0.10, 0.12))


def _deer(fig: Figure, coat: Tones, pale: Tones) -> None:
    for x, tone in ((-0.20, coat.dark), (0.26, coat.dark), (-0.13, coat.mid), (0.33, coat.mid)):
        fig.stroke([(x, -0.42), (x + 0.01, -0.2), (x, 0.0)], tone, 0.045)
    fig.blob([(-0.24, -0.52), (-0.10, -0.60), (0.20, -0.58), (0.38, -0.54), (0.38, -0.40), (0.10,
             -0.36),
              (-0.18, -0.36)], coat.mid)  # fmt: skip
    fig.blob(
        [(-0.16, -0.58), (0.20, -0.58), (0.36, -0.54), (0.1, -0.50), (-0.1, -0.50)], coat.light
    )
    fig.blob(
        [
            (-0.26, -0.46),
            (-0.30, -0.70),
            (-0.30, -0.86),
            (-0.20, -0.84),
            (-0.12, -0.60),
            (-0.08, -0.48),
        ],
        coat.mid,
    )
    fig.blob(
        [(-0.44, -0.80), (-0.34, -0.90), (-0.20, -0.92), (-0.18, -0.82), (-0.30, -0.76)], coat.mid
    )
    fig.blob([(-0.20, -0.90), (-0.08, -0.97), (-0.14, -0.86)], coat.dark)
    for lean in (-0.10, 0.14):
        horn = [(-0.25, -0.91), (-0.25 + lean, -1.08), (-0.24 + lean * 1.7, -1.26)]
        fig.stroke(horn, pale.dark, 0.028)
        fig.stroke([horn[1], (horn[1][0] - 0.10, -1.20)], pale.dark, 0.022)
        fig.stroke([horn[1], (horn[1][0] + 0.12, -1.17)], pale.dark, 0.022)
    fig.dot(0.385, -0.52, 0.035, 0.05, pale.light)


def _rabbit(fig: Figure, coat: Tones, pale: Tones) -> None:
    for x in (-0.20, -0.08):
        fig.blob(
            [(x, -0.62), (x - 0.05, -0.88), (x + 0.02, -1.0), (x + 0.08, -0.84), (x + 0.07, -0.62)],
            coat.mid,
        )
        fig.blob(
            [(x + 0.02, -0.66), (x, -0.86), (x + 0.03, -0.94), (x + 0.05, -0.84)],
            (0.93, 0.68, 0.66),
        )
    fig.blob(
        [(-0.18, 0.0), (-0.20, -0.30), (0.0, -0.44), (0.24, -0.34), (0.30, -0.10), (0.24, 0.0)],
        coat.mid,
    )
    fig.blob([(-0.10, -0.38), (0.06, -0.43), (0.22, -0.33), (0.1, -0.28)], coat.light)
    fig.blob(
        [
            (-0.36, -0.46),
            (-0.26, -0.62),
            (-0.08, -0.66),
            (0.02, -0.52),
            (-0.08, -0.38),
            (-0.28, -0.38),
        ],
        coat.mid,
    )
    fig.dot(0.31, -0.10, 0.075, 0.075, pale.light)
    fig.dot(-0.24, -0.52, 0.022, 0.026, (0.12, 0.09, 0.1))


def _traveller(fig: Figure, coat: Tones, pale: Tones) -> None:
    skin = mix(pale.mid, (0.96, 0.76, 0.62), 0.6)
    for x in (-0.055, 0.055):
        fig.stroke([(x, -0.20), (x, -0.02)], pale.dark, 0.05)
        fig.dot(x - 0.01, -0.01, 0.045, 0.022, (0.28, 0.18, 0.14))
    fig.blob([(-0.10, -0.64), (0.09, -0.64), (0.13, -0.42), (0.20, -0.16), (0.0, -0.13), (-0.20,
             -0.16),
              (-0.13, -0.42)], coat.mid)  # fmt: skip
    fig.blob(
        [
            (-0.09, -0.62),
            (0.0, -0.62),
            (-0.03, -0.40),
            (-0.08, -0.15),
            (-0.19, -0.17),
            (-0.12, -0.42),
        ],
        coat.light,
    )
    fig.stroke([(0.09, -0.60), (0.17, -0.46), (0.16, -0.34)], coat.dark, 0.06)
    fig.dot(0.16, -0.33, 0.028, 0.028, skin)
    fig.dot(0.0, -0.74, 0.095, 0.105, skin)
    fig.blob([(-0.10, -0.70), (-0.11, -0.80), (0.0, -0.87), (0.11, -0.80), (0.11, -0.62), (0.05,
             -0.60),
              (0.07, -0.74), (-0.04, -0.80)], (0.27, 0.17, 0.12))  # fmt: skip
    hat = mix((0.93, 0.80, 0.50), pale.mid, 0.35)
    fig.dot(0.0, -0.83, 0.20, 0.045, hat)
    fig.blob([(-0.10, -0.84), (-0.08, -0.94), (0.0, -0.97), (0.08, -0.94), (0.10, -0.84)], hat)
    fig.stroke([(-0.10, -0.86), (0.10, -0.86)], coat.mid, 0.03)


def _dragon(fig: Figure, coat: Tones, pale: Tones) -> None:
    spine = [(-0.95, -0.18), (-0.70, -0.30), (-0.42, -0.12), (-0.10, -0.02), (0.22, -0.20), (0.50,
             -0.14),
             (0.78, 0.06), (1.05, -0.10)]  # fmt: skip
    wing = [(-0.16, -0.06), (-0.02, -0.52), (0.30, -0.92), (0.36, -0.58), (0.56, -0.56), (0.46,
            -0.34),
            (0.56, -0.22), (0.26, -0.14)]  # fmt: skip
    fig.shape([(x - 0.14, y * 0.86 + 0.02) for x, y in wing], coat.dark)
    curve = smooth(spine, closed=False, steps=10)
    for i, (x, y) in enumerate(curve):
        t = i / len(curve)
        thick = 0.03 + 0.095 * np.sin(np.pi * min(1.0, 0.16 + t * 0.95)) ** 1.2 * (1.0 - 0.55 * t)
        fig.dot(x, y, thick, thick, coat.mid)
        fig.dot(x, y + thick * 0.35, thick * 0.62, thick * 0.5, pale.mid)
    for i, (x, y) in enumerate(curve[6:-10:3]):
        fig.shape(
            [(x - 0.03, y - 0.07), (x + 0.02, y - 0.15 + i * 0.002), (x + 0.05, y - 0.06)],
            coat.light,
        )
    fig.shape(wing, coat.mid)
    for tip in ((0.30, -0.92), (0.56, -0.56), (0.56, -0.22)):
        fig.stroke([(-0.02, -0.18), (0.12, tip[1] * 0.6), tip], coat.light, 0.02)
    fig.blob(
        [
            (-1.18, -0.14),
            (-1.06, -0.26),
            (-0.92, -0.30),
            (-0.82, -0.20),
            (-0.90, -0.10),
            (-1.06, -0.07),
        ],
        coat.mid,
    )
    fig.stroke([(-0.92, -0.28), (-0.82, -0.40), (-0.68, -0.43)], pale.light, 0.03)
    fig.dot(-1.0, -0.20, 0.022, 0.02, LAMP)
    fig.shape([(1.02, -0.16), (1.26, -0.24), (1.14, -0.02)], coat.light)


def _whale(fig: Figure, coat: Tones, pale: Tones) -> None:
    fig.blob([(-0.95, -0.24), (-0.80, -0.46), (-0.35, -0.56), (0.15, -0.46), (0.58, -0.26), (0.86,
             -0.30),
              (0.88, -0.18), (0.50, -0.08), (0.10, -0.02), (-0.50, 0.0), (-0.88, -0.10)],
              coat.mid)  # fmt: skip
    fig.blob(
        [(-0.86, -0.40), (-0.35, -0.55), (0.15, -0.45), (0.5, -0.29), (0.0, -0.36), (-0.5, -0.40)],
        coat.light,
    )
    fig.blob([(-0.94, -0.18), (-0.55, -0.16), (-0.10, -0.10), (0.25, -0.06), (-0.10, -0.01),
             (-0.55, 0.0),
              (-0.87, -0.09)], pale.light)  # fmt: skip
    for shift in (0.0, 0.035, 0.07):
        fig.stroke(
            [(-0.86 + shift, -0.13 + shift), (-0.45, -0.12 + shift), (0.0, -0.07 + shift * 0.6)],
            pale.dark,
            0.009,
        )
    fig.blob(
        [(0.80, -0.26), (0.98, -0.48), (1.18, -0.52), (1.06, -0.30), (1.16, -0.10), (0.98, -0.12)],
        coat.mid,
    )
    fig.blob(
        [(-0.34, -0.10), (-0.16, 0.0), (-0.06, 0.20), (-0.24, 0.18), (-0.44, -0.02)], coat.dark
    )
    fig.dot(-0.66, -0.21, 0.022, 0.022, (0.08, 0.09, 0.12))


def _airship(fig: Figure, coat: Tones, pale: Tones) -> None:
    fig.shape([(0.62, -0.55), (0.98, -0.86), (0.98, -0.40), (0.62, -0.48)], coat.dark)
    fig.blob([(-1.0, -0.50), (-0.80, -0.72), (-0.30, -0.83), (0.30, -0.78), (0.80, -0.56), (0.86,
             -0.50),
              (0.80, -0.44), (0.30, -0.22), (-0.30, -0.17), (-0.80, -0.28)], coat.mid)  # fmt: skip
    fig.blob([(-0.92, -0.58), (-0.70, -0.74), (-0.2, -0.81), (0.3, -0.76), (0.6, -0.64), (0.0,
             -0.68),
              (-0.5, -0.64)], coat.light)  # fmt: skip
    fig.blob([(-0.8, -0.32), (-0.2, -0.30), (0.5, -0.36), (0.3, -0.23), (-0.3, -0.18)], coat.dark)
    for x in (-0.55, -0.15, 0.28):
        fig.stroke(
            [(x, -0.79 + abs(x) * 0.08), (x + 0.07, -0.5), (x, -0.20 - abs(x) * 0.06)],
            pale.mid,
            0.014,
        )
    fig.blob([(-0.34, -0.15), (0.24, -0.15), (0.18, 0.0), (-0.26, 0.0)], pale.dark)
    for x in (-0.20, -0.06, 0.08):
        fig.dot(x, -0.085, 0.035, 0.03, LAMP)
    fig.shape([(0.66, -0.44), (0.96, -0.22), (0.92, -0.44)], coat.mid)


def _balloon(fig: Figure, coat: Tones, pale: Tones) -> None:
    envelope = [(0.0, -1.0), (0.30, -0.90), (0.40, -0.66), (0.26, -0.40), (0.09, -0.22), (-0.09,
                -0.22),
                (-0.26, -0.40), (-0.40, -0.66), (-0.30, -0.90)]  # fmt: skip
    for x in (-0.07, 0.07):
        fig.stroke([(x * 1.2, -0.24), (x, -0.10)], pale.dark, 0.01)
    fig.blob(envelope, coat.mid)
    for share, tone in ((0.72, pale.light), (0.40, coat.light), (0.14, pale.light)):
        fig.blob([(x * share - 0.03 * (1 - share), y) for x, y in envelope], tone)
    fig.blob([(0.16, -0.93), (0.32, -0.86), (0.395, -0.66), (0.25, -0.40), (0.10, -0.24), (0.20,
             -0.45),
              (0.29, -0.66)], coat.dark)  # fmt: skip
    fig.shape([(-0.085, -0.11), (0.085, -0.11), (0.065, 0.0), (-0.065, 0.0)], (0.48, 0.31, 0.20))


def _boat(fig: Figure, coat: Tones, pale: Tones) -> None:
    fig.stroke([(0.0, -0.14), (0.01, -1.0)], (0.36, 0.25, 0.18), 0.022)
    fig.blob(
        [(0.035, -0.97), (0.26, -0.66), (0.40, -0.24), (0.2, -0.22), (0.04, -0.24)],
        mix(pale.light, coat.light, 0.15),
    )
    fig.blob(
        [(-0.02, -0.90), (-0.20, -0.55), (-0.34, -0.24), (-0.1, -0.25), (-0.02, -0.26)], pale.mid
    )
    fig.shape([(0.01, -1.0), (0.15, -0.955), (0.01, -0.91)], coat.mid)
    fig.blob([(-0.46, -0.17), (0.0, -0.14), (0.50, -0.20), (0.36, 0.0), (-0.32, 0.0)], coat.mid)
    fig.blob(
        [(-0.46, -0.17), (0.0, -0.14), (0.50, -0.20), (0.46, -0.14), (0.0, -0.09), (-0.43, -0.12)],
        coat.light,
    )


FIGURES: Mapping[Creature, Callable[[Figure, Tones, Tones], None]] = {
    Creature.CAT: _cat,
    Creature.FOX: _fox,
    Creature.DEER: _deer,
    Creature.RABBIT: _rabbit,
    Creature.TRAVELLER: _traveller,
    Creature.DRAGON: _dragon,
    Creature.WHALE: _whale,
    Creature.AIRSHIP: _airship,
    Creature.BALLOON: _balloon,
    Creature.BOAT: _boat,
}
COATS: Mapping[Creature, Colour] = {
    Creature.CAT: (0.30, 0.27, 0.33),
    Creature.FOX: (0.90, 0.46, 0.18),
    Creature.DEER: (0.68, 0.45, 0.28),
    Creature.RABBIT: (0.86, 0.80, 0.72),
    Creature.TRAVELLER: (0.80, 0.26, 0.22),
    Creature.DRAGON: (0.24, 0.56, 0.50),
    Creature.WHALE: (0.27, 0.42, 0.62),
    Creature.AIRSHIP: (0.82, 0.52, 0.30),
    Creature.BALLOON: (0.86, 0.30, 0.22),
    Creature.BOAT: (0.62, 0.24, 0.18),
}
