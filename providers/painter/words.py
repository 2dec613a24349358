"""From a prompt's words to a `Wish`: tables, no model, the same answer every time."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from providers.painter.scene import (
    Building,
    Creature,
    Flag,
    Place,
    Plant,
    Season,
    Target,
    Time,
    Weather,
    Wish,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Meaning = Time | Season | Weather | Place | Building | Creature | Plant | Flag

_MEANINGS: Mapping[Meaning, str] = {
    Time.DAWN: "dawn sunrise morning daybreak",
    Time.DAY: "day noon midday afternoon daylight sunny sunshine sunlit",
    Time.SUNSET: "sunset sundown golden-hour golden-light evening",
    Time.DUSK: "dusk twilight gloaming blue-hour nightfall",
    Time.NIGHT: "night midnight nighttime nocturnal moonlit moonlight starlit starry",
    Season.SPRING: "spring springtime april may",
    Season.SUMMER: "summer summertime july",
    Season.AUTUMN: "autumn autumnal fall october maple harvest",
    Season.WINTER: "winter wintry snow snowy snowfall frozen frost frosty ice icy",
    Weather.CLEAR: "clear cloudless",
    Weather.CLOUDY: "cloudy overcast grey-sky",
    Weather.RAIN: "rain rainy raining drizzle shower umbrella wet",
    Weather.STORM: "storm stormy thunder thunderstorm lightning tempest",
    Weather.SNOW: "snowing snowfall snowflake blizzard snowstorm",
    Weather.FOG: "fog foggy mist misty haze hazy",
    Weather.WIND: "wind windy breeze breezy gale",
    Place.MEADOW: (
        "meadow field grass grassland hill hillside hilly pasture garden farm countryside "
        "valley prairie"
    ),
    Place.SEA: (
        "sea ocean beach coast coastal shore seaside island harbour harbor bay cliff wave seascape"
    ),
    Place.LAKE: "lake pond lagoon reflection reflecting",
    Place.RIVER: "river stream brook creek bridge canal",
    Place.FOREST: "forest wood woods woodland jungle grove glade",
    Place.MOUNTAINS: "alps alpine mountaintop summit canyon glacier",
    Place.TOWN: "town city street skyline downtown rooftop market",
    Place.SKY: "flying floating cloudscape above-the-clouds sky-island sea-of-clouds soaring",
    Place.DESERT: "desert dune sand oasis sahara",
    Building.COTTAGE: "cottage house home cabin hut farmhouse bakery inn shop barn",
    Building.CASTLE: "castle palace fortress citadel",
    Building.TOWER: "tower ruin observatory",
    Building.LIGHTHOUSE: "lighthouse beacon",
    Building.WINDMILL: "windmill mill",
    Building.GATE: "gate torii shrine temple pagoda",
    Building.VILLAGE: "village hamlet settlement",
    Creature.CAT: "cat kitten kitty catbus",
    Creature.FOX: "fox wolf dog puppy",
    Creature.DEER: "deer stag doe elk moose",
    Creature.RABBIT: "rabbit bunny hare",
    Creature.TRAVELLER: (
        "traveller traveler girl boy child kid woman man person witch wizard wanderer hero "
        "heroine princess prince knight friend figure"
    ),
    Creature.BIRDS: "bird seagull gull swallow crane geese flock crow owl heron",
    Creature.DRAGON: "dragon wyvern serpent",
    Creature.WHALE: "whale dolphin",
    Creature.AIRSHIP: "airship zeppelin blimp dirigible",
    Creature.BALLOON: "balloon hot-air-balloon",
    Creature.BOAT: "boat ship sailboat sailing sail yacht fishing",
    Creature.BUTTERFLIES: "butterfly moth",
    Creature.FIREFLIES: "firefly lantern glowing magical magic enchanted sparkle",
    Creature.SPIRITS: "spirit ghost kodama sprite fairy totoro",
    Plant.TREE: "tree oak willow birch camphor",
    Plant.CONIFER: "pine fir spruce conifer evergreen",
    Plant.BLOSSOM: "blossom sakura cherry-blossom cherry-tree plum-tree",
    Plant.FLOWERS: (
        "flower wildflower tulip rose poppy daisy lavender sunflower bloom blooming floral "
        "flowery flowering petal"
    ),
    Plant.MUSHROOMS: "mushroom toadstool fungus fungi",
    Plant.REEDS: "reed cattail bulrush wheat barley",
    Flag.MOUNTAINS: "mountain mountains peak volcano fuji",
    Flag.MOON: "moon moonlight moonlit crescent",
    Flag.STARS: "star stars starry starlit milky-way galaxy constellation",
    Flag.RAINBOW: "rainbow",
    Flag.BIG_CLOUDS: "cloud clouds cumulus cumulonimbus",
    Flag.PATH: "path road trail lane way",
}

COLOURS: Mapping[str, str] = {
    "red": "#c8352b",
    "crimson": "#a8202f",
    "scarlet": "#d8341f",
    "orange": "#ea8a2e",
    "golden": "#efb73e",
    "gold": "#efb73e",
    "yellow": "#f4cf45",
    "green": "#5fa048",
    "emerald": "#2f9468",
    "teal": "#2f8f92",
    "turquoise": "#3dbcb4",
    "cyan": "#4cc3d6",
    "blue": "#3f78c4",
    "azure": "#4a97e0",
    "indigo": "#46439c",
    "purple": "#7d4ca8",
    "violet": "#8658b8",
    "lavender": "#a58fd6",
    "lilac": "#bfa0d8",
    "magenta": "#c2408f",
    "pink": "#ec8fae",
    "rose": "#dd6f87",
    "white": "#f5f2ea",
    "black": "#2b2a33",
    "grey": "#8d939b",
    "gray": "#8d939b",
    "silver": "#b9c0c9",
    "brown": "#8a5a3b",
}

_TARGETS: Mapping[Target, str] = {
    Target.SKY: "sky cloud clouds aurora",
    Target.WATER: "sea ocean lake river water wave pond",
    Target.FLOWERS: "flower tulip rose poppy blossom petal wildflower daisy",
    Target.FOLIAGE: "leaf leaves tree foliage forest grass field hill meadow",
    Target.ROOF: "roof house cottage castle tower village lighthouse windmill gate",
    Target.CREATURE: (
        "cat fox dog deer rabbit dragon whale airship balloon bird butterfly boat ship sail "
        "dress coat cloak hat scarf umbrella"
    ),
}

_NEGATIONS = frozenset({"no", "without", "not", "never"})


def _inverted() -> Mapping[str, tuple[Meaning, ...]]:
    """Every word with all that it means, in the table's order."""
    words: dict[str, list[Meaning]] = {}
    for meaning, text in _MEANINGS.items():
        for word in text.split():
            words.setdefault(word.replace("-", " "), []).append(meaning)
    return {word: tuple(meanings) for word, meanings in words.items()}


