"""The layers of a sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.painter import clouds, sky
from providers.painter.composition import Layer
from providers.painter.scene import Time, Weather

if TYPE_CHECKING:
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet


def sky_layers(scene: Scene) -> list[Layer]:
    """Back to front."""
    layers = [Layer("sky", 20, _paint_sky), Layer("lights", 30, _paint_lights)]
    if scene.weather in (Weather.RAIN, Weather.STORM, Weather.SNOW, Weather.CLOUDY):
        layers.append(Layer("ceiling", 35, _paint_ceiling))
    else:
        layers.append(Layer("far clouds", 60, _paint_far_clouds))
        layers.append(Layer("clouds", 60, _paint_near_clouds))
    if scene.rainbow:
        layers.append(Layer("rainbow", 20, _paint_bow))
    return layers


def _paint_sky(sheet: Sheet) -> None:
    sky.paint_gradient(sheet.picture, sheet.palette, sheet.rng("sky"), sheet.horizon)


def _paint_lights(sheet: Sheet) -> None:
    scene = sheet.scene
    dim = 0.35 if scene.weather in (Weather.RAIN, Weather.STORM, Weather.SNOW) else 1.0
    if scene.stars and dim == 1.0:
        sky.paint_stars(sheet.picture, sheet.rng("stars"), sheet.horizon, 1.0)
    sky.paint_glow(
        sheet.picture, sheet.palette, sheet.sun, (0.42 if scene.time is Time.DAY else 0.85) * dim
    )
    if scene.moon:
        sky.paint_moon(sheet.picture, sheet.palette, sheet.rng("moon"), sheet.sun, 0.062)
    elif scene.time in (Time.DAWN, Time.SUNSET) and dim == 1.0:
        sky.paint_disc(sheet.picture, sheet.palette, sheet.sun, 0.042)


def _paint_far_clouds(sheet: Sheet) -> None:
    rng = sheet.rng("far clouds")
    clouds.paint_streaks(sheet.picture, sheet.palette, rng, sheet.horizon, 0.5)
    tallest = 0.20 if sheet.scene.big_clouds else 0.13
    clouds.paint_bank(
        sheet.picture, sheet.palette, rng, sheet.horizon + 0.02, sheet.sun[0], tallest
    )


def _paint_near_clouds(sheet: Sheet) -> None:
    rng = sheet.rng("near clouds")
    night = sheet.scene.time is Time.NIGHT
    big = sheet.scene.big_clouds or rng.random() < (0.2 if night else 0.65)
    side = 1.0 - sheet.sun[0] + rng.uniform(-0.08, 0.08)
    tall = rng.uniform(0.62, 0.80) if big else rng.uniform(0.3, 0.45)
    tones = sheet.palette.cloud
    if night:
        # Against stars a heap cloud with strong shadows looks like a rock.
        tones = tones.mixed(sheet.palette.sky[2], 0.48)
    aspect = sheet.width / sheet.height
    clouds.paint_cumulus(
        sheet.picture, tones, rng, centre=(side, sheet.horizon * rng.uniform(0.90, 0.98)),
        size=((0.78 if big else 0.5) * min(1.0, 1.15 / aspect), tall * sheet.horizon),
              sun_x=sheet.sun[0],
    )  # fmt: skip
    for _ in range(int(rng.integers(1, 4))):
        width = rng.uniform(0.16, 0.34)
        clouds.paint_cumulus(
            sheet.picture, tones, rng,
            centre=(rng.uniform(0.0, 1.0), sheet.horizon * rng.uniform(0.25, 0.6)),
            size=(width, width * 0.36 * min(aspect, 1.2)), sun_x=sheet.sun[0], softness=0.95,
        )  # fmt: skip


def _paint_ceiling(sheet: Sheet) -> None:
    amount = 0.75 if sheet.scene.weather is Weather.CLOUDY else 0.95
    clouds.paint_overcast(sheet.picture, sheet.palette, sheet.rng("ceiling"), sheet.horizon, amount)


def _paint_bow(sheet: Sheet) -> None:
    sky.paint_rainbow(sheet.picture, (1.0 - sheet.sun[0], sheet.horizon + 0.10), 0.52)
