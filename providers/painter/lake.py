"""The layers of a lake: mountains and a far shore mirrored in it, a near shore with trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter import land, plants, water
from providers.painter.buildings import paint_building, paint_village
from providers.painter.colour import Plane, as_f32, mix
from providers.painter.composition import FAR, Hill, Layer, line_of, places_on, sun_side
from providers.painter.hills import (
    foliage_of,
    has_firs,
    has_trees,
    paint_conifers,
    paint_hill,
    paint_ranges,
)
from providers.painter.scene import Building, Plant
from providers.painter.sketch import sketch
from providers.painter.turf import has_turf, paint_turf

if TYPE_CHECKING:
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def lake_layers(scene: Scene) -> list[Layer]:
    """Back to front."""
    layers = [
        Layer("mountains", 150, paint_ranges),
        Layer("far shore", 85, _paint_far_shore),
        Layer("water", 60, lambda at: water.paint_water(at, at.horizon + 0.075, calm=0.85)),
    ]
    if Building.GATE in scene.buildings:
        layers.append(Layer("gate", 10, _paint_lake_gate))
    layers.append(Layer("near shore", 25, _paint_near_shore))
    if has_trees(scene):
        layers.append(Layer("trees", 35, _paint_trees_by_water))
    if has_turf(scene):
        layers.append(Layer("turf", 35, lambda at: paint_turf(at, 0.90, _near_shore_line(at))))
    return layers


def _paint_far_shore(sheet: Sheet) -> None:
    paint_hill(sheet, FAR, woods=0.75)
    line = line_of(sheet, Hill("spit", 0.062, 0.012, 2.0, 0.3, rise=0.035))
    land.paint_hill(sheet.picture, sheet.palette.ground, sheet.rng("spit face"), line,
                    haze=sheet.palette.haze, distance=0.3, sun_x=sheet.sun[0])  # fmt: skip
    plants.paint_treeline(sheet.picture, sheet.palette.foliage.mixed(sheet.palette.haze, 0.22),
                          sheet.rng("spit woods"), line, size=0.055 * sheet.unit, density=0.3,
                          sun_x=sun_side(sheet))  # fmt: skip
    kinds = tuple(kind for kind in sheet.scene.buildings if kind is not Building.GATE)
    for kind, (x, y) in zip(kinds, places_on(sheet, line, len(kinds)), strict=False):
        if kind is Building.VILLAGE:
            paint_village(sheet, x, y + 0.01 * sheet.height, 0.75)
        else:
            paint_building(sheet, kind, x, y, 0.85)


def _paint_lake_gate(sheet: Sheet) -> None:
    x, y = sheet.focus * sheet.width, (sheet.horizon + 0.20) * sheet.height
    _paint_reflection(sheet, x, y)
    paint_building(sheet, Building.GATE, x, y, 1.25)


def _paint_reflection(sheet: Sheet, x: float, y: float) -> None:
    """A dim red shimmer below the gate."""
    red = mix(sheet.palette.lit((0.86, 0.25, 0.16)).mid, sheet.palette.water.mid, 0.45)
    size = 0.31 * sheet.unit
    with sketch(sheet.picture, (x - size, y, x + size, y + size)) as pen:
        for side in (-1.0, 1.0):
            for i in range(9):
                py = y + size * 0.085 * i
                wide = size * (0.045 if i % 2 else 0.025)
                px = x + side * size * (0.40 - 0.005 * i)
                pen.ellipse(px, py, wide, size * 0.022, red)


def _near_shore_line(sheet: Sheet) -> Plane:
    line = land.crest(
        sheet.rng("near shore"), sheet.width, sheet.height, base=0.87, swing=0.05, cells=1.3
    )
    xs = np.linspace(0.0, 1.0, sheet.width, dtype=np.float32)
    inward = xs if sheet.focus > 0.5 else 1.0 - xs
    return as_f32(line + (0.11 * inward - 0.04) * sheet.height)


def _paint_near_shore(sheet: Sheet) -> None:
    land.paint_hill(sheet.picture, sheet.palette.ground, sheet.rng("near shore face"),
                    _near_shore_line(sheet), haze=sheet.palette.haze, distance=0.0,
                    sun_x=sheet.sun[0])  # fmt: skip


def _paint_trees_by_water(sheet: Sheet) -> None:
    rng, scene, line = sheet.rng("trees"), sheet.scene, _near_shore_line(sheet)
    if has_firs(scene):
        paint_conifers(sheet, rng, line)
    if not {Plant.TREE, Plant.BLOSSOM} & set(scene.plants):
        return
    side = 1.0 if sheet.focus < 0.5 else -1.0
    x = (0.5 + side * rng.uniform(0.32, 0.42)) * sheet.width
    y = float(line[int(np.clip(x, 0, sheet.width - 1))]) + 0.05 * sheet.height
    plants.paint_tree(sheet.picture, foliage_of(sheet), sheet.palette.lit((0.47, 0.35, 0.27)),
                      rng, x=x, y=y,
                      size=rng.uniform(0.5, 0.62) * sheet.unit, sun_x=sun_side(sheet))  # fmt: skip
