"""The sheet that a scene is painted on, with what all layers need to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.painter.noise import stream

if TYPE_CHECKING:
    import numpy as np

    from providers.painter.colour import Picture
    from providers.painter.palette import Palette
    from providers.painter.scene import Scene


@dataclass(frozen=True, slots=True)
class Sheet:
    """One picture in the making.

    Attributes:
        picture: painted on in place.
        scene: what to paint.
        palette: with which colours.
        seed: of all its random streams.
        horizon: height of the horizon from the top, as a fraction.
        sun: x and y of the sun or moon, as fractions.
        focus: x of what the picture is about, as a fraction.
    """

    picture: Picture
    scene: Scene
    palette: Palette
    seed: int
    horizon: float
    sun: tuple[float, float]
    focus: float

    @property
    def width(self) -> int:
        """In pixels."""
        return self.picture.shape[1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.picture.shape[0]

    @property
    def unit(self) -> int:
        """The shorter side in pixels, the measure of all things painted."""
        return min(self.width, self.height)

    def rng(self, layer: str) -> np.random.Generator:
        """A layer's own random numbers, the same for every size of the picture."""
        return stream(self.seed, layer)
