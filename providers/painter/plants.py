"""Trees, conifers, bushes, flowers, grass, reeds and mushrooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.clouds import heap_height, lambert
from providers.painter.colour import (
    Colour,
    Picture,
    Plane,
    as_f32,
    mix,
    multiply,
    over,
    ramp,
    smoothstep,
    soften,
)
from providers.painter.noise import fbm
from providers.painter.sketch import Point, Sketch, sketch, smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from providers.painter.palette import Tones


def paint_foliage(
    picture: Picture,
    tones: Tones,
    rng: np.random.Generator,
    puffs: NDArray[np.float64],
    *,
    sun_x: float,
    leaf_px: float,
    gaps: float = 0.0,
) -> None:
    """A mass of leaves over a heap of balls (x, y, radius, lift in pixels).

    `sun_x` is -1.0 (light from the left) to 1.0; `leaf_px` is the size of a dab of the brush;
    `gaps` 0.0 to 1.0 lets the sky through at the rim.
    """
    height, width = picture.shape[:2]
    pad = leaf_px * 3 + 2
    reach = puffs[:, 2] + pad
    left, right = int((puffs[:, 0] - reach).min()), int((puffs[:, 0] + reach).max()) + 1
    top, bottom = int((puffs[:, 1] - reach).min()), int((puffs[:, 1] + reach).max()) + 1
    box_w, box_h = right - left, bottom - top
    if box_w < 3 or box_h < 3 or right <= 0 or left >= width or bottom <= 0 or top >= height:
        return
    relief = heap_height(box_w, box_h, puffs - (left, top, 0, 0))
    cells = max(min(box_w, box_h) / max(leaf_px * 2.4, 1.5), 1.0)
    leaves = fbm(rng, box_w, box_h, cells, octaves=3, gain=0.8)
    alpha, tone = _leaf_surface(relief, leaves, float(puffs[:, 2].max()), sun_x, leaf_px, gaps)
    layer = ramp(tones.as_list(), tone)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(bottom, height), min(right, width)
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    over(picture[y0:y1, x0:x1], layer[part], alpha[part])


def _leaf_surface(
    relief: Plane, leaves: Plane, radius: float, sun_x: float, leaf_px: float, gaps: float
) -> tuple[Plane, Plane]:
    """Coverage and brightness of leaves: lit in clumps, in a few flat tones as gouache is."""
    rim = relief / max(leaf_px * 2.2, 0.8)
    alpha = smoothstep(0.15, 0.75, as_f32(np.minimum(rim, 1.6 - gaps) + leaves * 0.55))
    alpha *= smoothstep(0.0, 0.12, rim)
    light = (sun_x * 0.8, -0.95, 0.35)
    masses = lambert(soften(relief, radius * 0.30), light)
    clumps = lambert(soften(as_f32(relief + leaves * leaf_px * 0.35), radius * 0.05), light)
    ys = np.linspace(0.0, 1.0, relief.shape[0], dtype=np.float32)[:, None]
    tone = 0.18 + 0.42 * masses + 0.30 * clumps + 0.30 * (0.5 - ys) + 0.13 * leaves
    steps = 5.0
    flat = np.floor(tone * steps) + smoothstep(0.25, 0.75, as_f32(tone * steps % 1.0))
    return as_f32(alpha), as_f32(0.35 * tone + 0.65 * flat / steps)


def crown_puffs(
    rng: np.random.Generator, x: float, y: float, width: float, height: float, count: int = 11
) -> NDArray[np.float64]:
    """Balls of a round crown around x, y; all in pixels."""
    puffs: list[tuple[float, float, float, float]] = []
    for i in range(count):
        angle = 2.4 * i + rng.uniform(-0.5, 0.5)
        out = np.sqrt((i + 0.4) / count) * 0.72
        radius = (0.30 - 0.10 * out) * min(width, height) * rng.uniform(0.8, 1.25)
        px, py = x + np.cos(angle) * out * width / 2, y + np.sin(angle) * out * height / 2
        puffs.append((px, py, radius, (0.8 - out) * radius))
        for turn in rng.uniform(0.0, 6.28, 4):
            small = radius * rng.uniform(0.28, 0.5)
            puffs.append((px + np.cos(turn) * radius * 0.8, py + np.sin(turn) * radius * 0.8,
                          small, small * 0.6))  # fmt: skip
    return np.array(puffs)


def _limb(
    pen: Sketch, start: Point, end: Point, thick: float, thin: float, tones: Tones, sun_x: float
) -> None:
    """One tapering branch, dark with a lit edge."""
    (x0, y0), (x1, y1) = start, end
    dx, dy = x1 - x0, y1 - y0
    length = max(float(np.hypot(dx, dy)), 1e-6)
    nx, ny = -dy / length, dx / length
    mx, my = (x0 + x1) / 2 + nx * length * 0.06, (y0 + y1) / 2 + ny * length * 0.06
    half = (thick + thin) / 4
    outline = [
        (x0 + nx * thick / 2, y0 + ny * thick / 2), (mx + nx * half, my + ny * half),
        (x1 + nx * thin / 2, y1 + ny * thin / 2), (x1 - nx * thin / 2, y1 - ny * thin / 2),
        (mx - nx * half, my - ny * half), (x0 - nx * thick / 2, y0 - ny * thick / 2),
    ]  # fmt: skip
    pen.polygon(outline, mix(tones.dark, tones.mid, 0.35))
    side = 1.0 if nx * sun_x > 0 else -1.0
    lit = [outline[0], outline[1], outline[2]] if side > 0 else outline[3:][::-1]
    inner = [(px - side * nx * thick * 0.28, py - side * ny * thick * 0.28) for px, py in lit]
    pen.polygon([*lit, *inner[::-1]], mix(tones.mid, tones.light, 0.35))


def paint_tree(
    picture: Picture,
    leaves: Tones,
    bark: Tones,
    rng: np.random.Generator,
    *,
    x: float,
    y: float,
    size: float,
    sun_x: float,
) -> None:
    """A broad tree standing on x, y; `size` is its height. All in pixels."""
    lean = rng.uniform(-0.08, 0.08) * size
    crown_w, crown_h = size * rng.uniform(0.78, 0.98), size * rng.uniform(0.58, 0.68)
    cx, cy = x + lean, y - size + crown_h / 2
    back = crown_puffs(rng, cx, cy + 0.05 * size, crown_w * 0.96, crown_h)
    shaded = leaves.__class__(leaves.dark, mix(leaves.dark, leaves.mid, 0.5), leaves.mid)
    leaf = size * 0.016
    paint_foliage(picture, shaded, rng, back, sun_x=sun_x, leaf_px=leaf, gaps=0.6)
    with sketch(picture, (x - size * 0.5, y - size, x + size * 0.5, y + size * 0.05)) as pen:
        fork = (x + lean * 0.5, y - size * 0.36)
        _limb(pen, (x, y + size * 0.015), fork, size * 0.085, size * 0.055, bark, sun_x)
        for side in (-1.0, -0.3, 0.5, 1.0):
            tip = (cx + side * crown_w * 0.26, cy + rng.uniform(-0.1, 0.12) * size)
            _limb(pen, fork, tip, size * 0.042, size * 0.012, bark, sun_x)
    front = crown_puffs(rng, cx, cy - 0.03 * size, crown_w * 0.86, crown_h * 0.8)
    front = front[rng.random(len(front)) < 0.82]
    paint_foliage(picture, leaves, rng, front, sun_x=sun_x, leaf_px=leaf, gaps=0.35)


def paint_conifer(
    picture: Picture,
    tones: Tones,
    rng: np.random.Generator,
    *,
    x: float,
    y: float,
    size: float,
    sun_x: float,
    snow: Colour | None = None,
) -> None:
    """A fir: tiers of drooping boughs, one side lit."""
    tiers = 9 if size > 40 else 5
    with sketch(picture, (x - size * 0.3, y - size * 1.02, x + size * 0.3, y + 2)) as pen:
        pen.line(
            [(x, y), (x, y - size * 0.5)], mix(tones.dark, (0.2, 0.13, 0.1), 0.6), size * 0.035
        )
        for i in range(tiers):
            t = (i + 1) / tiers
            top, low = y - size * (1.0 - 0.80 * t + 0.16), y - size * (0.94 - 0.86 * t)
            half = size * (0.03 + 0.19 * t) * rng.uniform(0.85, 1.12)
            sway = rng.uniform(-0.01, 0.01) * size
            fringe = _bough(rng, x + sway, top, low, half)
            share = rng.uniform(0.0, 0.35)
            pen.polygon(fringe, mix(tones.dark, tones.mid, share))
            lit = [(px + half * 0.10 * sun_x, py - size * 0.012) for px, py in fringe]
            middle = x + sway
            side = [(px if (px - middle) * sun_x > 0 else middle, py) for px, py in lit]
            pen.polygon(side, mix(tones.mid, tones.light, 0.12 + 0.3 * share))
            if snow is not None:
                cap = [
                    (middle + (px - middle) * 0.86, top + (py - top) * 0.62) for px, py in fringe
                ]
                pen.polygon(cap, snow)


def _bough(rng: np.random.Generator, x: float, top: float, low: float, half: float) -> list[Point]:
    """The zigzag outline of one tier."""
    teeth = 7
    xs = np.linspace(-half, half, teeth)
    droop = (low - top) * 0.16
    points: list[Point] = [(x, top)]
    for i, px in enumerate(xs[::-1]):
        hang = droop if i % 2 == 0 else -droop
        points.append((x + px, low - abs(px) / half * droop + hang + rng.normal(0, droop * 0.3)))
    return points


def paint_treeline(
    picture: Picture,
    tones: Tones,
    rng: np.random.Generator,
    line: Plane,
    *,
    size: float,
    density: float,
    sun_x: float,
) -> None:
    """Rounded woods along a skyline, in groves with gaps between them; `size` in pixels."""
    height, width = picture.shape[:2]
    count = int(width / size * 2.8)
    groves = fbm(rng, max(count, 4), 4, 2.0, octaves=2)[0]
    puffs: list[tuple[float, float, float, float]] = []
    for i in range(count):
        x = (i + rng.uniform(-0.4, 0.4)) / count * width
        tall, back = rng.uniform(0.5, 1.0), rng.random()
        if groves[i] < 0.7 - 1.6 * density:
            continue
        y = float(line[int(np.clip(x, 0, width - 1))])
        if y > height + size:
            continue
        radius = size * 0.5 * tall
        puffs.append((x, y - radius * 0.45, radius, 0.0))
        puffs.append((x + radius * 0.5, y - radius * (0.2 + 0.3 * back), radius * 0.62, 0.0))
        for turn in rng.uniform(0.0, 3.14, 4):
            rim = radius * (0.30 + 0.22 * back)
            puffs.append((x + np.cos(turn) * radius * 0.8,
                          y - radius * 0.45 - np.sin(turn) * radius * 0.8, rim,
                                        rim * 0.5))  # fmt: skip
    if puffs:
        paint_foliage(
            picture, tones, rng, np.array(puffs), sun_x=sun_x, leaf_px=max(size * 0.07, 1.0)
        )


def _is_above(line: Plane | None, x: float, y: float) -> bool:
    """True for a root above the ground's skyline."""
    return line is not None and y < float(line[int(np.clip(x, 0, len(line) - 1))]) + 1.0


