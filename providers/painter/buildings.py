"""Houses, castles, towers, lighthouses, windmills and gates, each standing on a point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import as_f32, mix, over, vector
from providers.painter.masonry import LAMP, Mason
from providers.painter.plants import crown_puffs, paint_foliage
from providers.painter.scene import Building
from providers.painter.sketch import sketch, smooth
from providers.painter.sky import paint_halo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from providers.painter.sheet import Sheet


def _cottage(mason: Mason, x: float, y: float, size: float) -> None:
    wall = mason.palette.wall
    side = 1.0 if mason.sun_x >= 0 else -1.0
    w, h = size * 0.98, size * 0.44
    mason.wall(x - side * w * 0.36, y - size * 0.86, size * 0.11, size * 0.26, wall)  # chimney
    mason.wall(x, y, w, h, wall)
    mason.gable_roof(x, y - h, w, size * 0.46, size * 0.09)
    front = x + side * w * 0.22
    mason.wall(front, y, w * 0.38, h * 1.08, wall)
    mason.pointed_gable(front, y - h * 1.05, w * 0.40, size * 0.30)
    mason.door(front, y, size * 0.13, size * 0.27)
    mason.window(front, y - h * 1.22, size * 0.09, size * 0.11)
    for offset in (-0.42, -0.14):
        mason.window(x + side * w * offset, y - h * 0.52, size * 0.12, size * 0.15)
    mason.window(x - side * w * 0.26, y - h - size * 0.18, size * 0.09, size * 0.10)


def _small_house(mason: Mason, x: float, y: float, size: float) -> None:
    w, h = size * 0.8, size * 0.5
    mason.wall(x, y, w, h, mason.palette.wall)
    if mason.rng.random() < 0.5:
        mason.pointed_gable(x, y - h * 0.96, w, size * 0.48)
    else:
        mason.gable_roof(x, y - h, w, size * 0.40, size * 0.07)
    for offset in (-0.24, 0.24):
        mason.window(x + w * offset, y - h * 0.52, size * 0.12, size * 0.15)


def _tower(mason: Mason, x: float, y: float, size: float) -> None:
    stone = mason.palette.rock.tinted(mason.palette.wall.light, 0.45)
    w = size * 0.24
    mason.turret(x, y, w, size * 0.68, stone)
    mason.turret(x, y - size * 0.60, w * 1.18, size * 0.10, stone)
    mason.cone(x, y - size * 0.69, w * 1.42, size * 0.31)
    mason.flag(x, y - size * 0.99, size * 0.09)
    for up in (0.28, 0.48, 0.635):
        mason.arch(x + w * 0.05, y - size * up, w * 0.20, size * 0.06, mason.glass())
    mason.door(x, y, w * 0.34, size * 0.11)


def _castle(mason: Mason, x: float, y: float, size: float) -> None:
    stone = mason.palette.wall.tinted(mason.palette.rock.light, 0.35)
    back = [(-0.14, 0.13, 0.74), (0.20, 0.11, 0.62), (0.03, 0.16, 0.86)]
    for dx, w, h in back:
        mason.turret(x + dx * size, y, w * size, h * size * 0.72, stone)
        mason.cone(x + dx * size, y - h * size * 0.715, w * size * 1.35, h * size * 0.34)
        mason.flag(x + dx * size, y - h * size * 1.04, size * 0.06)
        for up in (0.38, 0.52):
            mason.arch(
                x + dx * size, y - h * size * up, w * size * 0.18, size * 0.04, mason.glass()
            )
    mason.wall(x, y, size * 0.80, size * 0.28, stone)
    mason.merlons(x, y - size * 0.28, size * 0.80, size * 0.035, stone)
    for dx, w, h in (
        (-0.42, 0.15, 0.44),
        (0.42, 0.15, 0.40),
        (-0.13, 0.10, 0.36),
        (0.13, 0.10, 0.36),
    ):
        mason.turret(x + dx * size, y, w * size, h * size, stone)
        mason.cone(x + dx * size, y - h * size, w * size * 1.3, size * 0.17)
        mason.arch(x + dx * size, y - h * size * 0.72, w * size * 0.2, size * 0.045, mason.glass())
    mason.door(x, y, size * 0.10, size * 0.16)
    for dx in (-0.28, 0.28):
        mason.window(x + dx * size, y - size * 0.16, size * 0.035, size * 0.05)


def _lighthouse(mason: Mason, x: float, y: float, size: float) -> None:
    white = mason.palette.lit((0.97, 0.95, 0.91))
    stripe = mason.palette.roof
    bands = 5
    for i in range(bands):
        low, high = i / bands, (i + 1) / bands
        w = size * (0.25 - 0.10 * low)
        mason.turret(x, y - size * 0.70 * low, w, size * 0.70 * (high - low) + 1,
                     white if i % 2 == 0 else stripe)  # fmt: skip
    mason.wall(x, y - size * 0.70, size * 0.21, size * 0.03, mason.palette.rock)
    mason.pen.polygon(
        [(x - size * 0.06, y - size * 0.73), (x - size * 0.06, y - size * 0.83),
         (x + size * 0.06, y - size * 0.83), (x + size * 0.06, y - size * 0.73)],
        mix(mason.glass(), LAMP, 0.6),
    )  # fmt: skip
    mason.cone(x, y - size * 0.82, size * 0.18, size * 0.12)
    mason.door(x, y, size * 0.07, size * 0.13)
    for up in (0.30, 0.5):
        mason.arch(x, y - size * up, size * 0.035, size * 0.06, mason.glass())
    mason.wall(x + size * 0.26, y, size * 0.26, size * 0.15, mason.palette.wall)
    mason.gable_roof(x + size * 0.26, y - size * 0.15, size * 0.26, size * 0.11, size * 0.03)
    mason.window(x + size * 0.27, y - size * 0.075, size * 0.045, size * 0.055)


def _windmill(mason: Mason, x: float, y: float, size: float) -> None:
    wall = mason.palette.wall
    for i in range(4):
        w = size * (0.34 - 0.035 * i)
        mason.turret(x, y - size * 0.14 * i, w, size * 0.15, wall)
    mason.cone(x, y - size * 0.555, size * 0.30, size * 0.20)
    mason.door(x, y, size * 0.09, size * 0.17)
    mason.window(x, y - size * 0.38, size * 0.06, size * 0.07)
    hub = (x, y - size * 0.60)
    turn = float(mason.rng.uniform(0.2, 1.3))
    canvas = mason.palette.lit((0.98, 0.95, 0.86))
    for blade in range(4):
        angle = turn + blade * np.pi / 2
        along = (float(np.cos(angle)), float(np.sin(angle)))
        aside = (-along[1] * size * 0.10, along[0] * size * 0.10)
        start, end = size * 0.09, size * 0.42
        near = (hub[0] + along[0] * start, hub[1] + along[1] * start)
        far = (hub[0] + along[0] * end, hub[1] + along[1] * end)
        mason.pen.polygon([near, far, (far[0] + aside[0], far[1] + aside[1]),
                           (near[0] + aside[0], near[1] + aside[1])],
                          mix(canvas.mid, canvas.light, 0.6))  # fmt: skip
        mason.pen.line([hub, far], mason.timber.dark, size * 0.014)
        for t in (0.35, 0.65):
            px, py = near[0] + (far[0] - near[0]) * t, near[1] + (far[1] - near[1]) * t
            mason.pen.line(
                [(px, py), (px + aside[0], py + aside[1])], mason.timber.mid, size * 0.007
            )
    mason.pen.ellipse(hub[0], hub[1], size * 0.022, size * 0.022, mason.timber.dark)


def _gate(mason: Mason, x: float, y: float, size: float) -> None:
    red = mason.palette.lit((0.86, 0.25, 0.16))
    dark = mason.palette.lit((0.22, 0.20, 0.24))
    for side in (-1.0, 1.0):
        low, high = x + side * size * 0.40, x + side * size * 0.35
        mason.pen.line([(low, y), (high, y - size * 0.86)], red.mid, size * 0.075)
        shine = -0.018 if mason.sun_x < 0 else 0.018
        mason.pen.line([(low + shine * size, y), (high + shine * size, y - size * 0.86)],
                       red.light, size * 0.026)  # fmt: skip
        mason.pen.line([(low, y), (low, y - size * 0.09)], dark.mid, size * 0.095)
    mason.pen.line([(x - size * 0.46, y - size * 0.66), (x + size * 0.46, y - size * 0.66)],
                   red.mid, size * 0.06)  # fmt: skip
    roof = smooth([(x - size * 0.62, y - size * 1.0), (x - size * 0.3, y - size * 0.945),
                   (x + size * 0.3, y - size * 0.945), (x + size * 0.62, y - size * 1.0)],
                  closed=False)  # fmt: skip
    mason.pen.line([(px, py + size * 0.075) for px, py in roof], red.light, size * 0.065)
    mason.pen.line(roof, dark.mid, size * 0.06)
    mason.pen.line([(x, y - size * 0.66), (x, y - size * 0.85)], red.dark, size * 0.07)


_BUILDERS: Mapping[Building, Callable[[Mason, float, float, float], None]] = {
    Building.COTTAGE: _cottage,
    Building.CASTLE: _castle,
    Building.TOWER: _tower,
    Building.LIGHTHOUSE: _lighthouse,
    Building.WINDMILL: _windmill,
    Building.GATE: _gate,
    Building.VILLAGE: _small_house,
}
# Heights as shares of the picture's shorter side.
_HEIGHTS = {
    Building.COTTAGE: 0.21,
    Building.CASTLE: 0.40,
    Building.TOWER: 0.38,
    Building.LIGHTHOUSE: 0.42,
    Building.WINDMILL: 0.32,
    Building.GATE: 0.25,
    Building.VILLAGE: 0.12,
}


def _sun_side(sheet: Sheet, x: float) -> float:
    return 0.7 if sheet.sun[0] * sheet.width >= x else -0.7


def paint_building(sheet: Sheet, kind: Building, x: float, y: float, scale: float = 1.0) -> None:
    """One building whose foot is at x, y (pixels), with bushes around it and lamp light."""
    size = _HEIGHTS[kind] * sheet.unit * scale
    rng = sheet.rng(f"building {kind} {x / sheet.width:.3f}")
    sun_x = _sun_side(sheet, x)
    with sketch(sheet.picture, (x - size, y - size * 1.25, x + size, y + size * 0.1)) as pen:
        _BUILDERS[kind](Mason(pen, sheet.palette, rng, sun_x), x, y, size)
    if kind is not Building.GATE:
        _paint_bushes(sheet, rng, x, y, size, sun_x)
    if kind is Building.COTTAGE:
        _paint_smoke(sheet, x - sun_x * size * 0.5, y - size * 1.12, size)
    if sheet.palette.lamp > 0.2:
        alpha = 0.26 * sheet.palette.lamp
        paint_halo(sheet.picture, x, y - size * 0.3, size * 0.62, LAMP, alpha)


def _paint_bushes(
    sheet: Sheet, rng: np.random.Generator, x: float, y: float, size: float, sun_x: float
) -> None:
    """Bushes at the foot, so that walls grow out of the ground."""
    small = min(size, 0.2 * sheet.unit)
    for side in (-0.62, -0.5, 0.46, 0.6):
        bush_w = small * rng.uniform(0.24, 0.42)
        spread = size if size < 0.25 * sheet.unit else size * 0.72
        puffs = crown_puffs(rng, x + side * spread, y - bush_w * 0.16, bush_w, bush_w * 0.62, 6)
        paint_foliage(sheet.picture, sheet.palette.foliage, rng, puffs, sun_x=sun_x,
                      leaf_px=max(bush_w * 0.03, 0.8))  # fmt: skip


def _paint_smoke(sheet: Sheet, x: float, y: float, size: float) -> None:
    """A thin thread of smoke that widens as it rises."""
    rng = sheet.rng("smoke")
    drift = rng.uniform(0.5, 1.1) * (1.0 if rng.random() < 0.5 else -1.0)
    ys = (y - np.arange(sheet.height, dtype=np.float32))[:, None] / size
    xs = (np.arange(sheet.width, dtype=np.float32)[None, :] - x) / size
    rise = np.clip(ys, 0.0, None)
    middle = drift * 0.18 * rise**1.4 + 0.05 * np.sin(rise * 6.0)
    wide = 0.022 + 0.085 * rise
    alpha = np.exp(-(((xs - middle) / wide) ** 2)) * np.exp(-rise * 1.5) * (ys > 0) * 0.6
    over(sheet.picture, vector(sheet.palette.cloud.light), as_f32(alpha))


def paint_village(sheet: Sheet, x: float, y: float, scale: float = 1.0) -> None:
    """Houses in rows up a slope around x, y (pixels), the far ones first, and a spire."""
    rng = sheet.rng("village")
    places = sorted(
        ((rng.normal(0.0, 0.15), rng.uniform(-0.055, 0.05)) for _ in range(11)),
        key=lambda at: at[1],
    )
    tower = x + rng.uniform(-0.06, 0.06) * sheet.unit
    paint_building(sheet, Building.TOWER, tower, y - 0.045 * sheet.unit * scale, scale * 0.58)
    for dx, dy in places:
        paint_building(sheet, Building.VILLAGE, x + dx * sheet.unit * 1.25 * scale,
                       y + dy * sheet.unit * scale, scale * (0.82 + 2.6 * dy))  # fmt: skip
