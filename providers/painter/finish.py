"""The last coats: grading, bloom, washes, bristles, canvas, paper, pencil, a rim of paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import (
    Picture,
    Plane,
    as_f32,
    blur,
    blur_plane,
    brightness,
    hex_colour,
    over,
    saturate,
    smoothstep,
    soften,
    vector,
)
from providers.painter.flow import Flow, bristles
from providers.painter.noise import fbm, grain

if TYPE_CHECKING:
    from providers.painter.look import Look


def grade(picture: Picture, look: Look) -> Picture:
    """Saturation, contrast, exposure and warmth."""
    graded = saturate(picture, look.saturation) if look.saturation != 1.0 else picture.copy()
    if look.contrast != 1.0:
        graded = (graded - 0.5) * look.contrast + 0.5
    warm = np.array([0.06, 0.012, -0.07], dtype=np.float32) * look.warmth
    return as_f32(np.clip(graded + warm + look.exposure, 0.0, 1.0))


def add_bloom(picture: Picture, amount: float) -> Picture:
    """Light that spills over from what is bright (screen mode)."""
    if amount <= 0.0:
        return picture
    unit = min(picture.shape[:2])
    bright = picture * smoothstep(0.55, 0.98, brightness(picture))[..., None]
    halo = blur(as_f32(bright), unit * 0.012) * 0.5 + blur(as_f32(bright), unit * 0.045) * 0.5
    return as_f32(1.0 - (1.0 - picture) * (1.0 - halo * amount))


def add_wash(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Watercolour: ragged edges, pigment that gathers at them, blooms, light paper."""
    if amount <= 0.0:
        return picture
    height, width = picture.shape[:2]
    unit = min(width, height)
    bled = _displaced(picture, rng, unit * 0.0045 * amount)
    grey = brightness(bled)
    soft = soften(grey, unit * 0.006)
    edges = np.clip((soften(grey, unit * 0.016) - soft) * 3.2, 0.0, 0.35)
    backruns = fbm(rng, width, height, 3.2, octaves=4)
    granules = fbm(rng, width, height, 90.0, octaves=2, gain=0.8)
    density = 0.86 + 0.16 * backruns + 1.5 * edges + 0.10 * granules * (1.0 - grey)
    stained = np.clip(bled, 0.004, 1.0) ** as_f32(np.clip(density, 0.4, 1.7))[..., None]
    light = 1.0 - (1.0 - stained) * 0.93
    return as_f32(picture + (light - picture) * amount)


def _displaced(picture: Picture, rng: np.random.Generator, reach_px: float) -> Picture:
    """Every edge a little ragged: pixels taken from nearby, by noise."""
    height, width = picture.shape[:2]
    rows, columns = np.indices((height, width), dtype=np.float32)
    x = columns + fbm(rng, width, height, 28.0, octaves=3, gain=0.7) * reach_px
    y = rows + fbm(rng, width, height, 28.0, octaves=3, gain=0.7) * reach_px
    return picture[
        np.clip(y, 0, height - 1).astype(np.intp), np.clip(x, 0, width - 1).astype(np.intp)
    ]


def add_bristles(picture: Picture, flow: Flow, look: Look, rng: np.random.Generator) -> Picture:
    """Strokes along the forms, in tone and as a relief that light falls on from the top left."""
    if look.bristles <= 0.0 and look.relief <= 0.0:
        return picture
    marks = bristles(flow, rng)
    result = picture + marks[..., None] * (0.055 * look.bristles)
    if look.relief > 0.0:
        unit = min(picture.shape[:2])
        thick = marks * 0.8 + brightness(picture) * 1.2
        slope_y, slope_x = np.gradient(soften(as_f32(thick), max(unit * 0.0016, 1.0)))
        shine = np.tanh(-(slope_x + slope_y) * unit * 0.006) * 0.16 * look.relief
        result += shine[..., None]
    return as_f32(np.clip(result, 0.0, 1.0))


def add_hatch(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Strokes of a coloured pencil in one slant, denser where it is dark."""
    if amount <= 0.0:
        return picture
    height, width = picture.shape[:2]
    slant = Flow(
        np.full((height, width), 0.80, np.float32), np.full((height, width), -0.60, np.float32)
    )
    marks = bristles(slant, rng, length=0.05)
    tooth = grain(rng, width, height) - 0.5
    shade = (marks * 0.085 + tooth * 0.05) * (0.5 + 0.9 * (1.0 - brightness(picture)))
    return as_f32(np.clip(picture + (shade * amount)[..., None], 0.0, 1.0))


def reduce_tones(picture: Picture, levels: int) -> Picture:
    """Brightness in a few flat steps with soft borders, colours kept."""
    if levels < 2:
        return picture
    grey = brightness(picture)
    scaled = grey * levels
    flat = (np.floor(scaled) + smoothstep(0.40, 0.60, as_f32(scaled % 1.0))) / levels
    return as_f32(np.clip(picture + (flat - grey)[..., None], 0.0, 1.0))


def add_canvas(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """The weave of a canvas."""
    if amount <= 0.0:
        return picture
    height, width = picture.shape[:2]
    pitch = max(min(width, height) / 230.0, 2.6)
    sway = fbm(rng, width, height, 18.0, octaves=2) * 0.5
    xs = np.arange(width, dtype=np.float32)[None, :] * (2 * np.pi / pitch)
    ys = np.arange(height, dtype=np.float32)[:, None] * (2 * np.pi / pitch)
    weave = np.sin(xs + sway) * np.sin(ys + sway) + 0.4 * np.sin(xs) - 0.4 * np.sin(ys)
    return as_f32(np.clip(picture * (1.0 + 0.045 * amount * weave[..., None]), 0.0, 1.0))


def add_paper(picture: Picture, look: Look, rng: np.random.Generator) -> Picture:
    """A paper's colour and grain, most visible where paint is thin and light."""
    result = picture * vector(hex_colour(look.paper_colour))
    if look.paper > 0.0:
        height, width = picture.shape[:2]
        fibres = fbm(rng, width, height, 75.0, octaves=3, gain=0.85)
        slope = np.gradient(fibres, axis=0) + np.gradient(fibres, axis=1)
        tooth = np.clip(slope * 0.5 + fibres * 0.25, -1.2, 1.2)
        strength = 0.075 * look.paper * (0.35 + 0.65 * brightness(picture))
        result = result + (tooth * strength)[..., None]
    return as_f32(np.clip(result, 0.0, 1.0))


def rim(width: int, height: int, border: float, rng: np.random.Generator) -> Plane:
    """Coverage of the painted part inside an uneven rim; `border` in shorter sides."""
    unit = min(width, height)
    xs = np.arange(width, dtype=np.float32)[None, :]
    ys = np.arange(height, dtype=np.float32)[:, None]
    inside = np.minimum(np.minimum(xs, width - 1 - xs), np.minimum(ys, height - 1 - ys)) / unit
    rough = fbm(rng, width, height, 7.0, octaves=5, gain=0.6) * border * 0.34
    return smoothstep(-0.002, 0.004, as_f32(inside - border + rough))


def add_border(picture: Picture, look: Look, rng: np.random.Generator) -> Picture:
    """Leave a rim of paper, with a darker line where the wash dried."""
    if look.border <= 0.0:
        return picture
    height, width = picture.shape[:2]
    cover = rim(width, height, look.border / 1000.0, rng)
    dried = np.clip(cover - blur_plane(cover, min(width, height) * 0.006), 0.0, 1.0) * 0.35
    result = as_f32(picture * (1.0 - dried[..., None]))
    over(result, vector((0.985, 0.975, 0.95)), as_f32(1.0 - cover))
    return result
