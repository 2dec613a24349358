"""Edge-preserving smoothing: a picture in patches of one colour, as a brush would leave them."""

from __future__ import annotations

import numpy as np
from PIL import ImageFilter

from providers.painter.colour import Picture, Plane, as_f32, brightness, from_image, to_image

# Eight windows around a pixel, as unit steps.
_WINDOWS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))


def box_mean(plane: Plane, radius: int) -> Plane:
    """Mean over a square window of 2 * radius + 1 pixels, edges repeated."""
    size = 2 * radius + 1
    padded = np.pad(plane, radius + 1, mode="edge")[:, :-1][:-1].astype(np.float64)
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    window = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return as_f32(window / (size * size))


def _shifted(values: Picture | Plane, dx: int, dy: int, pad: int) -> Picture | Plane:
    """A view of padded values, moved by dx, dy."""
    height, width = values.shape[0] - 2 * pad, values.shape[1] - 2 * pad
    return values[pad + dy : pad + dy + height, pad + dx : pad + dx + width]


def kuwahara(picture: Picture, radius: int) -> Picture:
    """Every pixel becomes the mean of its calmest neighbouring windows (Kuwahara et al., 1976).

    Eight overlapping windows, weighted by how even each is (after Papari et al., 2007), so
    that there are no blocks. `radius` is in pixels.
    """
    if radius < 1:
        return picture
    mean = from_image(to_image(picture).filter(ImageFilter.BoxBlur(radius)))
    grey = brightness(picture)
    average = box_mean(grey, radius)
    variance = np.maximum(box_mean(as_f32(grey * grey), radius) - average * average, 0.0)
    calm = as_f32(1.0 / (variance * 1200.0 + 0.04) ** 4)
    pad = radius + 1
    means = np.pad(mean, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    weights = np.pad(calm, pad, mode="edge")
    total = np.zeros_like(picture)
    weight_sum = np.zeros_like(grey)
    for x, y in _WINDOWS:
        dx, dy = round(x * radius), round(y * radius)
        weight = _shifted(weights, dx, dy, pad)
        total += _shifted(means, dx, dy, pad) * weight[..., None]
        weight_sum += weight
    return as_f32(total / weight_sum[..., None])
