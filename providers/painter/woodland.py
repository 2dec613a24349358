"""The layers of the inside of a forest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter import forest, weather
from providers.painter.buildings import paint_building
from providers.painter.colour import mix
from providers.painter.composition import Layer
from providers.painter.scene import Time
from providers.painter.turf import has_turf, paint_turf

if TYPE_CHECKING:
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def forest_layers(scene: Scene) -> list[Layer]:
    """Back to front."""
    layers = [
        Layer("clearing", 25, forest.paint_clearing),
        Layer("far trunks", 35, lambda sheet: forest.paint_trunks(sheet, 0.9, 16)),
        Layer("trunks", 35, lambda sheet: forest.paint_trunks(sheet, 0.62, 9)),
        Layer("floor", 60, forest.paint_floor),
    ]
    if scene.path:
        layers.append(Layer("path", 35, lambda sheet: forest.paint_path(sheet, 0.70)))
    if scene.buildings:
        layers.append(Layer("buildings", 25, _paint_forest_buildings))
    layers += [
        Layer("near trunks", 30, lambda sheet: forest.paint_trunks(sheet, 0.12, 5)),
        Layer("canopy", 60, forest.paint_canopy),
        Layer("rays", 70, _paint_forest_rays),
    ]
    if has_turf(scene):
        layers.append(Layer("turf", 35, lambda sheet: paint_turf(sheet, 0.82)))
    return layers


def _paint_forest_buildings(sheet: Sheet) -> None:
    for kind, dx in zip(sheet.scene.buildings, (0.0, 0.3, -0.25), strict=False):
        x = float(np.clip(sheet.focus + dx, 0.1, 0.9)) * sheet.width
        paint_building(sheet, kind, x, 0.77 * sheet.height, 1.1)


def _paint_forest_rays(sheet: Sheet) -> None:
    night = sheet.scene.time in (Time.NIGHT, Time.DUSK)
    light = mix(sheet.palette.sun, sheet.palette.glow, 0.4)
    weather.paint_rays(sheet, (sheet.focus, -0.15), 0.35 if night else 0.75, light)
