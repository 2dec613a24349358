"""Pictures from outside, made ours: checked, decoded in a process of its own, re-encoded.

Nothing of the original file survives but its pixels: no EXIF, GPS, XMP, no bytes after the end.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import os
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_process
import numpy as np
from PIL import Image, ImageOps
from thash import rgba_to_thumb_hash_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("PNG", "JPEG", "WEBP")
AVIF, HEIF = "AVIF", "HEIF"
"""Only where a setting asks for them: one more decoder is one more way in."""
CONTENT_TYPE = "image/webp"
THUMBNAIL_EDGE_PX = 320
THUMBHASH_EDGE_PX = 96
QUALITY = 92
THUMBNAIL_QUALITY = 80
NICENESS = 10


_DAMAGED = "The picture is damaged and cannot be decoded."
_SHOWN = {"WEBP": "WebP", HEIF: "HEIC"}
_BRANDS = {b"avif": AVIF, b"avis": AVIF, b"heic": HEIF, b"heix": HEIF, b"hevc": HEIF}
"""Of ISO base media files: what phones send that we may not take."""


class PictureError(Exception):
    """The bytes are no picture that we take; the message says why and is safe to show."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is stored: WebP, upright, RGB, with a thumbnail and a ThumbHash (base64)."""

    content: bytes
    width_px: int
    height_px: int
    digest: str
    thumbnail: bytes
    thumbhash: str
    content_type: str = CONTENT_TYPE


async def prepare_picture(
    content: bytes,
    *,
    max_pixels: int,
    max_edge_px: int | None,
    deadline_s: float,
    formats: tuple[str, ...] = FORMATS,
) -> Picture:
    """Check and re-encode a picture in another process, which is killed at the deadline.

    Larger ones than `max_edge_px` (long edge) are scaled down. Raises PictureError.
    """
    return await _in_process(
        partial(_prepare, content, max_pixels, max_edge_px, formats), deadline_s
    )


async def describe_stored(content: bytes, *, deadline_s: float) -> Picture:
    """The same of a picture that this service encoded before; its bytes stay as they are.

    Raises PictureError.
    """
    return await _in_process(partial(_describe_stored, content), deadline_s)


async def _in_process(work: Callable[[], Picture], deadline_s: float) -> Picture:
    try:
        with anyio.fail_after(deadline_s):
            return await anyio.to_process.run_sync(_nicely, work, cancellable=True)
    except TimeoutError:
        raise PictureError("Decoding the picture takes too long.") from None
    except anyio.BrokenWorkerProcess:
        raise PictureError("The picture cannot be decoded.") from None


def _nicely(work: Callable[[], Picture]) -> Picture:
    """Work in a process that gives way: on a busy machine, answers that were paid for and
    heartbeats are worth more than a picture some milliseconds sooner.
    """
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    return work()


def _prepare(
    content: bytes, max_pixels: int, max_edge_px: int | None, formats: tuple[str, ...]
) -> Picture:
    image = _decode(content, max_pixels, formats)
    if max_edge_px and max(image.size) > max_edge_px:
        image.thumbnail((max_edge_px, max_edge_px), Image.Resampling.LANCZOS)
    return _describe(image, _encode(image, QUALITY))


def _describe_stored(content: bytes) -> Picture:
    return _describe(_decode(content, Image.MAX_IMAGE_PIXELS or 2**31), content)


def _describe(image: Image.Image, encoded: bytes) -> Picture:
    thumbnail = image.copy()
    thumbnail.thumbnail((THUMBNAIL_EDGE_PX, THUMBNAIL_EDGE_PX), Image.Resampling.LANCZOS)
    return Picture(
        content=encoded,
        width_px=image.width,
        height_px=image.height,
        digest=hashlib.sha256(encoded).hexdigest(),
        thumbnail=_encode(thumbnail, THUMBNAIL_QUALITY),
        thumbhash=_thumbhash(thumbnail),
    )


def _decode(content: bytes, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    if not content:
        raise PictureError("The file is empty.")
    if HEIF in formats:
        _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=formats) as opened:
                _check_header(opened, max_pixels)
                opened.load()
                return _flatten(ImageOps.exif_transpose(opened))
    except PictureError:
        raise
    except Image.UnidentifiedImageError:
        raise PictureError(_unknown(content, formats)) from None
    except Image.DecompressionBombError:
        raise PictureError(f"The picture has more than {max_pixels:,} pixels.") from None
    except Exception:
        # Pillow raises many kinds on damaged files (OSError, SyntaxError, struct.error, ...).
        raise PictureError(_DAMAGED) from None


def _register_heif() -> None:
    """Teach Pillow the pictures of phones: the extra `heic`, which only decodes."""
    opener = importlib.import_module("pi_heif").register_heif_opener
    opener(thumbnails=False, depth_images=False, aux_images=False)


def _unknown(content: bytes, formats: tuple[str, ...]) -> str:
    kind = _kind_of_media_file(content)
    if kind and kind not in formats:
        return f"{_shown(kind)} pictures are not taken here: send a {_named(formats)} picture."
    return _DAMAGED if kind else f"The file is not a {_named(formats)} picture."


def _kind_of_media_file(content: bytes) -> str | None:
    """By the brands in its first box (ISO/IEC 14496-12); None for any other file."""
    if content[4:8] != b"ftyp":
        return None
    brands = content[8 : min(int.from_bytes(content[:4], "big"), 128)]
    return next((kind for brand, kind in _BRANDS.items() if brand in brands), None)


def _shown(name: str) -> str:
    return _SHOWN.get(name, name)


def _named(formats: tuple[str, ...]) -> str:
    """PNG, JPEG or WebP."""
    names = [_shown(name) for name in formats]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _check_header(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise PictureError(
            f"The picture has {image.width} x {image.height} pixels;"
            f" {max_pixels:,} in all are allowed."
        )
    if min(image.size) < 16:
        raise PictureError("The picture is too small: 16 pixels a side are the least.")
    if getattr(image, "n_frames", 1) > 1:
        raise PictureError("Animated pictures are not taken: send a single frame.")


def _flatten(image: Image.Image) -> Image.Image:
    """RGB; what was transparent becomes white."""
    if image.mode in ("RGBA", "LA", "PA", "P") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _encode(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def _thumbhash(image: Image.Image) -> str:
    """ThumbHash (evanw.github.io/thumbhash): some 25 bytes that blur to the picture."""
    small = image.copy()
    small.thumbnail((THUMBHASH_EDGE_PX, THUMBHASH_EDGE_PX))
    rgba = small.convert("RGBA")
    # Typed as optional, for machines without numpy. 0.6 ms; the pure Python one takes 26 ms.
    hashed = cast("Callable[..., list[int]]", rgba_to_thumb_hash_numpy)
    return base64.b64encode(bytes(hashed(*rgba.size, np.asarray(rgba).ravel()))).decode()
