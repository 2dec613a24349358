"""Where a brush would run: along the forms of a picture, and free where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from providers.painter.colour import Picture, Plane, as_f32, brightness, resize_plane, soften
from providers.painter.noise import fbm, grain

if TYPE_CHECKING:
    from collections.abc import Sequence

# Bristles are computed at this shorter side at most and enlarged: finer ones would not show.
_BRISTLE_SIDE = 560


@dataclass(frozen=True, slots=True)
class Flow:
    """A unit vector for every pixel, along the edges of the forms."""

    x: Plane
    y: Plane

    def resized(self, width: int, height: int) -> Flow:
        """For another size of the same picture."""
        x, y = resize_plane(self.x, width, height), resize_plane(self.y, width, height)
        length = np.maximum(np.hypot(x, y), 1e-4)
        return Flow(as_f32(x / length), as_f32(y / length))


def flow_of(picture: Picture, rng: np.random.Generator, *, reach: float = 0.02) -> Flow:
    """The flow of a picture at its own size; `reach` (shorter sides) is how far forms are felt.

    Structure tensor (Kang et al., Flow-based image abstraction, 2009), smoothed in full
    precision; where a picture is flat, a slow swirl of noise takes over.
    """
    height, width = picture.shape[:2]
    unit = min(width, height)
    grey = soften(brightness(picture), unit * 0.004)
    dx, dy = as_f32(np.gradient(grey, axis=1)), as_f32(np.gradient(grey, axis=0))
    radius = unit * reach
    xx, yy = soften(as_f32(dx * dx), radius), soften(as_f32(dy * dy), radius)
    xy = soften(as_f32(dx * dy), radius)
    swirl = fbm(rng, width, height, 1.6, octaves=2) * 1.2 + 0.5
    floor = np.float32(2.5e-6)
    cos2, sin2 = xx - yy - floor * np.cos(2 * swirl), 2 * xy - floor * np.sin(2 * swirl)
    angle = np.arctan2(sin2, cos2) / 2 + np.float32(np.pi / 2)
    return Flow(as_f32(np.cos(angle)), as_f32(np.sin(angle)))


def along(planes: Sequence[Plane], flow: Flow, *, steps: int, step_px: float) -> list[Plane]:
    """Line integral convolution: every plane averaged along the flow, `steps` to each side."""
    height, width = planes[0].shape
    rows, columns = np.indices((height, width), dtype=np.float32)
    flat = [plane.ravel() for plane in planes]
    totals = [plane.copy() for plane in planes]
    for direction in (1.0, -1.0):
        x, y = columns.copy(), rows.copy()
        dx, dy = flow.x * direction, flow.y * direction
        for _ in range(steps):
            x += dx * step_px
            y += dy * step_px
            index = np.clip(y + 0.5, 0, height - 1).astype(np.int32) * width + np.clip(
                x + 0.5, 0, width - 1
            ).astype(np.int32)
            for i, source in enumerate(flat):
                totals[i] += source[index]
            next_x, next_y = flow.x.ravel()[index], flow.y.ravel()[index]
            # The flow has no sign: keep going the way we came.
            sign = np.where(next_x * dx + next_y * dy < 0, np.float32(-1), np.float32(1))
            dx, dy = next_x * sign, next_y * sign
    return [as_f32(total / (2 * steps + 1)) for total in totals]


def bristles(flow: Flow, rng: np.random.Generator, *, length: float = 0.03) -> Plane:
    """The marks that bristles leave along the flow, about -1.0 to 1.0.

    `length` is that of a stroke in shorter sides.
    """
    height, width = flow.x.shape
    scale = min(1.0, _BRISTLE_SIDE / min(width, height))
    small_w, small_h = round(width * scale), round(height * scale)
    small = flow.resized(small_w, small_h)
    unit = min(small_w, small_h)
    noise = soften(grain(rng, small_w, small_h), 1.3) - 0.5
    steps = max(4, int(length * unit / 2 / 1.6))
    (marks,) = along([as_f32(noise)], small, steps=steps, step_px=1.6)
    marks /= max(float(marks.std()), 1e-6) * 2.2
    return resize_plane(as_f32(np.clip(marks, -1.4, 1.4)), width, height)
