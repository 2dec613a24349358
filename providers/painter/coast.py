"""The layers of a sea: islands on the horizon, waves, a headland with cliffs, a near shore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter import land, plants, water
from providers.painter.buildings import paint_building, paint_village
from providers.painter.colour import Plane, as_f32, over, ramp, smoothstep
from providers.painter.composition import Layer, sun_side
from providers.painter.noise import fbm
from providers.painter.scene import Building
from providers.painter.turf import paint_turf

if TYPE_CHECKING:
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def sea_layers(_: Scene) -> list[Layer]:
    """Back to front."""
    return [
        Layer("islands", 45, paint_islands),
        Layer("water", 60, lambda sheet: water.paint_water(sheet, sheet.horizon, calm=0.35)),
        Layer("headland", 190, _paint_headland),
        Layer("shore", 95, _paint_shore),
    ]


def paint_islands(sheet: Sheet) -> None:
    """Two far islands."""
    rng = sheet.rng("islands")
    xs = np.linspace(0.0, 1.0, sheet.width, dtype=np.float32)
    foot = (sheet.horizon + 0.02) * sheet.height
    line = np.full(sheet.width, foot, dtype=np.float32)
    places = zip(
        rng.uniform(0.1, 0.9, 2),
        rng.uniform(0.06, 0.13, 2),
        rng.uniform(0.04, 0.085, 2),
        strict=True,
    )
    for middle, wide, tall in places:
        line -= np.exp(-(((xs - middle) / wide) ** 2)) * tall * sheet.height
    rough = land.crest(rng, sheet.width, sheet.height, base=0.0, swing=0.02, cells=9.0, octaves=4)
    line += rough * np.clip((foot - line) / (0.03 * sheet.height), 0, 1)
    land.paint_hill(sheet.picture, sheet.palette.foliage, rng, as_f32(line),
                    haze=sheet.palette.haze,
                    distance=0.75, sun_x=sheet.sun[0])  # fmt: skip


def _inward(sheet: Sheet) -> Plane:
    """0.0 at the edge of the picture on the focus side, 1.0 at the other edge."""
    xs = np.linspace(0.0, 1.0, sheet.width, dtype=np.float32)
    return xs if sheet.focus < 0.5 else as_f32(1.0 - xs)


def _headland_lines(sheet: Sheet) -> tuple[Plane, Plane]:
    """A headland's top and its foot in the water, y in pixels for every x."""
    inward = _inward(sheet)
    tip = 0.56 + sheet.rng("headland").uniform(-0.05, 0.08)
    rough = land.crest(
        sheet.rng("headland top"), sheet.width, sheet.height, base=0.0, swing=0.03, cells=3.0
    )
    jags = land.crest(
        sheet.rng("headland foot"), sheet.width, sheet.height, base=0.0, swing=0.03, cells=9.0
    )
    left = np.clip(1.0 - inward / tip, 0.0, 1.0)
    foot = (sheet.horizon + 0.075 + 0.15 * left**0.7) * sheet.height + jags * 0.5
    tall = (0.055 + 0.055 * left) * smoothstep(0.0, 0.14, as_f32(left)) * sheet.height
    top = foot - tall * 1.75 + rough
    return as_f32(np.where(inward < tip, np.minimum(top, foot), sheet.height * 2.0)), as_f32(foot)


def _paint_headland(sheet: Sheet) -> None:
    """Grass on top, rock where it falls to the sea, foam at its foot."""
    top, foot = _headland_lines(sheet)
    below = land.depth_below(top, sheet.height)
    above_foot = -land.depth_below(foot, sheet.height)
    under = sheet.picture.copy()
    land.paint_hill(sheet.picture, sheet.palette.ground, sheet.rng("headland face"), top,
                    haze=sheet.palette.haze, distance=0.12, sun_x=sheet.sun[0])  # fmt: skip
    _paint_cliff(sheet, below, foot - top)
    over(sheet.picture, under, smoothstep(1.0, -1.0, as_f32(above_foot)))
    tip = top < sheet.height
    foam = fbm(sheet.rng("headland foam"), sheet.width, sheet.height, 16.0, octaves=3, stretch=3.0)
    near = np.exp(-(((above_foot / sheet.unit + 0.006 + foam * 0.005) / 0.006) ** 2)) * tip[None, :]
    over(sheet.picture, np.array(sheet.palette.cloud.light, dtype=np.float32), as_f32(near * 0.85))
    plants.paint_treeline(sheet.picture, sheet.palette.foliage, sheet.rng("headland woods"), top,
                          size=0.05 * sheet.unit, density=0.24, sun_x=sun_side(sheet))  # fmt: skip
    _paint_buildings(sheet, top)


def _paint_cliff(sheet: Sheet, below: Plane, tall: Plane) -> None:
    """The lower part of the headland: strata and clefts of rock."""
    rng = sheet.rng("cliff")
    rock = sheet.palette.rock.tinted(sheet.palette.wall.mid, 0.6)
    clefts = fbm(rng, sheet.width, sheet.height, 13.0, octaves=4, stretch=0.4, gain=0.6)
    strata = fbm(rng, sheet.width, sheet.height, 16.0, octaves=3, stretch=5.0)
    share = below / np.maximum(tall, 1.0)[None, :]
    tone = 0.66 - 0.34 * share + clefts * 0.26 + strata * 0.10
    alpha = smoothstep(0.36, 0.46, as_f32(share + clefts * 0.09)) * (tall > 2.0)[None, :]
    over(sheet.picture, ramp(rock.as_list(), as_f32(tone)), as_f32(alpha))


def _paint_buildings(sheet: Sheet, top: Plane) -> None:
    """Buildings on the headland, the first near its tip."""
    side = 1.0 if sheet.focus < 0.5 else -1.0
    for kind, dx in zip(sheet.scene.buildings, (0.0, -0.2, 0.14), strict=False):
        x = float(np.clip(sheet.focus + side * dx, 0.07, 0.93)) * sheet.width
        y = float(top[int(x)]) + 0.018 * sheet.height
        if kind is Building.VILLAGE:
            paint_village(sheet, x - side * 0.06 * sheet.width, y + 0.03 * sheet.height, 0.8)
        else:
            paint_building(sheet, kind, x, y, 0.95)


def _paint_shore(sheet: Sheet) -> None:
    """The near shore: a grassy bank with flowers, foam along it."""
    line = land.crest(
        sheet.rng("shore"), sheet.width, sheet.height, base=0.875, swing=0.06, cells=1.4
    )
    line = as_f32(line + (0.13 * (1.0 - _inward(sheet)) - 0.04) * sheet.height)
    water.paint_surf(sheet, line)
    land.paint_hill(sheet.picture, sheet.palette.ground, sheet.rng("shore face"), line,
                    haze=sheet.palette.haze, distance=0.0, sun_x=sheet.sun[0])  # fmt: skip
    paint_turf(sheet, 0.93, line)
