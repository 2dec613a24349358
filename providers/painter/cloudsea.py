"""The layers of a world above the clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter import clouds
from providers.painter.composition import Layer
from providers.painter.islands import paint_island
from providers.painter.life import FLYING
from providers.painter.scene import Building

if TYPE_CHECKING:
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def cloud_sea_layers(scene: Scene) -> list[Layer]:
    """Back to front."""
    layers = [Layer("cloud sea", 330, _paint_cloud_sea)]
    if scene.buildings or not any(creature in FLYING for creature in scene.creatures):
        layers.append(Layer("island", 125, _paint_floating_island))
    layers.append(Layer("near clouds", 80, _paint_cloud_foreground))
    return layers


def _paint_cloud_sea(sheet: Sheet) -> None:
    rng = sheet.rng("cloud sea")
    for row, y in enumerate((0.80, 0.90, 1.0)):
        tones = sheet.palette.cloud.mixed(sheet.palette.haze, 0.30 - 0.12 * row)
        for x in np.linspace(-0.1, 1.1, 5) + rng.uniform(-0.1, 0.1, 5):
            clouds.paint_cumulus(sheet.picture, tones, rng, centre=(float(x), y + 0.05),
                                 size=(rng.uniform(0.42, 0.62), rng.uniform(0.10, 0.20)),
                                 sun_x=sheet.sun[0])  # fmt: skip


def _paint_cloud_foreground(sheet: Sheet) -> None:
    rng = sheet.rng("cloud foreground")
    for x in (sheet.focus - 0.2, sheet.focus + 0.35, 1.0 - sheet.focus):
        clouds.paint_cumulus(sheet.picture, sheet.palette.cloud, rng,
                             centre=(float(x), 1.06), size=(rng.uniform(0.5, 0.7),
                                     rng.uniform(0.10, 0.17)),
                             sun_x=sheet.sun[0])  # fmt: skip


def _paint_floating_island(sheet: Sheet) -> None:
    x, y = (0.5 + (sheet.focus - 0.5) * 0.6) * sheet.width, 0.56 * sheet.height
    paint_island(sheet, x, y, 0.30 * sheet.unit, sheet.scene.buildings or (Building.CASTLE,))
