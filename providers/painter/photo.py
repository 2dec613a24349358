"""A user's photo: opened, cropped to the size that was asked for, lit and dressed by the words."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from providers.painter import creatures, weather
from providers.painter.colour import (
    Picture,
    as_f32,
    brightness,
    from_image,
    mix,
    over,
    smoothstep,
    vector,
)
from providers.painter.scene import Creature, Plant, Season, Time, Weather
from providers.painter.sky import paint_glow, paint_rainbow, paint_stars

if TYPE_CHECKING:
    from providers.painter.scene import Wish
    from providers.painter.sheet import Sheet

# 64 megapixels: four times what phones take, and 200 MB once decoded.
_MAX_PIXELS = 64_000_000
# Faces and what matters sit a little above the middle of most photos.
_FOCUS_Y = 0.44


class UnreadablePhotoError(ValueError):
    """The bytes are no PNG, JPEG or WebP picture, or one too large to open."""


def open_photo(data: bytes, longer_px: int) -> Image.Image:
    """Decode an upright RGB photo; a JPEG is read at about twice `longer_px` where it can be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"])
            if image.width * image.height > _MAX_PIXELS:
                raise UnreadablePhotoError(f"{image.width}x{image.height} pixels are too many")
            image.draft("RGB", (longer_px * 2, longer_px * 2))
            upright = ImageOps.exif_transpose(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError,
            Image.DecompressionBombWarning) as error:  # fmt: skip
        raise UnreadablePhotoError(f"not a readable photo: {error}") from error
    if upright.mode in ("RGBA", "LA", "PA", "P"):
        rgba = upright.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, rgba).convert("RGB")
    return upright.convert("RGB")


def fit(image: Image.Image, width: int, height: int, rng: np.random.Generator) -> Picture:
    """Cover width x height, with a small zoom and shift by the seed: variants differ."""
    zoom = 1.0 + 0.13 * rng.random()
    shift_x, shift_y = rng.uniform(-0.5, 0.5, 2)
    scale = max(width / image.width, height / image.height) * zoom
    box_w, box_h = width / scale, height / scale
    spare_x, spare_y = image.width - box_w, image.height - box_h
    # A shift uses at most the spare room that the zoom made: the subject stays in.
    room_x, room_y = box_w * (zoom - 1.0) * 0.9, box_h * (zoom - 1.0) * 0.7
    left = float(np.clip(spare_x / 2 + shift_x * room_x, 0.0, spare_x))
    top = float(np.clip(spare_y * _FOCUS_Y + shift_y * room_y, 0.0, spare_y))
    box = (left, top, left + box_w, top + box_h)
    return from_image(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def even_out(picture: Picture) -> Picture:
    """Lift a dull photo: stretch its light half-way to the full range, colours kept."""
    grey = brightness(picture)
    low, high = (float(v) for v in np.percentile(grey[::4, ::4], (0.5, 99.5)))
    if high - low < 0.05:
        return picture
    stretched = (picture - low) / (high - low)
    return as_f32(np.clip(picture + (stretched - picture) * 0.5, 0.0, 1.0))


def relight(sheet: Sheet, wish: Wish) -> None:
    """The light of the hour and the season, where the words name one."""
    picture, palette = sheet.picture, sheet.palette
    if wish.season is Season.AUTUMN:
        _turn_leaves(picture, (0.88, 0.50, 0.16))
    elif wish.season is Season.WINTER or wish.weather is Weather.SNOW:
        over(picture, vector((0.90, 0.95, 1.0)), np.full(picture.shape[:2], 0.12, np.float32))
    if wish.time in (None, Time.DAY):
        return
    grey = brightness(picture)
    light = smoothstep(0.05, 0.85, grey)[..., None]
    tint = vector(palette.shade) * (1.0 - light) + vector(palette.light) * light
    strength = 0.85 if wish.time in (Time.NIGHT, Time.DUSK) else 0.7
    picture *= 1.0 + (tint * 1.12 - 1.0) * strength
    paint_glow(picture, palette, sheet.sun, 0.42)


def _turn_leaves(picture: Picture, colour: tuple[float, float, float]) -> None:
    """What is green becomes the colour of autumn."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    leafy = smoothstep(0.02, 0.16, as_f32(green - np.maximum(red, blue)))
    tinted = vector(colour) * (brightness(picture)[..., None] * 1.9)
    over(picture, as_f32(np.clip(tinted, 0.0, 1.0)), as_f32(leafy * 0.85))


def dress(sheet: Sheet, wish: Wish) -> None:
    """Weather and small things of the air that the words ask for, over the photo."""
    if wish.stars or (wish.time is Time.NIGHT and wish.moon):
        paint_stars(sheet.picture, sheet.rng("stars"), 0.42, 0.6)
    if wish.rainbow:
        paint_rainbow(sheet.picture, (0.5, 0.95), 0.75)
    if wish.weather is Weather.FOG:
        weather.paint_fog(sheet, 0.5)
    if wish.weather in (Weather.RAIN, Weather.STORM):
        weather.paint_rain(sheet, slant=0.2)
    if wish.weather is Weather.SNOW or wish.season is Season.WINTER:
        weather.paint_snowfall(sheet)
    if Plant.BLOSSOM in wish.plants:
        weather.paint_petals(sheet, ((1.0, 0.80, 0.87), (0.97, 0.70, 0.80)), count=60)
    elif wish.season is Season.AUTUMN or wish.weather is Weather.WIND:
        leaves = ((0.93, 0.58, 0.20), (0.80, 0.34, 0.16), mix((0.93, 0.58, 0.2), (1, 1, 0.5), 0.5))
        weather.paint_petals(sheet, leaves, count=48)
    if Creature.FIREFLIES in wish.creatures:
        creatures.paint_fireflies(sheet, sheet.rng("life"))
    if Creature.BUTTERFLIES in wish.creatures:
        creatures.paint_butterflies(sheet, sheet.rng("life"))
    if Creature.BIRDS in wish.creatures:
        creatures.paint_birds(sheet, sheet.rng("life"))
