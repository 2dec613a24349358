"""One picture from start to finish: a plan of steps with their costs, run one after another."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from providers.painter import finish, lines, neural, photo, smooth
from providers.painter.colour import Picture, as_f32, hex_colour, resize, to_image
from providers.painter.composition import sheet_of
from providers.painter.flow import Flow, flow_of
from providers.painter.imagine import imagine
from providers.painter.noise import fbm, stream
from providers.painter.places import layers_of
from providers.painter.words import read_prompt, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from providers.painter.composition import Layer
    from providers.painter.look import Look
    from providers.painter.scene import Scene
    from providers.painter.sheet import Sheet

# Raise it when the same seed gives another picture than before.
MODEL = "local-painter-1"
PREVIEW_PX = 256
# The networks were trained for 500 to 1000 px; larger strokes are enlarged, and save seconds.
_COARSE_PX, _FINE_PX = 320, 832
# Measured on one core: a preview, and the final PNG for a megapixel.
_PREVIEW_MS, _ENCODING_MS = 12, 185
# The first sketch is this small: all of the composition within a tenth of a second.
_SKETCH_PX = 72


@dataclass(frozen=True, slots=True)
class Order:
    """What to paint. `photo` is an encoded PNG, JPEG or WebP, or None to paint from the words."""

    prompt: str
    look: Look
    width: int
    height: int
    seed: int
    photo: bytes | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """After a step: how much of the measured work is done, and maybe how it looks (WebP)."""

    fraction: float
    preview: bytes | None


@dataclass(frozen=True, slots=True)
class _Step:
    """`cost_ms` is for a megapixel on one core unless `fixed`; `show` makes a preview after it."""

    name: str
    cost_ms: float
    run: Callable[[], None]
    show: bool = False
    fixed: bool = False


class Painting:
    """Paints one order. `open_network` is called when the networks are first needed."""

    def __init__(self, order: Order, open_network: Callable[[], neural.Network]) -> None:
        self._order = order
        self._open_network = open_network
        self._wish = read_prompt(order.prompt)
        # Words that the tables don't know still make a difference: they stir the seed.
        words = " ".join(tokens(order.prompt))
        self._seed = int(stream(order.seed, "picture", words).integers(2**62))
        self._scene: Scene = imagine(self._wish, self._rng("scene"))
        self._look = vary(order.look, self._rng("look"))
        self._picture: Picture = np.zeros((order.height, order.width, 3), dtype=np.float32)
        self._source = self._picture
        self._painted = self._picture
        self._flow: Flow | None = None

    def _rng(self, name: str) -> np.random.Generator:
        return stream(self._seed, name)

    def run(self, report: Callable[[Report], None]) -> bytes:
        """Paint; `report` is called after every step and may raise to stop. Returns a PNG."""
        steps = self._photo_steps() if self._order.photo else self._scene_steps()
        steps += self._style_steps()
        megapixels = self._order.width * self._order.height / 1e6
        costs = [
            step.cost_ms * (1.0 if step.fixed else megapixels) + _PREVIEW_MS * step.show
            for step in steps
        ]
        total, done = sum(costs) + _ENCODING_MS * megapixels, 0.0
        for step, cost in zip(steps, costs, strict=True):
            step.run()
            done += cost
            preview = encode_preview(self._picture) if step.show else None
            report(Report(done / total, preview))
        return encode(to_image(self._picture))

    # -- from words ---------------------------------------------------------------

    def _scene_steps(self) -> list[_Step]:
        layers = layers_of(self._scene)
        sheet = sheet_of(self._scene, self._seed, self._picture)
        return [
            _Step("sketch", 70, lambda: self._sketch(layers, _SKETCH_PX), show=True, fixed=True),
            _Step("study", 105, lambda: self._sketch(layers, PREVIEW_PX), show=True, fixed=True),
            *(_Step(layer.name, layer.cost_ms, _painter(layer, sheet)) for layer in layers),
        ]

    def _sketch(self, layers: list[Layer], longer_px: int) -> None:
        """The whole scene at a small size, enlarged: what it is going to be."""
        width, height = self._order.width, self._order.height
        scale = min(1.0, longer_px / max(width, height))
        small = np.zeros((round(height * scale), round(width * scale), 3), dtype=np.float32)
        sheet = sheet_of(self._scene, self._seed, small)
        for layer in layers:
            layer.paint(sheet)
        self._picture[...] = resize(small, width, height)

    # -- from a photo ---------------------------------------------------------------

    def _photo_steps(self) -> list[_Step]:
        radius = self._look.smooth / 1000.0
        return [
            _Step("photo", 20, self._open_photo, show=True),
            _Step("light", 35, self._relight),
            _Step("patches", 125, lambda: self._smooth(radius), show=True),
            _Step("air", 55, self._dress),
        ]

    def _open_photo(self) -> None:
        order = self._order
        assert order.photo is not None
        image = photo.open_photo(order.photo, max(order.width, order.height))
        self._picture[...] = photo.fit(image, order.width, order.height, self._rng("crop"))

    def _relight(self) -> None:
        self._picture[...] = photo.even_out(self._picture)
        photo.relight(self._sheet(), self._wish)

    def _dress(self) -> None:
        photo.dress(self._sheet(), self._wish)

    def _sheet(self) -> Sheet:
        return sheet_of(self._scene, self._seed, self._picture)

    def _smooth(self, radius: float) -> None:
        unit = min(self._order.width, self._order.height)
        self._picture[...] = smooth.kuwahara(self._picture, round(radius * unit))

    # -- the style ------------------------------------------------------------------

    def _style_steps(self) -> list[_Step]:
        longer = max(self._order.width, self._order.height)
        fine = min(longer, _FINE_PX)
        fine_ms = 480 * fine * fine * (self._order.width * self._order.height) / longer**2 / 1e6
        steps = [_Step("clip", 2, self._clip)]
        if not self._order.photo and self._look.smooth_scene >= 1.0:
            radius = self._look.smooth_scene / 1000.0
            steps.append(_Step("patches", 125, lambda: self._smooth(radius)))
        pen = self._look.lines if self._order.photo else self._look.lines_scene
        drawn = [_Step("lines", 125, lambda: self._draw(pen))] if pen > 0.0 else []
        return [
            *steps,
            _Step("flow", 35, self._feel_flow, show=True),
            _Step("broad brush", 55, lambda: self._brush(_COARSE_PX), fixed=True),
            _Step("broad strokes", 35, lambda: self._lay(0.35), show=True),
            _Step("fine brush", fine_ms, lambda: self._brush(fine), fixed=True),
            _Step("fine strokes", 55, lambda: self._lay(1.0), show=True),
            _Step("grade", 20, self._grade),
            _Step("paint", 60, self._texture, show=True),
            *drawn,
            _Step("paper", 105, self._lay_paper, show=True),
        ]

    def _clip(self) -> None:
        np.clip(self._picture, 0.0, 1.0, out=self._picture)
        self._source = self._picture.copy()

    def _feel_flow(self) -> None:
        self._source = self._picture.copy()
        self._flow = flow_of(self._picture, self._rng("flow"))

    def _brush(self, longer_px: int) -> None:
        self._painted = neural.brushed(
            self._open_network(), self._picture, self._look.blend, longer_px
        )

    def _lay(self, share: float) -> None:
        look = self._look
        self._picture = neural.lay_brushwork(
            self._picture, self._painted, strength=look.strength * share,
            tone=look.tone * share, chroma=look.chroma * share,
        )  # fmt: skip

    def _grade(self) -> None:
        flat = finish.reduce_tones(self._picture, self._look.levels)
        self._picture = finish.grade(flat, self._look)

    def _texture(self) -> None:
        assert self._flow is not None
        look, picture = self._look, self._picture
        picture = finish.add_wash(picture, look.wash, self._rng("wash"))
        picture = finish.add_bristles(picture, self._flow, look, self._rng("bristles"))
        self._picture = finish.add_hatch(picture, look.hatch, self._rng("hatch"))

    def _draw(self, strength: float) -> None:
        assert self._flow is not None
        look = self._look
        pen = lines.pen_lines(
            self._source, self._flow, width=look.line_width / 1000.0, detail=look.line_detail
        )
        hand = fbm(self._rng("hand"), self._order.width, self._order.height, 6.0)
        lines.draw_lines(self._picture, pen, hex_colour(look.line_colour), strength, hand)

    def _lay_paper(self) -> None:
        look = self._look
        picture = finish.add_bloom(self._picture, look.bloom)
        picture = finish.add_canvas(picture, look.canvas, self._rng("canvas"))
        picture = finish.add_border(picture, look, self._rng("border"))
        self._picture = finish.add_paper(picture, look, self._rng("paper"))


def _painter(layer: Layer, sheet: Sheet) -> Callable[[], None]:
    return lambda: layer.paint(sheet)


def vary(look: Look, rng: np.random.Generator) -> Look:
    """The same style in another hand: weights, strength and colour a little different."""
    parts = [part.partition(":") for part in look.blend.split(",")]
    weights = [float(weight or 1.0) * rng.uniform(0.6, 1.5) for _, _, weight in parts]
    blend = ",".join(
        f"{number.strip()}:{weight:.4f}"
        for (number, _, _), weight in zip(parts, weights, strict=True)
    )
    return msgspec.structs.replace(
        look,
        blend=blend,
        strength=float(np.clip(look.strength * rng.uniform(0.85, 1.18), 0.0, 1.0)),
        saturation=look.saturation * rng.uniform(0.94, 1.07),
        warmth=float(np.clip(look.warmth + rng.uniform(-0.16, 0.16), -1.0, 1.0)),
    )


def encode(image: Image.Image) -> bytes:
    """A PNG: lossless, and the same bytes for the same picture."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def encode_preview(picture: Picture) -> bytes:
    """A WebP with a longer side of 256 px and at most 12 KB."""
    height, width = picture.shape[:2]
    step = max(1, min(width, height) // (PREVIEW_PX * 2))
    # Every n-th pixel first: averaging all of them would cost more than the preview is worth.
    image = to_image(as_f32(picture[::step, ::step]))
    image.thumbnail((PREVIEW_PX, PREVIEW_PX))
    for quality in (62, 40, 20, 5):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=3)
        if buffer.tell() <= 12_000:
            break
    return buffer.getvalue()
