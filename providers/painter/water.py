"""Water: a surface that mirrors what was painted above it, with ripples, glitter and foam."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import Picture, Plane, as_f32, blur, over, ramp, smoothstep, vector
from providers.painter.noise import fbm

if TYPE_CHECKING:
    from providers.painter.sheet import Sheet


def _mirrored(picture: Picture, line: int, ripple: Plane, reach: float) -> Picture:
    """What lies above row `line`, upside down, squeezed and displaced by ripples."""
    height, width = picture.shape[:2]
    rows = height - line
    near = np.arange(rows, dtype=np.float32)[:, None]
    source = line - 1 - near * 1.15 + ripple[:rows] * reach * (0.2 + near / max(rows, 1)) * 0.9
    # Past the top of the picture the reflection turns back instead of smearing its edge.
    y = np.abs(source) % max(2 * line - 1, 1)
    y = np.minimum(np.minimum(y, 2 * line - 1 - y), line - 1)
    x = np.arange(width, dtype=np.float32)[None, :] + ripple[:rows] * reach * 0.35
    return picture[y.astype(np.intp), np.clip(x, 0, width - 1).astype(np.intp)]


def _ripples(sheet: Sheet, rng: np.random.Generator, rows: int) -> Plane:
    """Flat waves, squeezed towards the horizon as perspective does."""
    tall = fbm(rng, sheet.width, max(rows * 2, 8), 9.0, octaves=4, stretch=5.5, gain=0.6)
    t = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    index = ((tall.shape[0] - 1) * t**0.55).astype(np.intp)
    return tall[index]


def paint_water(sheet: Sheet, line: float, *, calm: float) -> None:
    """Water from `line` (fraction from the top) to the bottom; `calm` 1.0 is a mirror."""
    picture, palette, rng = sheet.picture, sheet.palette, sheet.rng("water")
    top = int(line * sheet.height)
    rows = sheet.height - top
    if rows < 4 or top < 4:
        return
    ripple = _ripples(sheet, rng, rows)
    reach = (0.022 + 0.05 * (1.0 - calm)) * sheet.unit
    surface = blur(_mirrored(picture, top, ripple, reach), sheet.unit * 0.0035)
    near = as_f32((np.arange(rows, dtype=np.float32) / rows)[:, None])
    body = ramp(palette.water.as_list()[::-1], as_f32(near * 0.8 + ripple * 0.10 + 0.08))
    depth = (0.22 + 0.55 * near**0.8) * (1.15 - 0.55 * calm)
    over(surface, body, as_f32(np.clip(depth + ripple * 0.10, 0.0, 0.92)))
    crests = smoothstep(0.55, 1.15, ripple) * (0.16 + 0.2 * (1 - calm)) * (0.4 + 0.6 * near)
    over(surface, vector(palette.cloud.light), as_f32(crests))
    _glitter(sheet, surface, ripple, near)
    surface *= (1.0 - 0.10 * smoothstep(0.02, 0.0, near))[..., None]
    picture[top:] = np.clip(surface, 0.0, 1.0)


def _glitter(sheet: Sheet, surface: Picture, ripple: Plane, near: Plane) -> None:
    """The sun's or moon's path on the water."""
    xs = (np.arange(sheet.width, dtype=np.float32) / sheet.width)[None, :]
    spread = 0.035 + 0.10 * near
    column = np.exp(-(((xs - sheet.sun[0]) / spread) ** 2))
    low = smoothstep(0.0, 0.6, np.full((1, 1), sheet.sun[1] / max(sheet.horizon, 0.1), np.float32))
    alpha = column * smoothstep(0.0, 0.7, ripple) * (0.25 + 0.65 * low)
    over(surface, vector(sheet.palette.sun), as_f32(np.clip(alpha, 0.0, 0.9)))


def paint_surf(sheet: Sheet, shore: Plane) -> None:
    """Foam along a shore line (y in pixels for every x), above it towards the sea."""
    rng = sheet.rng("surf")
    ys = np.arange(sheet.height, dtype=np.float32)[:, None]
    wobble = fbm(rng, sheet.width, sheet.height, 14.0, octaves=3, stretch=3.0)
    above = (shore[None, :] - ys) / sheet.unit + wobble * 0.006
    foam = np.zeros((sheet.height, sheet.width), dtype=np.float32)
    for at, strength in ((0.004, 0.95), (0.022, 0.6), (0.05, 0.35)):
        foam += np.exp(-(((above - at) / 0.0045) ** 2)) * strength
    over(sheet.picture, vector(sheet.palette.cloud.light), as_f32(np.clip(foam, 0.0, 0.95)))


def submerge(sheet: Sheet, before: Picture, line: float, half_px: float, x: float) -> None:
    """Give back to the water what a boat or a whale has below `line` (fraction of the height)."""
    ys = np.arange(sheet.height, dtype=np.float32)[:, None] - line * sheet.height
    xs = np.arange(sheet.width, dtype=np.float32)[None, :] - x * sheet.width
    waves = np.sin(xs / sheet.unit * 90.0) * 0.003 * sheet.unit
    wet = smoothstep(-1.0, 2.0, as_f32(ys + waves))
    over(sheet.picture, before, as_f32(wet * 0.86))
    foam = np.exp(-(((ys + waves) / (0.005 * sheet.unit)) ** 2) - (xs / (half_px * 1.05)) ** 6)
    over(sheet.picture, vector(sheet.palette.cloud.light), as_f32(foam * 0.7))


def river_band(sheet: Sheet, start: float) -> tuple[Plane, Plane]:
    """A winding river: its middle and half width in pixels for every row below `start`."""
    rng = sheet.rng("river")
    top = int(start * sheet.height)
    t = np.linspace(0.0, 1.0, max(sheet.height - top, 1), dtype=np.float32)
    bend = rng.uniform(0.8, 1.4)
    phase = rng.uniform(0.0, 6.28)
    swing = 0.20 * (0.25 + t)
    middle = sheet.focus + (0.5 - sheet.focus) * t + swing * np.sin(phase + bend * 6.0 * t**0.62)
    half = 0.006 + 0.17 * t**1.7
    return as_f32(middle * sheet.width), as_f32(half * sheet.unit)


def paint_river(sheet: Sheet, start: float) -> None:
    """Water in the river's bed, reflecting the sky, with a dark bank on each side."""
    top = int(start * sheet.height)
    rows = sheet.height - top
    if rows < 4 or top < 4:
        return
    middle, half = river_band(sheet, start)
    xs = np.arange(sheet.width, dtype=np.float32)[None, :]
    wobble = fbm(sheet.rng("bank"), sheet.width, rows, 8.0, octaves=3) * half[:, None] * 0.14
    inside = half[:, None] - np.abs(xs - middle[:, None]) + wobble
    ground = sheet.picture.copy()
    bank = smoothstep(-0.02 * sheet.unit, 0.0, as_f32(inside)) * 0.5
    over(ground[top:], vector(sheet.palette.ground.dark), as_f32(bank))
    paint_water(sheet, start, calm=0.75)
    alpha = smoothstep(-1.0, 1.5, as_f32(inside))
    water = sheet.picture[top:].copy()
    sheet.picture[...] = ground
    over(sheet.picture[top:], water, alpha)