def paint_grass(
    picture: Picture,
    tones: Tones,
    rng: np.random.Generator,
    *,
    top: float,
    count: int,
    blade_px: float,
    line: Plane | None = None,
) -> None:
    """Blades from `top` (fraction) to the bottom, longer and darker towards the viewer."""
    height, width = picture.shape[:2]
    t = np.sort(rng.random(count)) ** 0.7
    xs = rng.uniform(-0.02, 1.02, count) * width
    bends, tints = rng.normal(0.15, 0.5, count), rng.random(count)
    with sketch(picture, (0, top * height - blade_px, width, height)) as pen:
        for x, near, bend, tint in zip(xs, t, bends, tints, strict=True):
            y = (top + (1.04 - top) * near) * height
            if _is_above(line, x, y):
                continue
            tall = blade_px * (0.25 + 0.95 * near**1.5) * (0.6 + 0.6 * tint)
            tip = (x + bend * tall * 0.55, y - tall)
            elbow = (x + bend * tall * 0.16, y - tall * 0.55)
            half = max(tall * 0.035, 0.35)
            colour = mix(tones.dark, tones.light, 0.25 + 0.75 * tint * (1.0 - 0.35 * near))
            pen.polygon(
                [(x - half, y), elbow, tip, (elbow[0] + half, elbow[1]), (x + half, y)], colour
            )


