"""Floating islands: a meadow on a rock that hangs in the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.buildings import paint_building, paint_village
from providers.painter.colour import as_f32, over, ramp, smoothstep
from providers.painter.noise import fbm
from providers.painter.plants import crown_puffs, paint_foliage
from providers.painter.scene import Building

if TYPE_CHECKING:
    from providers.painter.sheet import Sheet


def paint_island(
    sheet: Sheet, x: float, y: float, half: float, buildings: tuple[Building, ...]
) -> None:
    """An island whose meadow is at y, `half` its half width; all in pixels."""
    rng = sheet.rng("floating island")
    xs = (np.arange(sheet.width, dtype=np.float32)[None, :] - x) / half
    ys = (np.arange(sheet.height, dtype=np.float32)[:, None] - y) / half
    rough = fbm(rng, sheet.width, sheet.height, 7.0, octaves=4)
    folds = fbm(rng, sheet.width, sheet.height, 9.0, octaves=4, stretch=0.45)
    # The rock narrows downwards to a ragged point.
    keel = np.maximum(1.0 - xs * xs, 0.0) ** 0.8 * (0.95 + 0.22 * rough)
    inside = np.minimum(keel - ys, 1.0 - np.abs(xs) + rough * 0.05) * (ys > -0.10)
    side = 1.0 if sheet.sun[0] * sheet.width > x else -1.0
    stone = sheet.palette.rock.tinted(sheet.palette.wall.mid, 0.45)
    tone = 0.55 + 0.35 * xs * side + folds * 0.22 - 0.35 * np.clip(ys, 0, 1)
    over(sheet.picture, ramp(stone.as_list(), as_f32(tone)), smoothstep(0.0, 0.02, as_f32(inside)))
    lawn = 1.0 - (xs * 0.97) ** 2 - ((ys + 0.03 * np.cos(xs * 5.0)) / (0.13 + 0.05 * rough)) ** 2
    grass = as_f32(0.62 + 0.25 * xs * side + rough * 0.10 - ys * 1.6)
    over(
        sheet.picture,
        ramp(sheet.palette.ground.as_list(), grass),
        smoothstep(0.0, 0.12, as_f32(lawn)),
    )
    _paint_woods(sheet, rng, x, y, half, side * 0.7)
    for kind, dx in zip(buildings, (0.0, 0.5, -0.5), strict=False):
        if kind is Building.VILLAGE:
            paint_village(sheet, x, y, 0.8)
        else:
            paint_building(sheet, kind, x + dx * half, y + half * 0.04, half / (0.32 * sheet.unit))


def _paint_woods(
    sheet: Sheet, rng: np.random.Generator, x: float, y: float, half: float, sun_x: float
) -> None:
    """Trees along the back of the meadow, and roots of ivy over its rim."""
    for dx in np.linspace(-0.82, 0.82, 9) + rng.uniform(-0.05, 0.05, 9):
        size = half * rng.uniform(0.18, 0.34) * (1.15 - abs(dx) * 0.5)
        puffs = crown_puffs(rng, x + dx * half, y - size * 0.35, size, size * 0.85, 7)
        paint_foliage(sheet.picture, sheet.palette.foliage, rng, puffs, sun_x=sun_x,
                      leaf_px=max(size * 0.035, 0.9))  # fmt: skip
