"""Weather and light that lie over a finished scene: rain, snow, fog, wind, rays, lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from providers.painter.colour import (
    Colour,
    Plane,
    as_f32,
    blur_plane,
    mix,
    over,
    smoothstep,
    vector,
)
from providers.painter.noise import fbm
from providers.painter.sketch import sketch
from providers.painter.sky import grid

if TYPE_CHECKING:
    from providers.painter.sheet import Sheet


def paint_fog(sheet: Sheet, amount: float) -> None:
    """Drifting banks of fog, thickest around the horizon."""
    drift = fbm(sheet.rng("fog"), sheet.width, sheet.height, 2.4, octaves=4, stretch=4.0)
    _, ys = grid(sheet.width, sheet.height)
    around = np.exp(-(((ys - sheet.horizon - 0.06) / 0.20) ** 2))
    alpha = np.clip(around * (0.75 + 0.35 * drift), 0.0, 0.95) * amount
    over(sheet.picture, vector(mix(sheet.palette.haze, (1.0, 1.0, 1.0), 0.22)), as_f32(alpha))


def _streaks(
    sheet: Sheet, rng: np.random.Generator, count: int, length: float, slant: float
) -> Plane:
    """Slanted lines of falling rain as coverage."""
    image = Image.new("L", (sheet.width, sheet.height))
    draw = ImageDraw.Draw(image)
    for u, v, size in rng.random((count, 3)):
        x, y = u * 1.3 * sheet.width - 0.15 * sheet.width, v * 1.1 * sheet.height
        reach = length * sheet.unit * (0.5 + size)
        draw.line((x, y, x - slant * reach, y + reach), fill=int(70 + 150 * size),
                  width=max(1, round(sheet.unit * 0.0016)))  # fmt: skip
    return blur_plane(np.asarray(image, dtype=np.float32) / np.float32(255), sheet.unit * 0.0006)


def paint_rain(sheet: Sheet, *, slant: float) -> None:
    """Falling rain and its veil in the distance."""
    rng = sheet.rng("rain")
    veil = fbm(rng, sheet.width, sheet.height, 3.0, octaves=3, stretch=0.35)
    _, ys = grid(sheet.width, sheet.height)
    far = smoothstep(0.0, sheet.horizon, ys) * smoothstep(1.0, sheet.horizon, ys)
    grey = mix(sheet.palette.haze, (0.85, 0.9, 0.95), 0.3)
    over(sheet.picture, vector(grey), as_f32(np.clip(far * (0.32 + 0.16 * veil), 0.0, 0.6)))
    over(sheet.picture, vector((0.86, 0.92, 0.97)), _streaks(sheet, rng, 900, 0.035, slant) * 0.50)


def paint_snowfall(sheet: Sheet) -> None:
    """Flakes of three sizes, the near ones soft."""
    rng = sheet.rng("flakes")
    white = vector((1.0, 1.0, 1.0))
    for count, size, softness, strength in ((700, 0.0018, 0.3, 0.85), (190, 0.0034, 1.0, 0.8),
                                            (34, 0.0075, 3.0, 0.55)):  # fmt: skip
        image = Image.new("L", (sheet.width, sheet.height))
        draw = ImageDraw.Draw(image)
        for u, v, vary in rng.random((count, 3)):
            radius = max(size * sheet.unit * (0.6 + 0.8 * vary), 0.5)
            x, y = u * sheet.width, v * sheet.height
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        alpha = blur_plane(np.asarray(image, dtype=np.float32) / np.float32(255),
                           softness * sheet.unit / 700)  # fmt: skip
        over(sheet.picture, white, as_f32(alpha * strength))


def paint_lightning(sheet: Sheet) -> None:
    """One forked bolt and its light in the clouds."""
    rng = sheet.rng("lightning")
    x = float(rng.uniform(0.55, 0.85) if sheet.focus < 0.5 else rng.uniform(0.15, 0.45))
    xs, ys = grid(sheet.width, sheet.height)
    glow = np.exp(-(((xs - x) / 0.22) ** 2)) * smoothstep(sheet.horizon, 0.0, ys)
    over(sheet.picture, vector((0.85, 0.88, 1.0)), as_f32(glow * 0.42))
    points = [(x * sheet.width, 0.0)]
    steps = 11
    for step in range(1, steps + 1):
        jitter = rng.normal(0.0, 0.020) * sheet.unit
        points.append((points[-1][0] + jitter, sheet.horizon * sheet.height * step / steps))
    fork = points[5]
    wobble = rng.normal(0.0, 0.008, 4) * sheet.unit
    branch = [fork] + [
        (fork[0] + (i + 1) * 0.032 * sheet.unit, fork[1] + (i + 1) * 0.03 * sheet.height + sway)
        for i, sway in enumerate(wobble.tolist())
    ]
    with sketch(sheet.picture) as pen:
        for colour, width in (((0.78, 0.80, 1.0), 0.006), ((1.0, 1.0, 1.0), 0.0028)):
            pen.line(points, colour, width * sheet.unit)
            pen.line(branch, colour, width * 0.6 * sheet.unit)


def paint_petals(
    sheet: Sheet, colours: tuple[Colour, ...], *, count: int, low: float = 1.0
) -> None:
    """Petals, leaves or grass in the wind, on a few long waves across the picture."""
    rng = sheet.rng("petals")
    with sketch(sheet.picture) as pen:
        for u, v, size, turn, tint in rng.random((count, 5)):
            x = u * sheet.width
            wave = 0.09 * np.sin(u * 7.0 + 4.0 * tint)
            y = (0.12 + (low - 0.16) * v + wave) * sheet.height
            radius = sheet.unit * (0.003 + 0.006 * size * size)
            angle = 6.283 * turn
            dx, dy = np.cos(angle) * radius * 1.3, np.sin(angle) * radius * 0.7
            colour = colours[int(tint * 991) % len(colours)]
            pen.polygon([(x - dx, y - dy), (x + dy * 0.6, y - dx * 0.35), (x + dx, y + dy),
                         (x - dy * 0.6, y + dx * 0.35)], colour)  # fmt: skip


def paint_rays(sheet: Sheet, origin: tuple[float, float], strength: float, colour: Colour) -> None:
    """Shafts of light that fan out from a point (fractions)."""
    xs, ys = grid(sheet.width, sheet.height)
    dx, dy = (xs - origin[0]) * sheet.width, (ys - origin[1]) * sheet.height
    angle = np.arctan2(dy + 1e-6, dx)
    far = np.hypot(dx, dy) / sheet.unit
    rng = sheet.rng("rays")
    beams = np.zeros_like(far)
    for frequency, phase in zip((5, 9, 16, 27), rng.uniform(0, 6.28, 4), strict=True):
        beams += np.sin(angle * frequency + phase) / 4
    alpha = (
        smoothstep(-0.15, 0.7, as_f32(beams))
        * np.exp(-far * 1.25)
        * smoothstep(0.03, 0.25, as_f32(far))
    )
    soft = blur_plane(as_f32(alpha), sheet.unit * 0.012)
    over(sheet.picture, vector(colour), as_f32(soft * strength))


def paint_vignette(sheet: Sheet, strength: float) -> None:
    """Corners a little darker: the eye stays in the picture."""
    xs, ys = grid(sheet.width, sheet.height)
    far = np.hypot((xs - 0.5) * 2.0, (ys - 0.5) * 2.0)
    over(
        sheet.picture,
        vector((0.0, 0.0, 0.0)),
        as_f32(strength * smoothstep(0.75, 1.5, as_f32(far))),
    )
