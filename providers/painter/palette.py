"""The colours of a scene: time of day, weather, season and the prompt's own colour words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from providers.painter.colour import Colour, hex_colour, luma, mix, multiply
from providers.painter.scene import Place, Scene, Season, Target, Time, Weather

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Tones:
    """A material in shadow, in half light and in full light."""

    dark: Colour
    mid: Colour
    light: Colour

    def tinted(self, tint: Colour, share: float) -> Tones:
        """The same tones with `share` of a colour mixed in, brightness nearly kept."""
        return Tones(*(_towards(tone, tint, share) for tone in self.as_list()))

    def mixed(self, other: Colour, share: float) -> Tones:
        """Plainly mixed: for haze."""
        return Tones(*(mix(tone, other, share) for tone in self.as_list()))

    def as_list(self) -> list[Colour]:
        """Dark to light."""
        return [self.dark, self.mid, self.light]


@dataclass(frozen=True, slots=True)
class Palette:
    """All colours of one picture, already lit; `lamp` is how strong windows glow, 0 to 1."""

    sky: tuple[Colour, ...]
    sun: Colour
    glow: Colour
    cloud: Tones
    haze: Colour
    light: Colour
    shade: Colour
    ground: Tones
    foliage: Tones
    rock: Tones
    water: Tones
    roof: Tones
    wall: Tones
    petals: tuple[Colour, ...]
    creature: Colour | None
    lamp: float

    def lit(self, albedo: Colour) -> Tones:
        """What a material of this colour looks like in this light."""
        return Tones(
            multiply(albedo, self.shade),
            multiply(albedo, mix(self.shade, self.light, 0.62)),
            multiply(albedo, self.light),
        )


@dataclass(frozen=True, slots=True)
class _Hour:
    """A time of day: hex colours of the sky from the top down, and of the light."""

    sky: tuple[str, ...]
    sun: str
    glow: str
    cloud: tuple[str, str, str]
    haze: str
    light: Colour
    shade: Colour
    lamp: float


_HOURS: Mapping[Time, _Hour] = {
    Time.DAWN: _Hour(
        ("#5f86c4", "#8fa9d6", "#d9b9cf", "#f9cfb4", "#ffe6bd"),
        "#fff3d2", "#ffd9a0", ("#9a93b8", "#e0b9c0", "#fff0de"), "#ecc9c0",
        (1.08, 0.97, 0.84), (0.50, 0.50, 0.66), 0.35,
    ),
    Time.DAY: _Hour(
        ("#1f66bd", "#3a8ad8", "#6db4ea", "#a9d8f2", "#dcf1f5"),
        "#fffbe6", "#eef7fb", ("#93b2d8", "#d4e4f3", "#fffefa"), "#b4d8ec",
        (1.06, 1.03, 0.90), (0.46, 0.60, 0.70), 0.0,
    ),
    Time.SUNSET: _Hour(
        ("#34488f", "#6d62a8", "#c9739a", "#f4956d", "#ffcd79"),
        "#fff0b5", "#ffb45e", ("#7d5f93", "#d97f86", "#ffd79c"), "#eba489",
        (1.12, 0.88, 0.66), (0.44, 0.38, 0.56), 0.7,
    ),
    Time.DUSK: _Hour(
        ("#1d2a5c", "#3b4488", "#6f63a4", "#b57f9f", "#eaa98c"),
        "#ffd9b0", "#e08f86", ("#3d4377", "#7a6c9e", "#d79aa0"), "#8b79a4",
        (0.78, 0.70, 0.82), (0.26, 0.28, 0.48), 0.9,
    ),
    Time.NIGHT: _Hour(
        ("#071233", "#0f2150", "#1c3a70", "#305a8c", "#5684a8"),
        "#fdf6d8", "#9fc3e6", ("#1c2f5c", "#3d5a8e", "#93b2d8"), "#35598a",
        (0.50, 0.64, 0.88), (0.13, 0.20, 0.36), 1.0,
    ),
}  # fmt: skip

# ground, foliage: dark, mid and light of the material itself, in white light.
_SEASONS: Mapping[Season, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    Season.SPRING: (("#4f8a45", "#86bd55", "#c3de74"), ("#3f7f48", "#77b255", "#bcdc78")),
    Season.SUMMER: (("#3a7d3d", "#6aad47", "#b0d25c"), ("#23623a", "#4a9142", "#93c553")),
    Season.AUTUMN: (("#8a7434", "#c2a049", "#ebcf76"), ("#9c3f28", "#d9762f", "#f4b64b")),
    Season.WINTER: (("#a9bcd6", "#dde8f3", "#fcfdff"), ("#5d7a80", "#a5bcc4", "#f2f7fb")),
}
_PETALS: Mapping[Season, tuple[str, ...]] = {
    Season.SPRING: ("#f7b7cf", "#fff3f0", "#f6d65b", "#c9a3e4"),
    Season.SUMMER: ("#e8453c", "#ffffff", "#f7cf3f", "#7d7fd9"),
    Season.AUTUMN: ("#d98a2b", "#f2e3b4", "#b64a3a", "#8f6bb0"),
    Season.WINTER: ("#ffffff", "#dfe9f7", "#c9d7ee"),
}
_GREY_OF_WEATHER = {
    Weather.CLOUDY: 0.35,
    Weather.RAIN: 0.55,
    Weather.STORM: 0.62,
    Weather.SNOW: 0.45,
    Weather.FOG: 0.45,
}


def _towards(colour: Colour, tint: Colour, share: float) -> Colour:
    """`tint`, brought to about the brightness of `colour`, mixed in."""
    ratio = (luma(colour) + 0.04) / (luma(tint) + 0.04)
    level: Colour = multiply(tint, (ratio, ratio, ratio))
    return mix(colour, level, share)


def _hexes(values: tuple[str, ...]) -> tuple[Colour, ...]:
    return tuple(hex_colour(value) for value in values)


def _hour_palette(scene: Scene) -> Palette:
    """Sky and light of the hour; materials lit by it."""
    hour = _HOURS[scene.time]
    ground, foliage = _SEASONS[scene.season]
    if scene.place is Place.DESERT:
        ground = ("#b0703f", "#dba561", "#f7d596")
    bare = Palette(
        sky=_hexes(hour.sky),
        sun=hex_colour(hour.sun),
        glow=hex_colour(hour.glow),
        cloud=Tones(*_hexes(hour.cloud)),
        haze=hex_colour(hour.haze),
        light=hour.light,
        shade=hour.shade,
        ground=Tones(*_hexes(ground)),
        foliage=Tones(*_hexes(foliage)),
        rock=Tones(*_hexes(("#5c6b86", "#8d9bb0", "#cdd5db"))),
        water=Tones(*_hexes(("#1c5f8e", "#3f9dba", "#a9e0e0"))),
        roof=Tones(*_hexes(("#8f3a2c", "#c9573c", "#ec8257"))),
        wall=Tones(*_hexes(("#b9a58a", "#e6d6b8", "#fff4dc"))),
        petals=_hexes(_PETALS[scene.season]),
        creature=None,
        lamp=hour.lamp,
    )
    return _relit(_with_colour_words(bare, scene.colours))


def _relit(palette: Palette) -> Palette:
    """Lay the hour's light on every material."""

    def lit(tones: Tones) -> Tones:
        return Tones(
            multiply(tones.dark, mix(palette.shade, palette.light, 0.35)),
            multiply(tones.mid, mix(palette.shade, palette.light, 0.78)),
            multiply(tones.light, palette.light),
        )

    half = mix(palette.shade, palette.light, 0.8)
    return replace(
        palette,
        ground=lit(palette.ground),
        foliage=lit(palette.foliage),
        rock=lit(palette.rock),
        water=lit(palette.water),
        roof=lit(palette.roof),
        wall=lit(palette.wall),
        petals=tuple(multiply(petal, half) for petal in palette.petals),
    )


