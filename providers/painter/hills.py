"""The layers of open country: mountains, hills, trees, a river or a path, a meadow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter import forest, land, plants, water
from providers.painter.buildings import paint_building, paint_village
from providers.painter.composition import (
    FAR,
    MIDDLE,
    NEAR,
    Hill,
    Layer,
    line_of,
    places_on,
    sun_side,
)
from providers.painter.scene import Building, Place, Plant, Season
from providers.painter.turf import has_turf, paint_turf

if TYPE_CHECKING:
    from providers.painter.colour import Plane
    from providers.painter.palette import Tones
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def hill_layers(scene: Scene) -> list[Layer]:
    """Back to front."""
    layers: list[Layer] = []
    if scene.mountains or scene.place is Place.MOUNTAINS:
        layers.append(Layer("mountains", 150, paint_ranges))
    layers += [
        Layer("far hill", 40, lambda sheet: paint_hill(sheet, FAR, woods=0.4)),
        Layer("middle hill", 35, lambda sheet: paint_hill(sheet, MIDDLE, woods=0.22)),
    ]
    if scene.buildings:
        layers.append(Layer("buildings", 25, _paint_hill_buildings))
    layers.append(Layer("near hill", 25, lambda sheet: paint_hill(sheet, NEAR, woods=0.0)))
    if has_turf(scene):
        layers.append(Layer("meadow", 35, _paint_meadow))
    if scene.place is Place.RIVER:
        layers.append(Layer("river", 50, lambda at: water.paint_river(at, at.horizon + 0.19)))
    if scene.path:
        layers.append(Layer("path", 35, lambda at: forest.paint_path(at, at.horizon + 0.19)))
    if has_trees(scene) and scene.place is not Place.DESERT:
        layers.append(Layer("trees", 35, _paint_trees))
    return layers


def paint_ranges(sheet: Sheet) -> None:
    """Two ranges of mountains; high ones where the place is mountains."""
    high = sheet.scene.place is Place.MOUNTAINS
    for name, base, swing, cells, distance in (
        ("far range", -0.10 - 0.12 * high, 0.17 + 0.18 * high, 2.6, 0.72),
        ("near range", -0.03 - 0.04 * high, 0.11 + 0.10 * high, 3.6, 0.45),
    ):
        rng = sheet.rng(name)
        line = land.crest(rng, sheet.width, sheet.height, base=sheet.horizon + base, swing=swing,
                          cells=cells, octaves=6, gain=0.46)  # fmt: skip
        winter = sheet.scene.season is Season.WINTER
        land.paint_mountains(sheet.picture, sheet.palette, rng, line, distance=distance,
                             sun_x=sheet.sun[0], snow=0.85 if winter else 0.30)  # fmt: skip


def paint_hill(sheet: Sheet, hill: Hill, *, woods: float) -> None:
    """One hill, with `woods` (0.0 to 1.0) along its skyline."""
    line = line_of(sheet, hill)
    land.paint_hill(sheet.picture, sheet.palette.ground, sheet.rng(hill.name + " face"), line,
                    haze=sheet.palette.haze, distance=hill.distance,
                                        sun_x=sheet.sun[0])  # fmt: skip
    if woods > 0.0 and sheet.scene.place is not Place.DESERT:
        tones = sheet.palette.foliage.mixed(sheet.palette.haze, hill.distance * 0.8)
        size = (0.085 - 0.095 * hill.distance) * sheet.unit
        plants.paint_treeline(sheet.picture, tones, sheet.rng(hill.name + " woods"), line,
                              size=size,
                              density=woods, sun_x=sun_side(sheet))  # fmt: skip


def _paint_hill_buildings(sheet: Sheet) -> None:
    line = line_of(sheet, MIDDLE)
    kinds = sheet.scene.buildings
    for kind, (x, y) in zip(kinds, places_on(sheet, line, len(kinds)), strict=False):
        if kind is Building.VILLAGE:
            paint_village(sheet, x, y + 0.03 * sheet.height)
        else:
            paint_building(sheet, kind, x, y)


def foliage_of(sheet: Sheet) -> Tones:
    """The leaves of the big trees: in blossom where that was asked for."""
    if Plant.BLOSSOM in sheet.scene.plants:
        return sheet.palette.lit((1.0, 0.74, 0.83)).tinted((1.0, 0.80, 0.87), 0.35)
    return sheet.palette.foliage


def has_firs(scene: Scene) -> bool:
    """True where firs stand: asked for, in the mountains, in winter."""
    return (
        Plant.CONIFER in scene.plants
        or scene.place is Place.MOUNTAINS
        or scene.season is Season.WINTER
    )


def has_trees(scene: Scene) -> bool:
    """True where any tree stands near the viewer."""
    return has_firs(scene) or bool({Plant.TREE, Plant.BLOSSOM} & set(scene.plants))


def _paint_trees(sheet: Sheet) -> None:
    rng, scene = sheet.rng("trees"), sheet.scene
    line, sun_x = line_of(sheet, NEAR), sun_side(sheet)
    bark = sheet.palette.lit((0.47, 0.35, 0.27))
    if has_firs(scene):
        paint_conifers(sheet, rng, line)
    if not {Plant.TREE, Plant.BLOSSOM} & set(scene.plants):
        return
    # One big tree frames the picture on the side away from the focus; a small one answers it.
    side = 1.0 if sheet.focus < 0.5 else -1.0
    far = 0.5 + side * rng.uniform(0.30, 0.40)
    for u, size in ((sheet.focus - side * 0.24, 0.24), (far, rng.uniform(0.46, 0.60))):
        x = float(np.clip(u, 0.0, 1.0)) * (sheet.width - 1)
        y = float(line[int(x)]) + (0.02 + 0.10 * size) * sheet.height
        plants.paint_tree(
            sheet.picture,
            foliage_of(sheet),
            bark,
            rng,
            x=x,
            y=y,
            size=size * sheet.unit,
            sun_x=sun_x,
        )


def paint_conifers(sheet: Sheet, rng: np.random.Generator, line: Plane) -> None:
    """Two groups of firs, the larger one away from the focus."""
    white = (
        sheet.palette.lit((0.97, 0.98, 1.0)).light if sheet.scene.season is Season.WINTER else None
    )
    deep = sheet.palette.lit((0.16, 0.36, 0.29))
    side = 1.0 if sheet.focus < 0.5 else -1.0
    groups = ((0.5 + side * 0.40, 9, 0.13), (0.5 - side * 0.46, 6, 0.08))
    for middle, count, spread in groups:
        offsets = sorted(
            zip(rng.normal(0, spread, count), rng.random(count), strict=True), key=lambda at: at[1]
        )
        for offset, near in offsets:
            x = (middle + offset) * sheet.width
            at = int(np.clip(x, 0, sheet.width - 1))
            y = float(line[at]) + (0.005 + 0.09 * near) * sheet.height
            size = (0.13 + 0.16 * near) * sheet.unit * rng.uniform(0.85, 1.15)
            tones = deep.mixed(sheet.palette.haze, 0.18 * (1 - near))
            plants.paint_conifer(sheet.picture, tones, rng, x=x, y=y, size=size,
                                 sun_x=sun_side(sheet), snow=white)  # fmt: skip


def _paint_meadow(sheet: Sheet) -> None:
    """Grass and flowers at the viewer's feet."""
    paint_turf(sheet, sheet.horizon + 0.24)
