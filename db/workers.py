"""Which workers there are, what they do, and which are to take nothing new."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

from db.records import columns, to_record

if TYPE_CHECKING:
    from db.engine import Connection

SHOWN_S = 60.0
"""A worker that is silent for longer is not shown any more."""


class WorkerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it said last."""

    name: str
    slots: int
    running: int
    draining: bool
    started_at: datetime
    seen_at: datetime


_ENTER = text("""
    INSERT INTO workers (name, slots, running) VALUES (:name, :slots, 0)
    ON CONFLICT (name) DO UPDATE SET
        slots = excluded.slots, running = 0, draining = false,
        started_at = clock_timestamp(), seen_at = clock_timestamp()
""")
_STAY = text("""
    INSERT INTO workers (name, slots, running) VALUES (:name, :slots, :running)
    ON CONFLICT (name) DO UPDATE SET
        slots = excluded.slots, running = excluded.running, seen_at = clock_timestamp()
    RETURNING draining
""")
_LEAVE = text("DELETE FROM workers WHERE name = :name")
_FORGET = text(
    "DELETE FROM workers WHERE seen_at < clock_timestamp() - make_interval(secs => :age_s)"
)


async def enter_worker(connection: Connection, name: str, *, slots: int) -> None:
    """A worker of this name has started, and takes jobs."""
    await connection.execute(_ENTER, {"name": name, "slots": slots})


async def note_worker(connection: Connection, name: str, *, slots: int, running: int) -> bool:
    """A worker is there; returns whether it is to take nothing new."""
    values = {"name": name, "slots": slots, "running": running}
    return (await connection.execute(_STAY, values)).scalar_one()


async def leave_worker(connection: Connection, name: str) -> None:
    """A worker has stopped."""
    await connection.execute(_LEAVE, {"name": name})


async def forget_silent_workers(connection: Connection) -> None:
    """Drop workers that died, once nobody is shown them."""
    await connection.execute(_FORGET, {"age_s": SHOWN_S})


_LIST = text(f"""
    SELECT {columns(WorkerRecord)} FROM workers
    WHERE seen_at > clock_timestamp() - make_interval(secs => :age_s) ORDER BY name
""")
_DRAIN = text("UPDATE workers SET draining = :draining WHERE name = :name RETURNING name")


async def list_workers(connection: Connection) -> list[WorkerRecord]:
    """The workers that were there lately, by name."""
    result = await connection.execute(_LIST, {"age_s": SHOWN_S})
    return [to_record(row, WorkerRecord) for row in result.mappings()]


async def drain_worker(connection: Connection, name: str, *, draining: bool) -> bool:
    """Let a worker take nothing new, or jobs again; False when there is none of this name."""
    result = await connection.execute(_DRAIN, {"name": name, "draining": draining})
    return result.scalar_one_or_none() is not None
