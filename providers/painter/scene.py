"""What is to be painted: the words of a prompt, sorted by what they mean for a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Time(StrEnum):
    """Time of day: where the light comes from and which colour it has."""

    DAWN = "dawn"
    DAY = "day"
    SUNSET = "sunset"
    DUSK = "dusk"
    NIGHT = "night"


class Season(StrEnum):
    """Colours the ground and the leaves."""

    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"
    WINTER = "winter"


class Weather(StrEnum):
    """What the sky does."""

    CLEAR = "clear"
    CLOUDY = "cloudy"
    RAIN = "rain"
    STORM = "storm"
    SNOW = "snow"
    FOG = "fog"
    WIND = "wind"


class Place(StrEnum):
    """The lie of the land: decides which layers a picture is built of."""

    MEADOW = "meadow"
    SEA = "sea"
    LAKE = "lake"
    RIVER = "river"
    FOREST = "forest"
    MOUNTAINS = "mountains"
    TOWN = "town"
    SKY = "sky"
    DESERT = "desert"


class Building(StrEnum):
    """What people built there."""

    COTTAGE = "cottage"
    CASTLE = "castle"
    TOWER = "tower"
    LIGHTHOUSE = "lighthouse"
    WINDMILL = "windmill"
    GATE = "gate"
    VILLAGE = "village"


class Creature(StrEnum):
    """Who or what lives in the picture."""

    CAT = "cat"
    FOX = "fox"
    DEER = "deer"
    RABBIT = "rabbit"
    TRAVELLER = "traveller"
    BIRDS = "birds"
    DRAGON = "dragon"
    WHALE = "whale"
    AIRSHIP = "airship"
    BALLOON = "balloon"
    BOAT = "boat"
    BUTTERFLIES = "butterflies"
    FIREFLIES = "fireflies"
    SPIRITS = "spirits"


class Plant(StrEnum):
    """What grows there, beyond grass."""

    TREE = "tree"
    CONIFER = "conifer"
    BLOSSOM = "blossom"
    FLOWERS = "flowers"
    MUSHROOMS = "mushrooms"
    REEDS = "reeds"


class Flag(Enum):
    """Yes-or-no parts of a wish; values are the fields' names.

    No StrEnum: `"mountains"` would be equal to the place of that name.
    """

    MOUNTAINS = "mountains"
    MOON = "moon"
    STARS = "stars"
    RAINBOW = "rainbow"
    BIG_CLOUDS = "big_clouds"
    PATH = "path"


class Target(StrEnum):
    """What a colour word is about; ANY when it stands alone."""

    ANY = "any"
    SKY = "sky"
    WATER = "water"
    FLOWERS = "flowers"
    FOLIAGE = "foliage"
    ROOF = "roof"
    CREATURE = "creature"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a prompt asks for. None and empty tuples leave the choice to the seed."""

    time: Time | None = None
    season: Season | None = None
    weather: Weather | None = None
    place: Place | None = None
    buildings: tuple[Building, ...] = ()
    creatures: tuple[Creature, ...] = ()
    plants: tuple[Plant, ...] = ()
    mountains: bool = False
    moon: bool = False
    stars: bool = False
    rainbow: bool = False
    big_clouds: bool = False
    path: bool = False
    colours: Mapping[Target, str] = field(default_factory=dict[Target, str])


@dataclass(frozen=True, slots=True)
class Scene:
    """A wish with every choice made. `mirrored` swaps left and right of the composition."""

    time: Time
    season: Season
    weather: Weather
    place: Place
    buildings: tuple[Building, ...]
    creatures: tuple[Creature, ...]
    plants: tuple[Plant, ...]
    mountains: bool
    moon: bool
    stars: bool
    rainbow: bool
    big_clouds: bool
    path: bool
    mirrored: bool
    colours: Mapping[Target, str]
