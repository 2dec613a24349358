"""Which layers a scene is built of, back to front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.painter import weather
from providers.painter.cloudsea import cloud_sea_layers
from providers.painter.coast import sea_layers
from providers.painter.composition import Layer
from providers.painter.hills import hill_layers
from providers.painter.lake import lake_layers
from providers.painter.life import life_layers
from providers.painter.scene import Place, Plant, Scene, Season, Time, Weather
from providers.painter.skyscape import sky_layers
from providers.painter.town import town_layers
from providers.painter.woodland import forest_layers

if TYPE_CHECKING:
    from providers.painter.sheet import Sheet

_GROUNDS = {
    Place.SEA: sea_layers,
    Place.LAKE: lake_layers,
    Place.TOWN: town_layers,
    Place.SKY: cloud_sea_layers,
}


def layers_of(scene: Scene) -> list[Layer]:
    """All layers of a scene."""
    if scene.place is Place.FOREST:
        return [*forest_layers(scene), *life_layers(scene), *weather_layers(scene)]
    ground = _GROUNDS.get(scene.place, hill_layers)(scene)
    return [*sky_layers(scene), *ground, *life_layers(scene), *weather_layers(scene)]


def weather_layers(scene: Scene) -> list[Layer]:
    """What lies over everything: fog, rain, snow, leaves, light."""
    layers: list[Layer] = []
    if scene.weather is Weather.FOG:
        layers.append(Layer("fog", 20, lambda sheet: weather.paint_fog(sheet, 0.85)))
    if scene.weather is Weather.STORM:
        layers.append(Layer("lightning", 20, weather.paint_lightning))
    if scene.weather in (Weather.RAIN, Weather.STORM):
        slant = 0.5 if scene.weather is Weather.STORM else 0.18
        layers.append(Layer("rain", 40, lambda sheet: weather.paint_rain(sheet, slant=slant)))
    if scene.weather is Weather.SNOW:
        layers.append(Layer("snowfall", 55, weather.paint_snowfall))
    if (
        scene.weather is Weather.WIND
        or Plant.BLOSSOM in scene.plants
        or scene.season is Season.AUTUMN
    ):
        layers.append(Layer("petals", 15, _paint_blown))
    layers.append(Layer("light", 50, _paint_light))
    return layers


def _paint_blown(sheet: Sheet) -> None:
    colours = (sheet.palette.foliage.light, sheet.palette.foliage.mid)
    if Plant.BLOSSOM in sheet.scene.plants:
        pink = sheet.palette.lit((1.0, 0.78, 0.86))
        colours = (pink.light, pink.mid)
    weather.paint_petals(sheet, colours, count=70)


def _paint_light(sheet: Sheet) -> None:
    if sheet.scene.time in (Time.DAWN, Time.SUNSET) and sheet.scene.weather is Weather.CLEAR:
        weather.paint_rays(sheet, sheet.sun, 0.24, sheet.palette.glow)
    weather.paint_vignette(sheet, 0.16)
