"""Styles: versioned data, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping  # noqa: TC003  # msgspec reads the annotations
from pathlib import Path

import msgspec

BUILT_IN = Path(__file__).parent / "data" / "styles" / "styles.toml"


class StyleFileError(Exception):
    """The style file cannot be used; says which file and what is wrong."""


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """A way to paint. `sample` is a WebP picture of some 320 pixels."""

    slug: str
    version: int
    name: str
    description: str
    base: str
    negative: str = ""
    parameters: Mapping[str, Mapping[str, object]] = {}
    sample: Path | None = None
    safety: str = ""


def load_styles(path: Path | None = None) -> Mapping[str, Style]:
    """Read styles by slug, in the file's order. Raises StyleFileError."""
    file = path or BUILT_IN
    try:
        data = tomllib.loads(file.read_text())
        return {
            slug: msgspec.convert(
                {**style, "slug": slug, "safety": data.get("safety", "")},
                Style,
                dec_hook=lambda kind, value: kind(file.parent / value),
            )
            for slug, style in data["styles"].items()
        }
    except (OSError, ValueError, KeyError, msgspec.ValidationError) as error:
        raise StyleFileError(f"{file}: {error}") from error


def assemble_prompt(style: Style, prompt: str) -> str:
    """Style, the user's prompt and the safety text as one text for a provider."""
    return " ".join(part for part in (style.base, prompt, style.safety) if part)
