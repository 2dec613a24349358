"""Storage that cannot be written, whoever asks: a file lies where its folder was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def file_in_place_of(folder: Path) -> Generator[None]:
    """Put a folder aside for a while; permissions would not stop root."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)