def _with_colour_words(palette: Palette, colours: Mapping[Target, str]) -> Palette:
    """Give what a colour word names that colour; a lone one tints sky, petals and roof."""
    named = {target: hex_colour(value) for target, value in colours.items()}
    lone = named.get(Target.ANY)
    sky = named.get(Target.SKY, lone)
    if sky is not None:
        share = 0.62 if Target.SKY in named else 0.22
        palette = replace(
            palette,
            sky=tuple(_towards(c, sky, share) for c in palette.sky),
            cloud=palette.cloud.tinted(sky, share * 0.5),
            haze=_towards(palette.haze, sky, share),
        )
    water, roof = named.get(Target.WATER), named.get(Target.ROOF, lone)
    foliage, petals = named.get(Target.FOLIAGE), named.get(Target.FLOWERS, lone)
    if water is not None:
        palette = replace(palette, water=palette.water.tinted(water, 0.75))
    if roof is not None:
        dark, light = multiply(roof, (0.6, 0.6, 0.62)), mix(roof, (1.0, 0.95, 0.8), 0.3)
        palette = replace(palette, roof=Tones(dark, roof, light))
    if foliage is not None:
        palette = replace(palette, foliage=palette.foliage.tinted(foliage, 0.8))
    if petals is not None:
        palette = replace(palette, petals=(petals, mix(petals, (1, 1, 1), 0.45), petals))
    return replace(palette, creature=named.get(Target.CREATURE))


def _weathered(palette: Palette, scene: Scene) -> Palette:
    """Grey the light down for rain, storm, snow and fog."""
    share = _GREY_OF_WEATHER.get(scene.weather, 0.0)
    if share == 0.0:
        return palette
    dim = 0.62 if scene.weather is Weather.STORM else 0.9
    grey: Colour = multiply((0.62, 0.68, 0.74), mix(palette.light, (1.0, 1.0, 1.0), 0.5))
    grey = multiply(grey, (dim, dim, dim))
    if scene.weather in (Weather.FOG, Weather.SNOW):
        grey = mix(palette.haze, (0.9, 0.93, 0.95), 0.35)
    soft = share * 0.45
    return replace(
        palette,
        sky=tuple(mix(c, grey, share * (1.0 - 0.08 * i)) for i, c in enumerate(palette.sky)),
        cloud=palette.cloud.mixed(grey, share),
        haze=mix(palette.haze, grey, share),
        glow=mix(palette.glow, grey, share * 0.7),
        ground=palette.ground.mixed(grey, soft * 0.6),
        foliage=palette.foliage.mixed(grey, soft * 0.6),
        rock=palette.rock.mixed(grey, soft),
        water=palette.water.mixed(grey, soft * 1.4),
        lamp=max(palette.lamp, 0.6 if scene.weather is not Weather.SNOW else 0.4),
    )


def palette_of(scene: Scene) -> Palette:
    """The scene's colours."""
    return _weathered(_hour_palette(scene), scene)
