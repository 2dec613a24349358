"""Quick pictures that carry their call's number, readable after any lossy re-encoding.

The number is drawn as two rows of black and white blocks along the lower edge: 32 bits and a
check sum. The blocks are as wide as 1/24 of the picture, so that thumbnails can be read as well.
"""

from __future__ import annotations

import io
import random
import zlib
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageDraw, ImageOps

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = 24
ROWS = 2
_NUMBER_BITS = 32
_CHECK_BITS = COLUMNS * ROWS - _NUMBER_BITS
_SKIES = ((255, 214, 165), (160, 206, 234), (244, 184, 196), (186, 225, 205))
_GROUNDS = ((52, 101, 77), (70, 92, 133), (96, 76, 112), (122, 104, 60))

Encoding = Literal["PNG", "JPEG", "WEBP"]


class NoCallId(ValueError):
    """The picture carries no readable call number."""


def paint(
    number: int,
    width_px: int,
    height_px: int,
    *,
    seed: int = 0,
    photo: bytes | None = None,
    encoding: Encoding = "PNG",
    unfinished: float = 0.0,
) -> bytes:
    """Paint the picture of one call, encoded. `unfinished` (0 to 1) hides that part of it."""
    size = (width_px, height_px)
    image = _from_photo(photo, size) if photo else _landscape(size, random.Random(seed))  # noqa: S311
    if unfinished:
        _hide(image, unfinished)
    _stamp(image, number)
    buffer = io.BytesIO()
    image.save(buffer, encoding, **({"compress_level": 1} if encoding == "PNG" else {}))
    return buffer.getvalue()


def read_call_id(content: bytes) -> int:
    """The call number in an encoded picture. Raises NoCallId."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            image = opened.convert("L")
    except OSError as error:
        raise NoCallId("not a picture") from error
    bits = [_is_white(image, index) for index in range(COLUMNS * ROWS)]
    number, check = _number(bits[:_NUMBER_BITS]), _number(bits[_NUMBER_BITS:])
    if check != _check_sum(number):
        raise NoCallId("no call number in this picture")
    return number


def _landscape(size: tuple[int, int], dice: random.Random) -> Image.Image:
    sky, ground = dice.choice(_SKIES), dice.choice(_GROUNDS)
    gradient = Image.linear_gradient("L").resize(size)
    image = ImageOps.colorize(gradient, sky, (255, 250, 240))
    draw = ImageDraw.Draw(image)
    width, height = size
    x, y, radius = dice.uniform(0.2, 0.8) * width, dice.uniform(0.15, 0.35) * height, width / 14
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 244, 190))
    for layer in range(3):
        base = height * (0.5 + 0.14 * layer)
        ridge = [(step * width / 8, base + dice.uniform(-0.08, 0.06) * height) for step in range(9)]
        shade = tuple(channel * (6 - layer) // 6 for channel in ground)
        draw.polygon([(0, height), *ridge, (width, height)], fill=shade)
    return image


def _from_photo(photo: bytes, size: tuple[int, int]) -> Image.Image:
    with Image.open(io.BytesIO(photo)) as opened:
        image = ImageOps.fit(opened.convert("RGB"), size)
    return ImageOps.posterize(image, 3)


def _hide(image: Image.Image, part: float) -> None:
    hidden = (0, 0, image.width, round(image.height * part))
    image.paste((128, 128, 128), hidden)


def _stamp(image: Image.Image, number: int) -> None:
    draw = ImageDraw.Draw(image)
    bits = [*_bits(number, _NUMBER_BITS), *_bits(_check_sum(number), _CHECK_BITS)]
    for index, bit in enumerate(bits):
        left, top, right, bottom = _block(image, index)
        draw.rectangle((left, top, right - 1, bottom - 1), fill=(255, 255, 255) if bit else 0)


def _block(image: Image.Image, index: int) -> tuple[int, int, int, int]:
    side = image.width / COLUMNS
    row, column = divmod(index, COLUMNS)
    top = image.height - (ROWS - row) * side
    return (
        round(column * side),
        round(top),
        round((column + 1) * side),
        round(top + side),
    )


def _is_white(image: Image.Image, index: int) -> bool:
    """By the middle of the block: its edges blur."""
    left, top, right, bottom = _block(image, index)
    inset_x, inset_y = (right - left) // 4, (bottom - top) // 4
    middle = image.crop((left + inset_x, top + inset_y, right - inset_x, bottom - inset_y))
    values = middle.tobytes()
    return bool(values) and sum(values) / len(values) > 127


def _bits(number: int, count: int) -> list[bool]:
    return [bool(number >> shift & 1) for shift in reversed(range(count))]


def _number(bits: Sequence[bool]) -> int:
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _check_sum(number: int) -> int:
    # Inverted, so that a plain black or white edge is no number.
    checked = zlib.crc32(number.to_bytes(4, "big")) & (1 << _CHECK_BITS) - 1
    return checked ^ (1 << _CHECK_BITS) - 1
