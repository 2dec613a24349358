"""The layers of a town by the sea: rows of houses down to the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter import land, water
from providers.painter.buildings import paint_building
from providers.painter.coast import paint_islands
from providers.painter.composition import Hill, Layer, line_of
from providers.painter.scene import Building

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def town_layers(scene: Scene) -> list[Layer]:
    """Back to front."""
    rows = [Layer(f"row {i}", 105, _row_painter(i)) for i in range(5)]
    return [
        Layer("islands", 45, paint_islands),
        Layer("water", 60, lambda sheet: water.paint_water(sheet, sheet.horizon, calm=0.4)),
        *rows,
    ]


def _row_painter(row: int) -> Callable[[Sheet], None]:
    def paint(sheet: Sheet) -> None:
        rng = sheet.rng(f"row {row}")
        near = row / 4
        scale = 0.55 + 1.45 * near
        hill = Hill(f"street {row}", 0.10 + 0.36 * near**1.15, 0.035, 1.6, 0.30 * (1 - near))
        line = line_of(sheet, hill)
        land.paint_hill(sheet.picture, sheet.palette.foliage, rng, line, haze=sheet.palette.haze,
                        distance=hill.distance, sun_x=sheet.sun[0])  # fmt: skip
        step = 0.115 * scale * sheet.unit
        count = int(sheet.width / step) + 2
        special = int(count * sheet.focus) if row == 1 else -1
        for i in range(count):
            x = (i + rng.uniform(-0.12, 0.12)) * step
            y = (
                float(line[int(np.clip(x, 0, sheet.width - 1))])
                + rng.uniform(0.0, 0.03) * sheet.height
            )
            if i == special:
                kinds = [kind for kind in sheet.scene.buildings if kind is not Building.VILLAGE]
                paint_building(sheet, kinds[0] if kinds else Building.TOWER, x, y, 0.8)
            elif rng.random() < 0.86:
                kind = Building.COTTAGE if rng.random() < 0.25 else Building.VILLAGE
                paint_building(
                    sheet,
                    kind,
                    x,
                    y + 0.02 * sheet.height,
                    scale * (0.62 if kind is Building.COTTAGE else 1.0),
                )

    return paint
