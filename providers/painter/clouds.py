"""Clouds: heaps of puffs with a lit side, banks on the horizon, thin streaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import (
    Picture,
    Plane,
    as_f32,
    over,
    ramp,
    smoothstep,
    soften,
    vector,
)
from providers.painter.noise import fbm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from providers.painter.palette import Palette, Tones


def heap_height(width: int, height: int, puffs: NDArray[np.float64]) -> Plane:
    """Height of a heap of half balls above the picture plane.

    Args:
        width: of the plane in pixels.
        height: of the plane in pixels.
        puffs: rows of x, y, radius and the height of the ball's middle, all in pixels.
    """
    relief = np.zeros((height, width), dtype=np.float32)
    for x, y, radius, lift in puffs:
        top, left = max(int(y - radius), 0), max(int(x - radius), 0)
        window = relief[top : max(int(y + radius) + 2, 0), left : max(int(x + radius) + 2, 0)]
        if window.size == 0:
            continue
        ys = np.arange(window.shape[0], dtype=np.float32)[:, None] + np.float32(top - y)
        xs = np.arange(window.shape[1], dtype=np.float32)[None, :] + np.float32(left - x)
        inside = np.maximum(np.float32(radius * radius) - xs * xs - ys * ys, 0.0)
        # The lift fades in from the rim, so that a lifted ball meets what is below it.
        ball = np.sqrt(inside) + np.minimum(inside / np.float32(0.3 * radius), np.float32(lift))
        np.maximum(window, ball, out=window)
    return relief


def lambert(relief: Plane, light: tuple[float, float, float]) -> Plane:
    """How much light each point of a relief gets, -1.0 (away from it) to 1.0 (towards it)."""
    slope_y, slope_x = np.gradient(relief)
    length = np.sqrt(slope_x * slope_x + slope_y * slope_y + 1.0)
    norm = float(np.sqrt(sum(c * c for c in light)))
    facing = -slope_x * light[0] - slope_y * light[1] + light[2]
    return as_f32(facing / (length * norm))


def _cumulus_puffs(rng: np.random.Generator, width: float, height: float) -> NDArray[np.float64]:
    """Puffs of a cumulus over a base line at y = 0, going up to about -height.

    Columns of puffs under a skyline of three peaks, each puff with smaller ones on its rim.
    """
    peaks = rng.uniform(-0.26, 0.26, 3)
    tall = (1.0, rng.uniform(0.55, 0.85), rng.uniform(0.35, 0.6))
    puffs: list[tuple[float, float, float, float]] = []
    for column in np.linspace(-0.47, 0.47, 15):
        x = column + rng.uniform(-0.03, 0.03)
        skyline = max(
            share * max(0.0, 1.0 - (abs(x - peak) / spread) ** 1.8)
            for peak, share, spread in zip(peaks, tall, (0.24, 0.34, 0.52), strict=True)
        )
        top = skyline * height
        radius = width * (0.035 + 0.075 * skyline)
        for up in np.arange(0.0, max(top - radius, 1e-6), radius * 0.8):
            r = radius * rng.uniform(0.6, 1.35)
            puffs.append((x * width + rng.normal(0, 0.012) * width, -up, r, 0.0))
    for x, y, r, _ in puffs[:]:
        for angle, size in zip(rng.uniform(-0.3, 3.4, 5), rng.beta(1.4, 2.4, 5), strict=True):
            reach = r * rng.uniform(0.5, 1.0)
            child = r * (0.2 + 0.45 * size)
            puffs.append(
                (x + np.cos(angle) * reach, y - np.sin(angle) * reach, child, (r - reach) * 0.9)
            )
    return np.array(puffs)


def paint_cumulus(
    picture: Picture,
    tones: Tones,
    rng: np.random.Generator,
    *,
    centre: tuple[float, float],
    size: tuple[float, float],
    sun_x: float,
    softness: float = 1.0,
) -> None:
    """One heap cloud. Base centre, width and height are fractions of the picture."""
    height, width = picture.shape[:2]
    cloud_w, cloud_h = size[0] * width, size[1] * height
    pad = 0.22 * cloud_w
    left, top = int(centre[0] * width - cloud_w / 2 - pad), int(centre[1] * height - cloud_h - pad)
    box_w, box_h = int(cloud_w + 2 * pad), int(cloud_h + 1.6 * pad)
    puffs = _cumulus_puffs(rng, cloud_w, cloud_h)
    if box_w < 8 or box_h < 8:
        return
    base = cloud_h + pad
    puffs[:, :2] += (cloud_w / 2 + pad, base)
    relief = heap_height(box_w, box_h, puffs)
    ragged = fbm(rng, box_w, box_h, 7.0, octaves=4, gain=0.6)
    alpha, tone = _cloud_surface(relief, ragged, cloud_w, base, cloud_h, (sun_x - centre[0]))
    _paste(picture, ramp(tones.as_list(), tone), as_f32(alpha * softness), left, top)


def _cloud_surface(
    relief: Plane, ragged: Plane, cloud_w: float, base: float, cloud_h: float, to_sun: float
) -> tuple[Plane, Plane]:
    """Coverage and brightness of a cloud from its relief."""
    edge = cloud_w * 0.02
    inside = smoothstep(0.0, edge * 0.5, relief)
    ys = np.arange(relief.shape[0], dtype=np.float32)[:, None]
    foot = smoothstep(base + 0.02 * cloud_w, base - 0.14 * cloud_w, as_f32(ys + ragged * edge * 3))
    alpha = smoothstep(edge * 0.2, edge * 1.6, as_f32(relief + ragged * edge * 0.9)) * inside
    light = (float(np.clip(to_sun * 2.2, -0.9, 0.9)), -0.8, 0.45)
    rough = as_f32(relief - np.abs(ragged) * edge * 0.8)
    masses = lambert(soften(rough, cloud_w * 0.03), light)
    billows = lambert(soften(rough, cloud_w * 0.006), light)
    rise = np.clip((base - ys) / max(cloud_h, 1.0), 0.0, 1.1)
    tone = -0.05 + 0.44 * masses + 0.34 * smoothstep(-0.35, 0.95, billows) + 0.40 * rise
    return as_f32(alpha * (0.25 + 0.75 * foot) * foot), as_f32(tone + ragged * 0.02)


def _paste(picture: Picture, layer: Picture, alpha: Plane, left: int, top: int) -> None:
    """Lay a layer over the picture at a place that may stick out of it."""
    height, width = picture.shape[:2]
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + layer.shape[0], height), min(left + layer.shape[1], width)
    if y0 >= y1 or x0 >= x1:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    over(picture[y0:y1, x0:x1], layer[part], alpha[part])


def paint_bank(
    picture: Picture,
    palette: Palette,
    rng: np.random.Generator,
    horizon: float,
    sun_x: float,
    tallest: float,
) -> None:
    """A row of far heap clouds along the horizon, hazier than the near ones."""
    tones = palette.cloud.mixed(palette.haze, 0.30)
    count = int(rng.integers(4, 7))
    for x in np.linspace(-0.05, 1.05, count) + rng.uniform(-0.08, 0.08, count):
        size = (rng.uniform(0.28, 0.46), tallest * rng.uniform(0.4, 1.0))
        paint_cumulus(
            picture, tones, rng, centre=(float(x), horizon), size=size, sun_x=sun_x, softness=0.92
        )


def paint_streaks(
    picture: Picture, palette: Palette, rng: np.random.Generator, horizon: float, amount: float
) -> None:
    """High thin clouds, brushed along the wind."""
    height, width = picture.shape[:2]
    wisps = fbm(rng, width, height, 3.4, octaves=5, stretch=5.0, gain=0.55)
    ys = (np.arange(height, dtype=np.float32) / height)[:, None]
    band = smoothstep(0.0, horizon * 0.35, ys) * smoothstep(horizon, horizon * 0.6, ys)
    alpha = smoothstep(0.15, 1.1, wisps) * band * amount
    over(picture, vector(palette.cloud.light), as_f32(alpha))


def paint_overcast(
    picture: Picture, palette: Palette, rng: np.random.Generator, horizon: float, amount: float
) -> None:
    """A closed ceiling with heavy undersides: rain, storm and snow."""
    height, width = picture.shape[:2]
    ys = (np.arange(height, dtype=np.float32) / height)[:, None]
    # Rolls get flatter towards the horizon: the ceiling is seen in perspective.
    rolls = fbm(rng, width, height, 2.6, octaves=5, stretch=2.2)
    thin = fbm(rng, width, height, 6.0, octaves=4, stretch=4.0)
    near = smoothstep(horizon, 0.0, ys)
    body = as_f32(rolls * (0.35 + 0.65 * near) + thin * 0.35 * (1 - near))
    layer = ramp(palette.cloud.as_list(), as_f32(0.42 + body * 0.42))
    alpha = amount * smoothstep(horizon * 1.02, horizon * 0.7, ys) * smoothstep(-1.0, 0.2, body)
    over(picture, layer, as_f32(alpha))
