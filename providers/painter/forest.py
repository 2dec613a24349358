"""The inside of a forest: trunks in depth, a canopy, a floor, and light that falls in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import (
    Colour,
    Plane,
    as_f32,
    mix,
    multiply,
    over,
    ramp,
    smoothstep,
    vector,
)
from providers.painter.noise import fbm
from providers.painter.palette import Tones
from providers.painter.plants import paint_foliage
from providers.painter.sky import distance, grid

if TYPE_CHECKING:
    from providers.painter.sheet import Sheet


def _air(sheet: Sheet) -> Colour:
    """The colour of light between far trees."""
    green = mix(sheet.palette.foliage.light, sheet.palette.sky[-1], 0.55)
    return mix(green, sheet.palette.glow, 0.25)


def paint_clearing(sheet: Sheet) -> None:
    """The bright background: light between leaves, brightest behind the focus."""
    rng = sheet.rng("clearing")
    leaves = fbm(rng, sheet.width, sheet.height, 7.0, octaves=5, gain=0.6)
    far = distance(sheet.width, sheet.height, sheet.focus, 0.42)
    level = np.exp(-((far / 0.5) ** 2)) * 0.85 + leaves * 0.13 + 0.05
    tones = [sheet.palette.foliage.dark, mix(sheet.palette.foliage.mid, _air(sheet), 0.35),
             _air(sheet),
             mix(_air(sheet), (1.0, 1.0, 0.92),
                 0.5 if sheet.palette.lamp < 0.8 else 0.1)]  # fmt: skip
    sheet.picture[...] = ramp(tones, as_f32(level))


def paint_trunks(sheet: Sheet, depth: float, count: int) -> None:
    """One row of trunks; `depth` 1.0 is far (thin, in haze), 0.0 near (thick, dark)."""
    rng = sheet.rng(f"trunks {depth}")
    bark = sheet.palette.lit((0.43, 0.33, 0.26)).mixed(_air(sheet), depth * 0.82)
    grooves = fbm(rng, sheet.width, sheet.height, 26.0, octaves=3, stretch=0.12, gain=0.7)
    floor = 0.66 + 0.30 * (1.0 - depth)
    rows = np.arange(sheet.height, dtype=np.float32)
    for u, lean, vary in rng.random((count, 3)):
        # Near trunks stand at the sides and leave the middle open.
        x = u if depth > 0.5 else (u * 0.28 if u < 0.5 else 1.0 - (1.0 - u) * 0.28)
        half = (0.012 + 0.062 * (1.0 - depth) ** 1.4) * (0.6 + 0.8 * vary) * sheet.unit
        foot = (floor + 0.04 * (vary - 0.5)) * sheet.height
        _paint_trunk(sheet, bark, grooves, rows, x * sheet.width, (lean - 0.5) * 0.12, half, foot)


def _paint_trunk(
    sheet: Sheet,
    bark: Tones,
    grooves: Plane,
    rows: Plane,
    x: float,
    lean: float,
    half: float,
    foot: float,
) -> None:
    """One trunk from the top edge to its spreading foot, rounded by light from the focus."""
    up = np.maximum(foot - rows, 0.0)
    middle = x + lean * up + np.sin(up / sheet.unit * 5.0 + x) * half * 0.35
    spread = half * (0.82 + 0.9 * np.exp(-up / (half * 1.6)))
    left, right = (
        int(max(middle.min() - half * 3, 0)),
        int(min(middle.max() + half * 3, sheet.width)),
    )
    if right - left < 2:
        return
    xs = np.arange(left, right, dtype=np.float32)[None, :]
    across = (xs - middle[:, None]) / spread[:, None]
    side = 1.0 if sheet.focus * sheet.width > x else -1.0
    tone = 0.42 + 0.34 * side * across - 0.25 * across * across + grooves[:, left:right] * 0.14
    alpha = smoothstep(1.0 + 1.2 / half, 1.0 - 0.8 / half, np.abs(as_f32(across)))
    alpha = alpha * smoothstep(foot + half * 0.4, foot - half * 0.1, rows)[:, None]
    over(sheet.picture[:, left:right], ramp(bark.as_list(), as_f32(tone)), as_f32(alpha))


def paint_floor(sheet: Sheet) -> None:
    """Moss and grass, lit where the clearing is, dappled with spots of sun."""
    rng = sheet.rng("floor")
    _, ys = grid(sheet.width, sheet.height)
    rise = fbm(rng, sheet.width, sheet.height, 2.0, octaves=3, stretch=2.0) * 0.03
    moss = fbm(rng, sheet.width, sheet.height, 9.0, octaves=5, stretch=2.6, gain=0.6)
    dapple = fbm(rng, sheet.width, sheet.height, 5.0, octaves=3, stretch=3.5)
    top = 0.68
    near = np.clip((ys - top) / (1 - top), 0.0, 1.0)
    pool = np.exp(-((distance(sheet.width, sheet.height, sheet.focus, 0.74) / 0.42) ** 2))
    tone = (
        0.30
        + 0.5 * pool
        - 0.22 * near
        + moss * 0.11
        + 0.42 * smoothstep(0.35, 0.8, dapple) * (0.3 + 0.7 * pool)
    )
    ground = Tones(
        sheet.palette.foliage.dark, sheet.palette.foliage.mid, sheet.palette.ground.light
    )
    layer = ramp(ground.as_list(), as_f32(tone))
    air = np.exp(-np.maximum(ys - top, 0) / 0.05) * 0.55
    over(layer, vector(_air(sheet)), as_f32(air + near * 0))
    over(sheet.picture, layer, smoothstep(top - 0.008, top + 0.008, as_f32(ys + rise)))


def paint_path(sheet: Sheet, top: float) -> None:
    """A trodden way from the bottom to the focus; `top` is a fraction."""
    rng = sheet.rng("path")
    t = np.clip(
        (np.arange(sheet.height, dtype=np.float32) / sheet.height - top) / (1 - top), 0.0, 1.0
    )
    phase = rng.uniform(0, 6.28)
    start = 0.5 + (sheet.focus - 0.5) * 0.9
    middle = start + (0.5 - start) * t + 0.10 * (0.2 + t) * np.sin(phase + 5.0 * t**0.6)
    half = 0.006 + 0.115 * t**1.5
    xs, ys = grid(sheet.width, sheet.height)
    rough = fbm(rng, sheet.width, sheet.height, 12.0, octaves=4, stretch=2.0)
    unit = sheet.width / sheet.unit
    inside = half[:, None] - np.abs(xs - middle[:, None]) * unit + rough * half[:, None] * 0.20
    earth = sheet.palette.lit((0.80, 0.68, 0.50))
    layer = ramp(earth.as_list(), as_f32(0.62 + rough * 0.16 - np.abs(xs - middle[:, None]) * 0.6))
    edge = 0.004 + 0.03 * t[:, None]
    alpha = smoothstep(0.0, 1.0, as_f32(inside / edge)) * (ys > top) * 0.92
    over(sheet.picture, layer, as_f32(alpha))


def paint_canopy(sheet: Sheet) -> None:
    """Leaves that hang in from the top and the sides, dark against the light."""
    rng = sheet.rng("canopy")
    for depth, count in ((0.5, 26), (0.0, 22)):
        tones = sheet.palette.foliage.mixed(_air(sheet), depth * 0.6)
        if depth == 0.0:
            dim: Colour = (0.72, 0.74, 0.78)
            tones = Tones(*(multiply(tone, dim) for tone in tones.as_list()))
        xs = rng.uniform(-0.05, 1.05, count)
        drop = (np.abs(xs - sheet.focus) ** 1.3 * 0.42 + rng.uniform(-0.06, 0.03, count)) * (
            1.2 - 0.5 * depth
        )
        radius = rng.uniform(0.05, 0.105, count) * sheet.unit
        puffs = np.stack([xs * sheet.width, drop * sheet.height, radius, radius * 0.2], axis=1)
        paint_foliage(
            sheet.picture, tones, rng, puffs, sun_x=0.0, leaf_px=0.011 * sheet.unit, gaps=0.9
        )
