"""Pictures of unfinished frames: small ones of our own encoding, or none."""

from __future__ import annotations

from core.pictures import PictureError, prepare_picture

MAX_PREVIEW_PIXELS = 16_000_000
DECODE_DEADLINE_S = 5.0


async def small_preview(content: bytes) -> bytes | None:
    """Decode and shrink what a provider sent, in another process; some 15 KB of WebP.

    None for what cannot be decoded in time: a preview is not worth failing for.
    """
    try:
        picture = await prepare_picture(
            content,
            max_pixels=MAX_PREVIEW_PIXELS,
            max_edge_px=320,
            deadline_s=DECODE_DEADLINE_S,
        )
    except PictureError:
        return None
    return picture.thumbnail
