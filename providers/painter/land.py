"""The lie of the land: ridges of mountains and rolling hills, hazier the farther they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import Colour, Picture, Plane, as_f32, mix, over, ramp, smoothstep
from providers.painter.noise import fbm, lattice

if TYPE_CHECKING:
    from providers.painter.palette import Palette, Tones


def crest(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    base: float,
    swing: float,
    cells: float,
    octaves: int = 3,
    gain: float = 0.45,
) -> Plane:
    """A skyline: y in pixels for every x.

    `base` and `swing` are fractions of the height; `cells` is the number of rises.
    """
    total = np.zeros(width, dtype=np.float32)
    for octave in range(octaves):
        line = lattice(rng, width, 1, cells * 2.0**octave, 1.0)[0]
        total += (line - 0.5) * gain**octave
    return as_f32((base + swing * total * 1.6) * height)


def depth_below(line: Plane, height: int) -> Plane:
    """How many pixels every pixel is below the skyline; negative above it."""
    ys = np.arange(height, dtype=np.float32)[:, None] + 0.5
    return as_f32(ys - line[None, :])


def _slope_light(line: Plane, sun_x: float, unit: int) -> Plane:
    """-1.0 to 1.0 along the skyline: flanks that face the sun are bright."""
    rise = np.gradient(line.astype(np.float64)) * 2.2
    xs = np.linspace(0.0, 1.0, len(line))
    side = np.tanh((sun_x - xs) * 3.0)
    smooth = max(3, unit // 40)
    kernel = np.ones(smooth) / smooth
    padded = np.pad(rise * side, smooth, mode="edge")
    return as_f32(np.clip(np.convolve(padded, kernel, mode="same")[smooth:-smooth], -1.0, 1.0))


def paint_hill(
    picture: Picture,
    tones: Tones,
    rng: np.random.Generator,
    line: Plane,
    *,
    haze: Colour,
    distance: float,
    sun_x: float,
) -> None:
    """A grassy hill from its skyline down.

    `distance` is 0.0 (near: grass and patches show) to 1.0 (all haze).
    """
    height, width = picture.shape[:2]
    unit = min(width, height)
    top = max(int(line.min()) - 2, 0)
    if top >= height:
        return
    below = depth_below(line, height)[top:]
    rows = below.shape[0]
    patches = fbm(rng, width, height, 3.0 + 3.0 * distance, octaves=4, stretch=3.5)[top:]
    blades = fbm(rng, width, height, 26.0, octaves=3, stretch=0.8, gain=0.7)[top:]
    down = np.clip(below / (unit * 0.34), 0.0, 1.0)
    flank = _slope_light(line, sun_x, unit)[None, :] * np.exp(-below / (unit * 0.16))
    tone = 0.66 - 0.34 * down + 0.22 * flank + 0.15 * patches
    tone += 0.05 * blades * (1.0 - distance) + 0.16 * np.exp(-np.maximum(below, 0) / (unit * 0.012))
    share = distance * 0.82
    layer = ramp(tones.mixed(haze, share).as_list(), as_f32(tone))
    # Haze gathers at the foot, where the next hill begins.
    foot = smoothstep(0.0, 1.0, as_f32(down)) * (0.35 * distance)
    over(layer, np.array(haze, dtype=np.float32), as_f32(foot[:rows]))
    over(picture[top:], layer, smoothstep(-0.6, 0.9, below))


def _ridge_noise(rng: np.random.Generator, width: int, height: int, below: Plane) -> Plane:
    """Ridge lines running down a mountain: folded noise, wider towards the foot."""
    sway = fbm(rng, width, height, 5.0, octaves=3) * 0.06 * min(width, height)
    coarse = fbm(rng, width * 1, height, 7.0, octaves=4, stretch=0.55, gain=0.55)
    columns = np.clip(
        np.arange(width, dtype=np.float32)[None, :] + sway - below * 0.18, 0, width - 1
    ).astype(np.intp)
    return np.take_along_axis(coarse, columns, axis=1)


def paint_mountains(
    picture: Picture,
    palette: Palette,
    rng: np.random.Generator,
    line: Plane,
    *,
    distance: float,
    sun_x: float,
    snow: float,
) -> None:
    """A range: lit and shaded flanks, snow from the top down to `snow` (0.0 to 1.0)."""
    height, width = picture.shape[:2]
    unit = min(width, height)
    below = depth_below(line, height)
    ridges = _ridge_noise(rng, width, height, below)
    side = -1.0 if sun_x < 0.5 else 1.0
    facing = np.gradient(ridges, axis=1) * unit * 0.035 * side
    flank = _slope_light(line, sun_x, unit)[None, :] * 0.35 * np.exp(-below / (unit * 0.3))
    tone = as_f32(0.46 - np.tanh(facing) * 0.34 + flank)
    rock = ramp(palette.rock.mixed(palette.haze, distance * 0.7).as_list(), tone)
    white = palette.lit((0.97, 0.98, 1.0)).mixed(palette.haze, distance * 0.5)
    snows = ramp([mix(white.dark, palette.haze, 0.25), white.mid, white.light], tone)
    altitude = (below + ridges * unit * 0.05) / (unit * 0.30)
    peaks = smoothstep(
        snow + 0.12, snow - 0.12, as_f32(altitude + (line[None, :] - line.min()) / (unit * 0.30))
    )
    over(rock, snows, peaks)
    foot = smoothstep(0.0, unit * 0.33, below) * (0.45 + 0.4 * distance)
    over(rock, np.array(palette.haze, dtype=np.float32), as_f32(foot))
    over(picture, rock, smoothstep(-0.6, 0.9, below))
