"""The append-only record of what was asked for and decided."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # msgspec reads the annotations
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID  # noqa: TC003  # as above

import msgspec
from sqlalchemy import insert, text

from db.records import columns, to_record
from db.tables import audit_entries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from db.engine import Connection

EXPORT_BATCH = 1000


class Decision(StrEnum):
    """What became of a submission."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    RATE_LIMITED = "RATE_LIMITED"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One submission. It holds a hash of the prompt; its text only with AUDIT_PROMPTS."""

    user_id: str
    action: str
    decision: Decision
    category: str | None = None
    remote_address: str | None = None
    prompt_hash: str | None = None
    prompt: str | None = None
    policy_version: str | None = None
    subject_id: UUID | None = None


class AuditRecord(AuditEntry, frozen=True, kw_only=True):
    """An entry as it was written."""

    id: int
    recorded_at: datetime


_INSERT = insert(audit_entries)


async def record_audit(connection: Connection, entry: AuditEntry) -> None:
    """Append an entry."""
    await connection.execute(_INSERT, msgspec.structs.asdict(entry))


_EXPORT = text(f"""
    SELECT {columns(AuditRecord)} FROM audit_entries
    WHERE recorded_at >= :since AND id > :after
    ORDER BY id LIMIT {EXPORT_BATCH}
""")


async def export_audit(
    connection: Connection, since: datetime
) -> AsyncGenerator[AuditRecord, None]:
    """Entries that were written at `since` or later, oldest first."""
    after = 0
    while True:
        result = await connection.execute(_EXPORT, {"since": since, "after": after})
        records = [to_record(row, AuditRecord) for row in result.mappings()]
        for record in records:
            yield record
        if len(records) < EXPORT_BATCH:
            return
        after = records[-1].id
