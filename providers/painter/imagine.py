"""Makes the choices that a prompt left open, by the seed and with some taste."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from providers.painter.scene import (
    Building,
    Creature,
    Place,
    Plant,
    Scene,
    Season,
    Time,
    Weather,
    Wish,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

T = TypeVar("T")

_PLACE_OF_BUILDING = {
    Building.LIGHTHOUSE: Place.SEA,
    Building.VILLAGE: Place.MEADOW,
    Building.GATE: Place.LAKE,
}
_PLACE_OF_CREATURE = {
    Creature.WHALE: Place.SEA,
    Creature.BOAT: Place.SEA,
    Creature.AIRSHIP: Place.SKY,
    Creature.BALLOON: Place.MOUNTAINS,
    Creature.DRAGON: Place.MOUNTAINS,
    Creature.SPIRITS: Place.FOREST,
    Creature.DEER: Place.FOREST,
}
_TIME_OF_WEATHER = {Weather.STORM: Time.DUSK, Weather.FOG: Time.DAWN}


def _pick(rng: np.random.Generator, odds: Mapping[T, float]) -> T:
    """One key, drawn with its odds."""
    options = list(odds)
    total = sum(odds.values())
    at = rng.random() * total
    for option in options:
        at -= odds[option]
        if at < 0:
            return option
    return options[-1]


def _time(wish: Wish, rng: np.random.Generator) -> Time:
    """Named, or fitting: night for stars and moon, mostly day otherwise."""
    drawn = _pick(rng, {Time.DAY: 7.0, Time.SUNSET: 1.2, Time.DAWN: 0.6})
    if wish.time is not None:
        return wish.time
    if wish.stars or wish.moon or Creature.FIREFLIES in wish.creatures:
        return Time.NIGHT
    return _TIME_OF_WEATHER.get(wish.weather, drawn) if wish.weather else drawn


def _place(wish: Wish, rng: np.random.Generator) -> Place:
    """Named, or where the buildings and creatures of the wish are at home."""
    drawn = _pick(rng, {Place.MEADOW: 5.0, Place.SEA: 2.0, Place.LAKE: 2.0, Place.RIVER: 1.5})
    if wish.place is not None:
        return wish.place
    for building in wish.buildings:
        if building in _PLACE_OF_BUILDING:
            return _PLACE_OF_BUILDING[building]
    for creature in wish.creatures:
        if creature in _PLACE_OF_CREATURE:
            return _PLACE_OF_CREATURE[creature]
    if Plant.MUSHROOMS in wish.plants:
        return Place.FOREST
    if wish.mountains:
        return Place.MOUNTAINS
    if wish.buildings or wish.plants or wish.path:
        return Place.MEADOW
    return drawn


def _is_empty(wish: Wish) -> bool:
    """True when the prompt named nothing to put into a landscape."""
    return not (wish.buildings or wish.creatures or wish.plants)


def imagine(wish: Wish, rng: np.random.Generator) -> Scene:
    """Complete a wish. Draws the same numbers whatever was wished for."""
    time, place = _time(wish, rng), _place(wish, rng)
    season = _pick(rng, {Season.SUMMER: 6.0, Season.SPRING: 3.0, Season.AUTUMN: 1.0})
    lonely_house, flowers, mountains, tree = (rng.random() for _ in range(4))
    mirrored = bool(rng.random() < 0.5)
    buildings, plants = wish.buildings, wish.plants
    if _is_empty(wish) and place in (Place.MEADOW, Place.RIVER, Place.LAKE) and lonely_house < 0.6:
        buildings = (Building.COTTAGE,)
    if Plant.FLOWERS not in plants and flowers < 0.6:
        plants = (*plants, Plant.FLOWERS)
    if Plant.TREE not in plants and tree < 0.45:
        plants = (*plants, Plant.TREE)
    return Scene(
        time=time,
        season=wish.season or (Season.SPRING if Plant.BLOSSOM in plants else season),
        weather=wish.weather or Weather.CLEAR,
        place=place,
        buildings=buildings,
        creatures=wish.creatures,
        plants=plants,
        mountains=wish.mountains or place is Place.LAKE or mountains < 0.5,
        moon=wish.moon or time is Time.NIGHT,
        stars=wish.stars or time is Time.NIGHT,
        rainbow=wish.rainbow,
        big_clouds=wish.big_clouds or place is Place.SKY,
        path=wish.path,
        mirrored=mirrored,
        colours=wish.colours,
    )
