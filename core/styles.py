"""Styles as versioned data: names, prompt texts and parameters for every provider."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = Path(__file__).parent / "data" / "styles" / "styles.toml"
_SLUG = re.compile(r"[a-z][a-z0-9-]{1,39}")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class StyleFileError(ValueError):
    """The styles' data is missing or wrong; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Style:
    """A way to paint.

    Attributes:
        slug: its name in the API and the database; never changes.
        version: raised with every change that makes other pictures of the same request.
        name: for people.
        description: one or two sentences for people.
        base: put before the user's words for providers that understand sentences.
        negative: what its pictures must not show; may be empty.
        safety: put after the user's words; the same for all styles of a file.
        parameters: for every provider by name, its own settings.
        sample: a small WebP picture in this style, if there is one.
    """

    slug: str
    version: int
    name: str
    description: str
    base: str
    negative: str
    safety: str
    parameters: Mapping[str, Mapping[str, object]]
    sample: Path | None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A style's table in the file."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    description: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    base: _Text
    negative: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    sample: str | None = None
    parameters: dict[str, dict[str, str | bool | int | float]] = {}


def load_styles(path: Path | None = None) -> Mapping[str, Style]:
    """Styles by slug, in the file's order; the first one is the default.

    Reads `path`, an operator's own file, or the one that comes with Mintari. Sample pictures lie
    beside the file. Raises StyleFileError.
    """
    source = path or DEFAULT_PATH
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise StyleFileError(f"{source}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StyleFileError(f"{source}: no valid TOML: {error}") from error
    safety = data.pop("safety", None)
    if not isinstance(safety, str) or not safety.strip():
        raise StyleFileError(f"{source}: safety: a text is missing")
    styles = {slug: _read_style(source, slug, safety, table) for slug, table in data.items()}
    if not styles:
        raise StyleFileError(f"{source}: there is no style in it")
    return styles


def _read_style(source: Path, slug: str, safety: str, table: object) -> Style:
    """Check one style's table."""
    if not _SLUG.fullmatch(slug):
        raise StyleFileError(f"{source}: [{slug}]: a slug is lower-case letters, digits and dashes")
    try:
        entry = msgspec.convert(table, _Entry)
    except msgspec.ValidationError as error:
        # msgspec names the field as `$.version`; a missing one is named in its text.
        message = str(error).replace("$.", f"{slug}.").replace("`$`", f"[{slug}]")
        raise StyleFileError(f"{source}: [{slug}]: {message}") from error
    return Style(
        slug=slug,
        version=entry.version,
        name=entry.name,
        description=entry.description,
        base=entry.base.strip(),
        negative=entry.negative.strip(),
        safety=safety.strip(),
        parameters=cast("Mapping[str, Mapping[str, object]]", entry.parameters),
        sample=_sample(source, slug, entry.sample),
    )


def _sample(source: Path, slug: str, name: str | None) -> Path | None:
    """The sample picture: a WebP file beside the data, nowhere else."""
    if name is None:
        return None
    if Path(name).name != name or Path(name).suffix != ".webp":
        raise StyleFileError(f"{source}: [{slug}]: sample: {name!r} is not a .webp file's name")
    sample = source.parent / name
    if not sample.is_file():
        raise StyleFileError(f"{source}: [{slug}]: sample: {sample} does not exist")
    return sample


def assemble_prompt(style: Style, prompt: str) -> str:
    """Style, user's words and safety text as one text, one paragraph each."""
    return "\n".join(part for part in (style.base, prompt.strip(), style.safety) if part)
