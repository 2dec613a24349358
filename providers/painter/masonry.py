"""Parts that buildings are made of: walls, roofs, windows, doors, round towers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import Colour, mix, multiply

if TYPE_CHECKING:
    from providers.painter.palette import Palette, Tones
    from providers.painter.sketch import Sketch

LAMP: Colour = (1.0, 0.83, 0.45)


@dataclass(frozen=True, slots=True)
class Mason:
    """Draws parts of buildings with a pen, in one light. `sun_x` -1.0 (left) to 1.0 (right)."""

    pen: Sketch
    palette: Palette
    rng: np.random.Generator
    sun_x: float

    @property
    def timber(self) -> Tones:
        """Dark wood in this light."""
        return self.palette.lit((0.45, 0.31, 0.22))

    def glass(self) -> Colour:
        """A window's colour: lamp light after dark, sky by day."""
        day = mix(self.palette.sky[-2], (0.25, 0.33, 0.45), 0.62)
        return mix(day, LAMP, self.palette.lamp)

    def wall(self, x: float, y: float, w: float, h: float, tones: Tones) -> None:
        """A rectangle standing on y, its middle at x; the side away from the sun is darker."""
        self.pen.polygon([(x - w / 2, y), (x - w / 2, y - h), (x + w / 2, y - h), (x + w / 2, y)],
                         mix(tones.mid, tones.light, 0.55))  # fmt: skip
        away = -1.0 if self.sun_x > 0 else 1.0
        edge, inner = x + away * w / 2, x + away * w * 0.22
        self.pen.polygon([(edge, y), (edge, y - h), (inner, y - h), (inner + away * w * 0.1, y)],
                         mix(tones.dark, tones.mid, 0.75))  # fmt: skip
        self.stones(x, y, w, h, mix(tones.mid, tones.dark, 0.45))

    def stones(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        """A few stones that show in the plaster."""
        for u, v, size in self.rng.random((9, 3)):
            px, py = x + (u - 0.5) * w * 0.84, y - (0.06 + 0.88 * v) * h
            self.pen.ellipse(px, py, w * (0.016 + 0.02 * size), w * 0.013, colour)

    def gable_roof(self, x: float, y: float, w: float, h: float, overhang: float) -> None:
        """A roof seen from its long side: a tall trapezium with rows of tiles."""
        tones = self.palette.roof
        half, top = w / 2 + overhang, w / 2 * 0.82
        self.pen.polygon(
            [(x - half, y), (x - top, y - h), (x + top, y - h), (x + half, y)], tones.mid
        )
        self._tiles(x, y, half, top, h, tones)
        lit = -1.0 if self.sun_x < 0 else 1.0
        self.pen.polygon(
            [(x + lit * half, y), (x + lit * top, y - h), (x + lit * top * 0.72, y - h),
             (x + lit * half * 0.70, y)],
            mix(tones.mid, tones.light, 0.55),
        )  # fmt: skip
        self.pen.line([(x - top, y - h), (x + top, y - h)], tones.light, h * 0.07)
        self.pen.line([(x - half, y), (x + half, y)], tones.dark, h * 0.06)

    def _tiles(self, x: float, y: float, half: float, top: float, h: float, tones: Tones) -> None:
        rows = 6
        for row in range(1, rows):
            t = row / rows
            reach = half + (top - half) * t
            self.pen.line([(x - reach, y - h * t), (x + reach, y - h * t)],
                          mix(tones.mid, tones.dark, 0.45), h * 0.022)  # fmt: skip
        for u, v in self.rng.random((22, 2)):
            row = int(v * rows) / rows
            reach = (half + (top - half) * row) * 0.94
            px, py = x + (u * 2 - 1) * reach, y - h * row - h / rows
            tone = mix(tones.dark, tones.light, float(u * 7 % 1.0))
            self.pen.polygon([(px, py), (px + half * 0.07, py), (px + half * 0.07,
                             py + h / rows * 0.9),
                              (px, py + h / rows * 0.9)], mix(tones.mid, tone, 0.5))  # fmt: skip

    def pointed_gable(self, x: float, y: float, w: float, h: float) -> None:
        """A front gable: plaster triangle under two roof slopes."""
        tones, wall = self.palette.roof, self.palette.wall
        half = w / 2
        self.pen.polygon([(x - half, y), (x, y - h), (x + half, y)], mix(wall.mid, wall.light, 0.6))
        thick = h * 0.17
        for side in (-1.0, 1.0):
            tone = mix(tones.mid, tones.light, 0.6) if side * self.sun_x > 0 else tones.dark
            outer = x + side * half * 1.22
            self.pen.polygon([(outer, y + h * 0.20), (x, y - h - thick), (x, y - h + thick * 0.7),
                              (outer - side * thick, y + h * 0.24)], tone)  # fmt: skip

    def window(self, x: float, y: float, w: float, h: float) -> None:
        """A window with a cross and a frame, its middle at x, y."""
        frame = self.timber.dark
        self._box(x, y, w * 1.24, h * 1.18, frame)
        self._box(x, y, w, h, self.glass())
        bright = mix(self.glass(), (1.0, 0.97, 0.86), 0.45)
        self._box(x - w * 0.26, y - h * 0.26, w * 0.36, h * 0.36, bright)
        self.pen.line([(x, y - h / 2), (x, y + h / 2)], frame, w * 0.09)
        self.pen.line([(x - w / 2, y), (x + w / 2, y)], frame, w * 0.09)

    def _box(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        self.pen.polygon([(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2),
                          (x - w / 2, y + h / 2)], colour)  # fmt: skip

    def arch(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        """A door or window with a round top, standing on y."""
        self.pen.ellipse(x, y - h + w / 2, w / 2, w / 2, colour)
        self._box(x, y - (h - w / 2) / 2, w, h - w / 2, colour)

    def door(self, x: float, y: float, w: float, h: float) -> None:
        """A wooden door with a lighter leaf."""
        self.arch(x, y, w * 1.25, h * 1.07, self.timber.dark)
        self.arch(x, y, w, h, mix(self.timber.mid, self.palette.roof.mid, 0.35))
        self.pen.ellipse(x + w * 0.28, y - h * 0.42, w * 0.07, w * 0.07, LAMP)

    def turret(self, x: float, y: float, w: float, h: float, tones: Tones) -> None:
        """A round tower standing on y, shaded as a cylinder."""
        bands = 7
        for i in range(bands):
            u0, u1 = i / bands - 0.5, (i + 1) / bands - 0.5
            facing = 1.0 - abs((u0 + u1) / 2 - 0.28 * np.sign(self.sun_x)) * 1.45
            tone = mix(mix(tones.dark, tones.mid, 0.5), tones.light, float(np.clip(facing, 0, 1)))
            self.pen.polygon([(x + u0 * w, y), (x + u0 * w, y - h), (x + u1 * w + 0.5, y - h),
                              (x + u1 * w + 0.5, y)], tone)  # fmt: skip
        self.stones(x, y, w * 0.9, h, mix(tones.mid, tones.dark, 0.55))

    def cone(self, x: float, y: float, w: float, h: float) -> None:
        """A pointed roof over a round tower."""
        tones = self.palette.roof
        half = w / 2
        self.pen.polygon([(x - half, y), (x, y - h), (x + half, y), (x, y + w * 0.08)], tones.mid)
        side = 1.0 if self.sun_x > 0 else -1.0
        self.pen.polygon([(x + side * half, y), (x, y - h), (x + side * half * 0.15, y + w * 0.07)],
                         mix(tones.mid, tones.light, 0.6))  # fmt: skip
        self.pen.polygon([(x - side * half, y), (x, y - h), (x - side * half * 0.55, y + w * 0.05)],
                         mix(tones.mid, tones.dark, 0.7))  # fmt: skip

    def flag(self, x: float, y: float, size: float) -> None:
        """A pennant on a pole that stands on y."""
        self.pen.line([(x, y), (x, y - size)], self.timber.dark, max(size * 0.05, 0.7))
        tip = (x + size * 0.75, y - size * 0.74)
        self.pen.polygon([(x, y - size), tip, (x, y - size * 0.55)],
                         multiply(self.palette.petals[0], (1.0, 0.92, 0.92)))  # fmt: skip

    def merlons(self, x: float, y: float, w: float, size: float, tones: Tones) -> None:
        """Battlements along the top of a wall."""
        count = max(3, int(w / (size * 1.7)))
        for i in range(count):
            px = x - w / 2 + (i + 0.5) * w / count
            self._box(px, y - size * 0.4, w / count * 0.58, size, mix(tones.mid, tones.light, 0.5))
