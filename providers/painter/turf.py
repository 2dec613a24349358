"""What grows at the viewer's feet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.painter import plants
from providers.painter.scene import Place, Plant, Season

if TYPE_CHECKING:
    import numpy as np

    from providers.painter.colour import Plane
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def _is_green(scene: Scene) -> bool:
    """True where grass and flowers grow."""
    return scene.season is not Season.WINTER and scene.place is not Place.DESERT


def has_turf(scene: Scene) -> bool:
    """True when `paint_turf` has something to paint."""
    return _is_green(scene) or bool({Plant.REEDS, Plant.MUSHROOMS} & set(scene.plants))


def paint_turf(sheet: Sheet, top: float, line: Plane | None = None) -> None:
    """Grass, flowers, reeds and mushrooms from `top` (fraction) down.

    Nothing is rooted above `line` (y in pixels for every x) where one is given.
    """
    scene, rng, palette = sheet.scene, sheet.rng("turf"), sheet.palette
    share = max(0.0, min(1.0, (1.0 - top) / 0.2))
    green = _is_green(scene)
    if green:
        plants.paint_grass(sheet.picture, palette.ground, rng, top=top, count=int(2600 * share),
                           blade_px=0.052 * sheet.unit, line=line)  # fmt: skip
    if Plant.FLOWERS in scene.plants and green:
        plants.paint_flowers(sheet.picture, palette.petals, palette.ground.dark, rng,
                             top=top - 0.03,
                             count=int(700 * share), petal_px=0.0165 * sheet.unit,
                                       line=line)  # fmt: skip
    if Plant.REEDS in scene.plants:
        head = palette.lit((0.5, 0.33, 0.2)).mid
        plants.paint_reeds(
            sheet.picture, palette.ground, head, rng, count=46, size=0.30 * sheet.unit
        )
    if Plant.MUSHROOMS in scene.plants:
        _paint_mushrooms(sheet, rng)


def _paint_mushrooms(sheet: Sheet, rng: np.random.Generator) -> None:
    cap = (
        sheet.palette.lit((0.86, 0.22, 0.16))
        if sheet.palette.creature is None
        else sheet.palette.roof
    )
    stalk = sheet.palette.lit((0.98, 0.93, 0.82))
    spots = sorted(rng.random((9, 2)).tolist(), key=lambda at: at[1])
    for u, v in spots:
        x, y = (0.04 + 0.92 * u) * sheet.width, (0.80 + 0.17 * v) * sheet.height
        size = sheet.unit * (0.04 + 0.11 * v * rng.uniform(0.6, 1.1))
        plants.paint_mushroom(sheet.picture, cap, stalk, rng, x, y, size)