def paint_flowers(
    picture: Picture,
    petals: Sequence[Colour],
    stem: Colour,
    rng: np.random.Generator,
    *,
    top: float,
    count: int,
    petal_px: float,
    line: Plane | None = None,
) -> None:
    """Drifts of flowers from `top` (fraction) to the bottom, smaller farther away."""
    height, width = picture.shape[:2]
    drifts = fbm(rng, 64, 64, 4.0, octaves=2, stretch=2.0)
    t = np.sort(rng.random(count)) ** 0.75
    xs, which, sizes = rng.random(count), rng.random(count), rng.uniform(0.7, 1.3, count)
    with sketch(picture, (0, top * height - 4 * petal_px, width, height)) as pen:
        for x, near, pick, size in zip(xs, t, which, sizes, strict=True):
            drift = drifts[int(near * 63), int(x * 63)]
            y = (top + (1.02 - top) * near) * height
            if (drift < -0.1 and near < 0.85) or _is_above(line, x * width, y):
                continue
            group = int((drift * 0.9 + 1.5 + pick * 0.9) * 1.3) % len(petals)
            radius = petal_px * (0.16 + 0.84 * near**1.6) * size
            _flower(pen, petals[group], stem, x * width, y, radius, pick)


def _flower(
    pen: Sketch, petal: Colour, stem: Colour, x: float, y: float, radius: float, turn: float
) -> None:
    """One blossom: a dab from afar, five petals and a heart when near."""
    if radius < 2.2:
        pen.ellipse(x, y, radius * 0.8, radius * 0.62, petal)
        return
    pen.line([(x, y), (x + radius * (turn - 0.5), y + radius * 2.6)], stem, max(radius * 0.16, 0.6))
    shade = multiply(petal, (0.80, 0.78, 0.86))
    for i in range(5):
        angle = 6.283 * (i / 5 + turn)
        dx, dy = np.cos(angle) * radius * 0.55, np.sin(angle) * radius * 0.40
        tone = shade if dy > 0.12 * radius else petal
        pen.ellipse(x + dx, y + dy, radius * 0.46, radius * 0.38, tone)
    heart = mix((0.98, 0.80, 0.28), petal, 0.25)
    pen.ellipse(x, y, radius * 0.26, radius * 0.21, heart)


