"""`python -m providers.painter.contact_sheet`: the styles' sample pictures and the contact sheet.

    python -m providers.painter.contact_sheet samples
    python -m providers.painter.contact_sheet sheet docs/pictures/contact-sheet.webp \
        --photo portrait.jpg --prompt "a cottage on a hill" --prompt "a lighthouse at sunset"

Rows are styles, columns are the photo (as it is, then painted) and the prompts.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from core.styles import DEFAULT_PATH, load_styles
from providers.painter.look import Look, read_look
from providers.painter.neural import Network, open_network
from providers.painter.painting import Order, Painting
from providers.painter.photo import open_photo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE_PX, SAMPLE_BYTES = 320, 25_000
SAMPLE_PROMPT = "a cottage with a red roof on a hill, flowers, a tree, summer clouds"
SAMPLE_SEED = 5
_CELL_PX, _GAP_PX, _LABEL_PX = 232, 8, 96


class _Studio:
    """Paints with one set of networks."""

    def __init__(self, size_px: int, seed: int) -> None:
        self._size_px, self._seed = size_px, seed
        self._network: Network = open_network()

    def paint(self, look: Look, prompt: str, photo: bytes | None = None) -> Image.Image:
        """One picture."""
        order = Order(prompt, look, self._size_px, self._size_px, self._seed, photo)
        png = Painting(order, lambda: self._network).run(lambda _: None)
        return Image.open(io.BytesIO(png)).convert("RGB")


def looks_of(path: Path) -> Mapping[str, tuple[str, Look]]:
    """Every style's name and look, by slug."""
    return {
        slug: (style.name, read_look(style.parameters.get("local", {})))
        for slug, style in load_styles(path).items()
    }


def encode_within(image: Image.Image, limit_bytes: int) -> bytes:
    """A WebP as good as the limit allows."""
    for quality in range(90, 10, -6):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= limit_bytes:
            return buffer.getvalue()
    raise ValueError(f"does not fit into {limit_bytes} bytes")


def write_samples(styles_path: Path) -> None:
    """One small picture a style, beside the data file, for styles that name one."""
    studio = _Studio(512, SAMPLE_SEED)
    for slug, (_, look) in looks_of(styles_path).items():
        image = studio.paint(look, SAMPLE_PROMPT)
        small = image.resize((SAMPLE_PX, SAMPLE_PX), Image.Resampling.LANCZOS)
        path = styles_path.parent / f"{slug}.webp"
        path.write_bytes(encode_within(small, SAMPLE_BYTES))


def contact_sheet(
    looks: Mapping[str, tuple[str, Look]],
    photos: Sequence[bytes],
    prompts: Sequence[str],
    seed: int,
) -> Image.Image:
    """All styles with the same photos and prompts."""
    studio = _Studio(512, seed)
    columns = 2 * len(photos) + len(prompts)
    width = _LABEL_PX + columns * (_CELL_PX + _GAP_PX) + _GAP_PX
    height = len(looks) * (_CELL_PX + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, height), "#fbf8f1")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=15)
    for row, (name, look) in enumerate(looks.values()):
        top = _GAP_PX + row * (_CELL_PX + _GAP_PX)
        draw.text(
            (_GAP_PX, top + _CELL_PX // 2), name.replace(" ", "\n"), fill="#3b342c", font=font
        )
        cells: list[Image.Image] = []
        for photo in photos:
            cells += [open_photo(photo, 512), studio.paint(look, "", photo)]
        cells += [studio.paint(look, prompt) for prompt in prompts]
        for column, cell in enumerate(cells):
            side = min(cell.size)
            left, upper = (cell.width - side) // 2, (cell.height - side) // 2
            square = cell.crop((left, upper, left + side, upper + side))
            small = square.resize((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
            sheet.paste(small, (_LABEL_PX + column * (_CELL_PX + _GAP_PX), top))
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m providers.painter.contact_sheet")
    parser.add_argument("--styles", type=Path, default=DEFAULT_PATH)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("samples", help="paint the styles' sample pictures")
    sheet = commands.add_parser("sheet", help="paint the contact sheet")
    sheet.add_argument("out", type=Path)
    sheet.add_argument("--photo", type=Path, action="append", default=[])
    sheet.add_argument("--prompt", action="append", default=[])
    sheet.add_argument("--seed", type=int, default=SAMPLE_SEED)
    options = parser.parse_args(arguments)
    if options.command == "samples":
        write_samples(options.styles)
        return
    photos = [path.read_bytes() for path in options.photo]
    image = contact_sheet(looks_of(options.styles), photos, options.prompt, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(encode_within(image, 600_000))


if __name__ == "__main__":
    sys.exit(main())
