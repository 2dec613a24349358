"""Line work: what a pen or pencil would draw of a picture."""

from __future__ import annotations

import numpy as np

from providers.painter.colour import (
    Colour,
    Picture,
    Plane,
    as_f32,
    blur_plane,
    brightness,
    over,
    smoothstep,
    vector,
)
from providers.painter.flow import Flow, along


def pen_lines(picture: Picture, flow: Flow, *, width: float, detail: float) -> Plane:
    """Coverage of lines, 0.0 to 1.0.

    Difference of Gaussians along the flow (Winnemoeller et al., XDoG, 2012). `width` is the
    pen's in shorter sides; `detail` 0.0 (contours) to 1.0 (every fold).
    """
    unit = min(picture.shape[:2])
    grey = brightness(picture)
    sigma = max(width * unit, 0.6)
    difference = blur_plane(grey, sigma * 1.6) - blur_plane(grey, sigma)
    # Lines in dark parts would turn to mud: weigh by the light around.
    weighted = difference / (0.20 + 0.8 * blur_plane(grey, sigma * 4))
    (joined,) = along([as_f32(weighted)], flow, steps=3, step_px=max(sigma * 0.9, 1.0))
    low = 0.030 - 0.020 * detail
    return smoothstep(low, low + 0.045, joined)


def draw_lines(
    picture: Picture, lines: Plane, colour: Colour, strength: float, wobble: Plane
) -> None:
    """Lay lines over a picture; `wobble` (about -1.0 to 1.0) is the pressure of the hand."""
    pressure = np.clip(0.82 + 0.3 * wobble, 0.25, 1.1)
    over(picture, vector(colour), as_f32(np.clip(lines * pressure * strength, 0.0, 1.0)))