def paint_mushroom(
    picture: Picture,
    cap: Tones,
    stalk: Tones,
    rng: np.random.Generator,
    x: float,
    y: float,
    size: float,
) -> None:
    """A toadstool standing on x, y; `size` is its height. All in pixels."""
    wide = size * rng.uniform(0.52, 0.72)
    neck = y - size * 0.62
    with sketch(picture, (x - wide, y - size * 1.05, x + wide, y + size * 0.06)) as pen:
        foot, top = size * 0.15, size * 0.09
        pen.polygon(
            smooth([(x - foot, y), (x - top, neck), (x + top, neck), (x + foot, y)], steps=6),
            stalk.light,
        )
        pen.polygon(
            [(x + foot * 0.3, y), (x + top * 0.2, neck), (x + top, neck), (x + foot, y)], stalk.mid
        )
        pen.ellipse(x, neck, wide * 0.80, size * 0.10, mix(stalk.mid, stalk.dark, 0.5))
        dome = [(x - wide, neck + size * 0.02), (x - wide * 0.78, neck - size * 0.22),
                (x, neck - size * 0.40), (x + wide * 0.78, neck - size * 0.22),
                (x + wide, neck + size * 0.02), (x, neck + size * 0.05)]  # fmt: skip
        pen.polygon(smooth(dome), cap.mid)
        glow = [
            (px * 0.62 + x * 0.38 - wide * 0.10, py * 0.7 + (neck - size * 0.24) * 0.3)
            for px, py in dome
        ]
        pen.polygon(smooth(glow), cap.light)
        for spot in range(7):
            angle, out = 2.4 * spot, np.sqrt(spot / 7) * 0.78
            sx, sy = (
                x + np.cos(angle) * out * wide,
                neck - size * 0.2 + np.sin(angle) * out * size * 0.13,
            )
            pen.ellipse(sx, sy, wide * 0.09, size * 0.035, stalk.light)


def paint_reeds(
    picture: Picture,
    tones: Tones,
    head: Colour,
    rng: np.random.Generator,
    *,
    count: int,
    size: float,
) -> None:
    """Tall stalks with heads at the bottom edge; `size` in pixels."""
    height, width = picture.shape[:2]
    xs, talls = rng.beta(0.6, 0.6, count) * width, rng.uniform(0.6, 1.1, count) * size
    with sketch(picture, (0, height - size * 1.3, width, height)) as pen:
        for x, tall, bend in zip(xs, talls, rng.normal(0, 0.12, count), strict=True):
            tip = (x + bend * tall, height - tall)
            stalk = smooth(
                [(x, height + 4.0), (x + bend * tall * 0.3, height - tall * 0.5), tip], closed=False
            )
            pen.line(stalk, mix(tones.mid, tones.light, rng.random()), max(size * 0.012, 1.0))
            pen.ellipse(tip[0], tip[1], size * 0.016, size * 0.07, head)
