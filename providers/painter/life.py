"""Where creatures and vehicles go: the air, the water, the ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.painter import creatures
from providers.painter.composition import Layer
from providers.painter.scene import Creature, Place
from providers.painter.water import submerge

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet

FLYING = (Creature.DRAGON, Creature.AIRSHIP, Creature.BALLOON)
SWIMMING = (Creature.BOAT, Creature.WHALE)


def life_layers(scene: Scene) -> list[Layer]:
    """One layer for each creature, in the prompt's order."""
    return [Layer(str(kind), 8, _life_painter(kind, i)) for i, kind in enumerate(scene.creatures)]


def _life_painter(kind: Creature, place: int) -> Callable[[Sheet], None]:
    def paint(sheet: Sheet) -> None:
        rng = sheet.rng(f"life {kind}")
        swarm = {
            Creature.BIRDS: creatures.paint_birds,
            Creature.BUTTERFLIES: creatures.paint_butterflies,
            Creature.FIREFLIES: creatures.paint_fireflies,
            Creature.SPIRITS: creatures.paint_spirits,
        }.get(kind)
        if swarm is not None:
            swarm(sheet, rng)
        else:
            _paint_one(sheet, kind, rng, place)

    return paint


def _paint_one(sheet: Sheet, kind: Creature, rng: np.random.Generator, place: int) -> None:
    """One creature or vehicle, in the air, on the water or on the ground."""
    side = 1.0 if sheet.focus < 0.5 else -1.0
    at_water = sheet.scene.place in (Place.SEA, Place.LAKE, Place.TOWN)
    mirrored = bool(side < 0) != (kind in (Creature.FOX, Creature.RABBIT))
    if kind in FLYING or (kind in SWIMMING and not at_water):
        big = {Creature.BALLOON: 0.30, Creature.AIRSHIP: 0.17, Creature.DRAGON: 0.20}.get(
            kind, 0.22
        )
        x, y = 0.5 + side * rng.uniform(0.10, 0.24), sheet.horizon * rng.uniform(0.42, 0.58)
        creatures.paint_figure(sheet, kind, x * sheet.width, y * sheet.height, big * sheet.unit,
                               mirrored=mirrored, haze=0.06)  # fmt: skip
        return
    if kind in SWIMMING:
        size = 0.15 if kind is Creature.BOAT else 0.20
        x, y = 0.5 + side * rng.uniform(0.22, 0.30), sheet.horizon + rng.uniform(0.15, 0.20)
        before = sheet.picture.copy()
        creatures.paint_figure(sheet, kind, x * sheet.width, y * sheet.height, size * sheet.unit,
                               mirrored=mirrored)  # fmt: skip
        # A boat floats on the line, a whale shows its back: its drawing ends a fifth below.
        draught = 0.16 if kind is Creature.WHALE else 0.10
        submerge(
            sheet, before, y - draught * size * sheet.unit / sheet.height, size * sheet.unit, x
        )
        return
    sizes = {Creature.TRAVELLER: 0.23, Creature.DEER: 0.19, Creature.RABBIT: 0.10}
    x = 0.5 + side * (rng.uniform(-0.02, 0.14) - 0.15 * place)
    y = rng.uniform(0.88, 0.93)
    creatures.paint_figure(sheet, kind, x * sheet.width, y * sheet.height,
                           sizes.get(kind, 0.14) * sheet.unit, mirrored=mirrored)  # fmt: skip