_WORDS = _inverted()
_TARGET_OF = {word: target for target, text in _TARGETS.items() for word in text.split()}
_IRREGULAR = {"wolves": "wolf", "leaves": "leaf", "children": "child", "women": "woman"}


def tokens(prompt: str) -> list[str]:
    """The prompt's words: folded, accents stripped, without those that are negated."""
    folded = unicodedata.normalize("NFKD", prompt).casefold()
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    words = re.findall(r"[a-z]+", plain)
    return [
        word
        for i, word in enumerate(words)
        if word not in _NEGATIONS and not (i and words[i - 1] in _NEGATIONS)
    ]


def _singular(word: str) -> tuple[str, ...]:
    """The word and what it may be the plural of."""
    forms = [word, _IRREGULAR.get(word, word)]
    if word.endswith("ies"):
        forms.append(word[:-3] + "y")
    if word.endswith("es"):
        forms.append(word[:-2])
    if word.endswith("s"):
        forms.append(word[:-1])
    return tuple(dict.fromkeys(forms))


def _meanings(words: list[str]) -> list[Meaning]:
    """What the words mean, longest phrases (three words) first at every position."""
    found: list[Meaning] = []
    at = 0
    while at < len(words):
        for length in (3, 2, 1):
            head, last = words[at : at + length - 1], words[at : at + length][-1]
            phrases = (" ".join([*head, form]) for form in _singular(last))
            match = next((p for p in phrases if p in _WORDS), None)
            if match is not None and len(head) + 1 == length:
                found.extend(_WORDS[match])
                at += length
                break
        else:
            at += 1
    return found


def _colours(words: list[str]) -> dict[Target, str]:
    """Colour words, each with what it stands before; `#rrggbb` values."""
    colours: dict[Target, str] = {}
    for at, word in enumerate(words):
        if word not in COLOURS:
            continue
        following = (form for w in words[at + 1 : at + 3] for form in _singular(w))
        target = next((_TARGET_OF[w] for w in following if w in _TARGET_OF), Target.ANY)
        colours.setdefault(target, COLOURS[word])
    return colours


def _place(found: list[Meaning]) -> Place | None:
    """The first place; but a town by the sea or by a river is a town."""
    places = [m for m in found if isinstance(m, Place)]
    return Place.TOWN if Place.TOWN in places else next(iter(places), None)


def read_prompt(prompt: str) -> Wish:
    """Sort a prompt's words. The first time, season, weather and place that is named wins."""
    words = tokens(prompt)
    found = _meanings(words)
    return Wish(
        time=next((m for m in found if isinstance(m, Time)), None),
        season=next((m for m in found if isinstance(m, Season)), None),
        weather=next((m for m in found if isinstance(m, Weather)), None),
        place=_place(found),
        buildings=tuple(dict.fromkeys(m for m in found if isinstance(m, Building))),
        creatures=tuple(dict.fromkeys(m for m in found if isinstance(m, Creature))),
        plants=tuple(dict.fromkeys(m for m in found if isinstance(m, Plant))),
        colours=_colours(words),
        **{flag.value: flag in found for flag in Flag},
    )
