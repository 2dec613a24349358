"""Seeded noise: the irregular hand behind clouds, hills, paper and bristles."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from providers.painter.colour import Plane, as_f32


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for a named part of a picture.

    Parts draw from separate streams, so that a change of one leaves the others as they were.
    """
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=8).digest()
    return np.random.Generator(np.random.PCG64([seed, int.from_bytes(digest, "big")]))


def lattice(
    rng: np.random.Generator, width: int, height: int, cells_x: float, cells_y: float
) -> Plane:
    """Smooth value noise, 0.0 to 1.0: a random grid, stretched by bicubic interpolation.

    The grid depends on the cells only, so every size of a picture has the same noise.
    """
    columns, rows = int(np.ceil(cells_x)) + 3, int(np.ceil(cells_y)) + 3
    grid = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
    box = (1.0, 1.0, 1.0 + cells_x, 1.0 + cells_y)
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC, box=box))


def fbm(
    rng: np.random.Generator,
    width: int,
    height: int,
    cells: float,
    *,
    octaves: int = 4,
    gain: float = 0.5,
    stretch: float = 1.0,
) -> Plane:
    """Fractal noise around 0.0, nearly all of it between -1.0 and 1.0.

    Args:
        rng: where its numbers come from.
        width: in pixels.
        height: in pixels.
        cells: bumps along the shorter side, in the coarsest octave.
        octaves: how many finer layers are added, each twice as fine.
        gain: how strong each octave is against the one before.
        stretch: above 1.0 the bumps are wider than high.
    """
    unit = min(width, height)
    total = np.zeros((height, width), dtype=np.float32)
    energy = 0.0
    for octave in range(octaves):
        scale, weight = cells * 2.0**octave, gain**octave
        layer = lattice(
            rng, width, height, max(scale * width / unit / stretch, 0.5), scale * height / unit
        )
        total += (layer - 0.5) * weight
        energy += weight * weight
    return as_f32(total / (0.45 * energy**0.5))


def grain(rng: np.random.Generator, width: int, height: int) -> Plane:
    """White noise from 0.0 to 1.0, one number per pixel."""
    return rng.random((height, width), dtype=np.float32)
