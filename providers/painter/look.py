"""A style's parameters for this painter, as they stand in the styles' data file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from providers.painter.colour import hex_colour
from providers.painter.neural import is_valid_blend

if TYPE_CHECKING:
    from collections.abc import Mapping


class LookError(ValueError):
    """A parameter is unknown or has a wrong value; the message names it."""


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a picture is painted. Shares are 0.0 to 1.0 unless said otherwise.

    Attributes:
        blend: styles of the network and their weights, `2:0.5,12:0.5`.
        strength: how much of the network's brushwork.
        tone: how much of the network's light and dark.
        chroma: how much of the network's colours.
        smooth: size of a photo's patches of colour, in thousandths of the shorter side.
        smooth_scene: the same for a scene that is painted from words.
        bristles: marks of the brush along the forms.
        relief: light on thick paint.
        canvas: weave of a canvas.
        paper: grain of a paper.
        paper_colour: its colour, `#rrggbb`.
        wash: watercolour: pigment at the edges, paper shining through.
        border: width of an unpainted rim, in thousandths of the shorter side.
        hatch: strokes of a coloured pencil.
        levels: number of flat tones; 0 for no such reduction.
        lines: strength of drawn lines on photos.
        lines_scene: the same on scenes.
        line_colour: their colour, `#rrggbb`.
        line_width: the pen's width, in thousandths of the shorter side.
        line_detail: contours only (0.0) to every fold (1.0).
        saturation: 1.0 leaves colours as they are.
        contrast: 1.0 leaves light and dark as they are.
        exposure: added brightness, -0.3 to 0.3.
        warmth: towards yellow (up to 1.0) or blue (down to -1.0).
        bloom: glow around what is bright.
    """

    blend: str = "12"
    strength: float = 0.4
    tone: float = 0.0
    chroma: float = 0.0
    smooth: float = 5.0
    smooth_scene: float = 0.0
    bristles: float = 0.0
    relief: float = 0.0
    canvas: float = 0.0
    paper: float = 0.0
    paper_colour: str = "#ffffff"
    wash: float = 0.0
    border: float = 0.0
    hatch: float = 0.0
    levels: int = 0
    lines: float = 0.0
    lines_scene: float = 0.0
    line_colour: str = "#3a2a26"
    line_width: float = 1.6
    line_detail: float = 0.5
    saturation: float = 1.0
    contrast: float = 1.0
    exposure: float = 0.0
    warmth: float = 0.0
    bloom: float = 0.0


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "smooth": (0, 30), "smooth_scene": (0, 30), "border": (0, 120), "levels": (0, 24),
    "line_width": (0.3, 8), "saturation": (0, 3), "contrast": (0.3, 3), "exposure": (-0.3, 0.3),
    "warmth": (-1, 1),
}  # fmt: skip


def read_look(parameters: Mapping[str, object]) -> Look:
    """Check parameters. Raises LookError that names the first wrong one."""
    try:
        look = msgspec.convert(dict(parameters), Look)
    except msgspec.ValidationError as error:
        raise LookError(str(error)) from error
    if not is_valid_blend(look.blend):
        raise LookError(f"blend: {look.blend!r} is not like '2:0.5,12:0.5' (styles 0 to 25)")
    for name in Look.__struct_fields__:
        value = getattr(look, name)
        if name.endswith("_colour"):
            _check_colour(name, value)
        elif isinstance(value, int | float):
            low, high = _BOUNDS.get(name, (0.0, 1.0))
            if not low <= value <= high:
                raise LookError(f"{name}: {value} is not between {low} and {high}")
    return look


def _check_colour(name: str, value: str) -> None:
    try:
        hex_colour(value)
    except ValueError as error:
        raise LookError(f"{name}: {error}") from error
