"""Pictures as arrays, and small colour arithmetic on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

# Height x width x 3, display-referred sRGB, 0.0 to 1.0.
Picture: TypeAlias = NDArray[np.float32]
# Height x width, usually 0.0 to 1.0.
Plane: TypeAlias = NDArray[np.float32]
Colour: TypeAlias = tuple[float, float, float]


def hex_colour(text: str) -> Colour:
    """`#rrggbb` as three numbers from 0.0 to 1.0."""
    digits = text.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"not a #rrggbb colour: {text!r}")
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` (0.0 to 1.0) of `b`."""
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


def multiply(a: Colour, b: Colour) -> Colour:
    """Channel by channel, cut off at 1.0: a coloured light on a coloured thing."""
    red, green, blue = (min(x * y, 1.0) for x, y in zip(a, b, strict=True))
    return red, green, blue


def luma(colour: Colour) -> float:
    """Rec. 601 brightness, 0.0 to 1.0."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def to_bytes(colour: Colour) -> tuple[int, int, int]:
    """Three numbers from 0 to 255, as Pillow draws them."""
    red, green, blue = (round(255 * min(max(c, 0.0), 1.0)) for c in colour)
    return red, green, blue


def as_f32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """The same numbers in single precision; no copy when they are already."""
    return values.astype(np.float32, copy=False)


def vector(colour: Colour) -> NDArray[np.float32]:
    """A colour as an array that broadcasts over a picture."""
    return np.array(colour, dtype=np.float32)


def brightness(picture: Picture) -> Plane:
    """Rec. 601 luma of every pixel."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return as_f32(picture @ weights)


def ramp(colours: Sequence[Colour], at: Plane) -> Picture:
    """Colours spread evenly over 0.0 to 1.0, looked up at every pixel of `at`."""
    stops = np.linspace(0.0, 1.0, len(colours))
    table = np.stack(
        [np.interp(np.linspace(0, 1, 256), stops, [c[i] for c in colours]) for i in range(3)],
        axis=1,
    ).astype(np.float32)
    index = (np.clip(at, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return np.take(table, index, axis=0)


def smoothstep(low: float, high: float, values: Plane) -> Plane:
    """0.0 below `low`, 1.0 above `high`, an S between; `low` may be the larger one."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return as_f32(t * t * (3.0 - 2.0 * t))


def saturate(picture: Picture, factor: float) -> Picture:
    """Colours pulled away from (above 1.0) or towards (below 1.0) their own grey."""
    grey = brightness(picture)[..., None]
    return as_f32(np.clip(grey + (picture - grey) * factor, 0.0, 1.0))


def over(below: Picture, colour: Picture | NDArray[np.float32], alpha: Plane) -> None:
    """Lay a colour or picture over another one, in place."""
    below += (colour - below) * alpha[..., None]


def to_image(picture: Picture) -> Image.Image:
    """As an 8-bit Pillow image."""
    return Image.fromarray((np.clip(picture, 0.0, 1.0) * 255 + 0.5).astype(np.uint8))


def from_image(image: Image.Image) -> Picture:
    """From an 8-bit Pillow image; anything but RGB is converted."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(rgb, dtype=np.float32) / np.float32(255)


def resize_plane(plane: Plane, width: int, height: int) -> Plane:
    """Resize by bicubic interpolation, values kept as they are."""
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def resize(picture: Picture, width: int, height: int) -> Picture:
    """Resize a picture; exact copies keep their values."""
    if picture.shape[:2] == (height, width):
        return picture
    return from_image(to_image(picture).resize((width, height), Image.Resampling.LANCZOS))


def blur(picture: Picture, radius_px: float) -> Picture:
    """Gaussian blur of an 8-bit copy: fast, and finer than the eye can see."""
    if radius_px < 0.2:
        return picture
    return from_image(to_image(picture).filter(ImageFilter.GaussianBlur(radius_px)))


def blur_plane(plane: Plane, radius_px: float) -> Plane:
    """Gaussian blur of values between 0.0 and 1.0, in 8 bits."""
    if radius_px < 0.2:
        return plane
    image = Image.fromarray((np.clip(plane, 0.0, 1.0) * 255 + 0.5).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(radius_px))
    return np.asarray(blurred, dtype=np.float32) / np.float32(255)


def soften(plane: Plane, radius_px: float) -> Plane:
    """Blur in full precision, for reliefs: down to one sample per radius and back."""
    height, width = plane.shape
    if radius_px < 1.0:
        return plane
    small = (max(4, round(width / radius_px)), max(4, round(height / radius_px)))
    reduced = Image.fromarray(plane).resize(small, Image.Resampling.HAMMING)
    return resize_plane(np.asarray(reduced), width, height)
