"""What operators hold back. Claims look here, so a pause holds from the next one on."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

from db.records import columns, to_record

if TYPE_CHECKING:
    from db.engine import Connection

EVERYTHING = "*"
"""Stands for the whole queue."""


class PauseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A provider (or EVERYTHING) whose jobs wait."""

    provider: str
    paused_by: str
    paused_at: datetime


_LIST = text(f"SELECT {columns(PauseRecord)} FROM pauses ORDER BY provider")
_PAUSE = text("""
    INSERT INTO pauses (provider, paused_by) VALUES (:provider, :paused_by)
    ON CONFLICT (provider) DO NOTHING
""")
_RESUME = text("DELETE FROM pauses WHERE provider = :provider")


async def list_pauses(connection: Connection) -> list[PauseRecord]:
    """All that is paused."""
    result = await connection.execute(_LIST)
    return [to_record(row, PauseRecord) for row in result.mappings()]


async def pause(connection: Connection, provider: str, *, paused_by: str) -> None:
    """Start none of a provider's jobs; those that run go on. Pausing twice is no error."""
    await connection.execute(_PAUSE, {"provider": provider, "paused_by": paused_by})


async def resume(connection: Connection, provider: str) -> None:
    """Let a provider's jobs start again; sweepers find them within a second."""
    await connection.execute(_RESUME, {"provider": provider})
