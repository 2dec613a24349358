"""The sky behind everything: its gradient, sun or moon, stars and a rainbow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import Colour, Picture, Plane, as_f32, over, ramp, smoothstep, vector
from providers.painter.noise import fbm

if TYPE_CHECKING:
    from providers.painter.palette import Palette


def grid(width: int, height: int) -> tuple[Plane, Plane]:
    """Every pixel's x and y as fractions of the whole, as broadcastable rows and columns."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    return as_f32(x[None, :]), as_f32(y[:, None])


def distance(width: int, height: int, x: float, y: float) -> Plane:
    """How far every pixel is from a point, in units of the shorter side."""
    unit = min(width, height)
    xs, ys = grid(width, height)
    return as_f32(np.hypot((xs - x) * width, (ys - y) * height) / unit)


def paint_gradient(
    picture: Picture, palette: Palette, rng: np.random.Generator, horizon: float
) -> None:
    """From the zenith to the horizon, with broad uneven strokes as of a wet wash."""
    height, width = picture.shape[:2]
    _, ys = grid(width, height)
    wash = fbm(rng, width, height, 2.2, octaves=4, stretch=2.5)
    level = np.clip(ys / max(horizon, 0.05), 0.0, 1.0) ** 0.85
    picture[...] = ramp(palette.sky, as_f32(level + wash * 0.035))


def paint_glow(
    picture: Picture, palette: Palette, sun: tuple[float, float], strength: float
) -> None:
    """Light around the sun or moon."""
    height, width = picture.shape[:2]
    far = distance(width, height, *sun)
    halo = np.exp(-((far / 0.34) ** 2)) * 0.75 + np.exp(-far / 0.55) * 0.35
    over(picture, vector(palette.glow), as_f32(np.clip(halo * strength, 0.0, 0.95)))


def paint_disc(picture: Picture, palette: Palette, sun: tuple[float, float], radius: float) -> None:
    """The sun's own disc; `radius` in units of the shorter side."""
    height, width = picture.shape[:2]
    far = distance(width, height, *sun)
    over(picture, vector(palette.sun), smoothstep(radius * 1.08, radius * 0.92, far))


def paint_moon(
    picture: Picture,
    palette: Palette,
    rng: np.random.Generator,
    moon: tuple[float, float],
    radius: float,
) -> None:
    """A full moon with faint seas."""
    height, width = picture.shape[:2]
    far = distance(width, height, *moon)
    seas = fbm(rng, width, height, 0.5 / radius, octaves=3)
    tone = vector(palette.sun) * (1.0 - 0.10 * smoothstep(0.0, 0.9, seas))[..., None]
    over(picture, as_f32(tone), smoothstep(radius * 1.05, radius * 0.95, far))


def paint_stars(picture: Picture, rng: np.random.Generator, horizon: float, amount: float) -> None:
    """Stars of every size and a hint of a milky way; few near the horizon."""
    height, width = picture.shape[:2]
    band = fbm(rng, width, height, 3.0, octaves=5)
    xs, ys = grid(width, height)
    tilt, offset = rng.uniform(-0.9, 0.9), rng.uniform(0.15, 0.5)
    across = ys - offset - (xs - 0.5) * tilt
    way = np.exp(-((across / 0.13) ** 2)) * smoothstep(-0.4, 1.1, band)
    fade = smoothstep(horizon, horizon * 0.45, as_f32(ys + xs * 0))
    over(picture, vector((0.75, 0.82, 1.0)), as_f32(way * fade * 0.20 * amount))
    unit = min(width, height)
    count = int(420 * amount)
    points = rng.random((count, 2))
    sizes = rng.pareto(2.2, count)
    tints = rng.random(count)
    for (x, y), size, tint in zip(points, sizes, tints, strict=True):
        if y > horizon:
            continue
        _star(picture, x * width, y * horizon * height, (0.0010 + 0.0007 * min(size, 5)) * unit,
              (1.0, 0.86 + 0.12 * tint, 0.74 + 0.26 * tint))  # fmt: skip


def _star(
    picture: Picture, x: float, y: float, radius: float, colour: tuple[float, float, float]
) -> None:
    """One soft point of light; dimmer rather than smaller below a pixel."""
    reach = max(2, int(radius * 4) + 1)
    top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
    window = picture[top : int(y) + reach + 1, left : int(x) + reach + 1]
    if window.size == 0:
        return
    ys = np.arange(window.shape[0], dtype=np.float32)[:, None] + top - y
    xs = np.arange(window.shape[1], dtype=np.float32)[None, :] + left - x
    spread = max(radius, 0.55)
    alpha = np.exp(-(xs * xs + ys * ys) / (2 * spread * spread)) * min(1.0, radius / spread)
    over(window, vector(colour), as_f32(alpha))


def paint_halo(
    picture: Picture, x: float, y: float, radius: float, colour: Colour, strength: float
) -> None:
    """A soft disc of light around a point; all in pixels, `strength` 0.0 to 1.0."""
    reach = int(radius * 2.6) + 2
    top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
    window = picture[top : max(int(y) + reach + 1, 0), left : max(int(x) + reach + 1, 0)]
    if window.size == 0:
        return
    ys = np.arange(window.shape[0], dtype=np.float32)[:, None] + np.float32(top - y)
    xs = np.arange(window.shape[1], dtype=np.float32)[None, :] + np.float32(left - x)
    falloff = np.exp(-(xs * xs + ys * ys) / np.float32(radius) ** 2)
    over(window, vector(colour), as_f32(falloff * strength))


def paint_rainbow(picture: Picture, centre: tuple[float, float], radius: float) -> None:
    """A bow around a centre, usually below the horizon; `radius` in shorter sides."""
    height, width = picture.shape[:2]
    far = distance(width, height, *centre)
    across = as_f32((far - radius) / 0.075)
    colours = ramp(
        [(0.55, 0.45, 0.9), (0.35, 0.6, 0.95), (0.45, 0.85, 0.55), (1.0, 0.92, 0.45),
         (1.0, 0.62, 0.35), (0.95, 0.35, 0.4)],
        across,
    )  # fmt: skip
    alpha = smoothstep(-0.15, 0.3, across) * smoothstep(1.15, 0.7, across) * 0.5
    over(picture, colours, as_f32(alpha))
