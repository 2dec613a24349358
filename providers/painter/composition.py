"""The composition of a picture: horizon, light, focus, and the skylines of its hills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from providers.painter import land
from providers.painter.colour import Plane, as_f32
from providers.painter.noise import stream
from providers.painter.palette import palette_of
from providers.painter.scene import Place, Scene, Time
from providers.painter.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.painter.colour import Picture


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing painted. `cost_ms` is its measured time for a megapixel on one core."""

    name: str
    cost_ms: float
    paint: Callable[[Sheet], None]


@dataclass(frozen=True, slots=True)
class Hill:
    """A hill's skyline: `base` is below the horizon; fractions of the height."""

    name: str
    base: float
    swing: float
    cells: float
    distance: float
    rise: float = 0.0


_HORIZONS = {
    Place.MEADOW: 0.60, Place.SEA: 0.52, Place.LAKE: 0.50, Place.RIVER: 0.56, Place.FOREST: 0.66,
    Place.MOUNTAINS: 0.66, Place.TOWN: 0.44, Place.SKY: 0.80, Place.DESERT: 0.60,
}  # fmt: skip
_SUN_HEIGHTS = {
    Time.DAWN: 0.78,
    Time.DAY: 0.14,
    Time.SUNSET: 0.86,
    Time.DUSK: 0.97,
    Time.NIGHT: 0.32,
}

FAR = Hill("far hill", 0.005, 0.06, 3.0, 0.62)
MIDDLE = Hill("middle hill", 0.085, 0.07, 1.7, 0.26, rise=0.055)
NEAR = Hill("near hill", 0.215, 0.06, 1.3, 0.0)


def sheet_of(scene: Scene, seed: int, picture: Picture) -> Sheet:
    """The composition: horizon, light and focus by the seed, within what looks good."""
    rng = stream(seed, "composition")
    horizon = _HORIZONS[scene.place] + rng.uniform(-0.035, 0.035)
    focus, away = rng.uniform(0.27, 0.37), rng.uniform(0.68, 0.86)
    if scene.mirrored:
        focus, away = 1.0 - focus, 1.0 - away
    height = _SUN_HEIGHTS[scene.time] * horizon
    return Sheet(picture, scene, palette_of(scene), seed, horizon, (away, height), focus)


def line_of(sheet: Sheet, hill: Hill) -> Plane:
    """A hill's skyline in pixels; it rises a little under the focus."""
    line = land.crest(sheet.rng(hill.name), sheet.width, sheet.height,
                      base=sheet.horizon + hill.base,
                      swing=hill.swing, cells=hill.cells)  # fmt: skip
    xs = np.linspace(0.0, 1.0, sheet.width, dtype=np.float32)
    bump = np.exp(-(((xs - sheet.focus) / 0.22) ** 2)) * hill.rise * sheet.height
    return as_f32(line - bump)


def sun_side(sheet: Sheet) -> float:
    """Where light on the ground comes from: -1.0 (left) to 1.0 (right)."""
    return 0.7 if sheet.sun[0] > 0.5 else -0.7


def places_on(sheet: Sheet, line: Plane, count: int) -> list[tuple[float, float]]:
    """Where buildings stand on a skyline: the first at the focus, others beside it."""
    offsets = (0.0, 0.30, -0.22, 0.48)
    side = 1.0 if sheet.focus < 0.5 else -1.0
    points: list[tuple[float, float]] = []
    for offset in offsets[:count]:
        x = float(np.clip(sheet.focus + side * offset, 0.06, 0.94)) * sheet.width
        points.append((x, float(line[int(x)]) + 0.022 * sheet.height))
    return points
