"""The append-only record of what was asked for and decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import insert

from db.tables import audit_entries

if TYPE_CHECKING:
    from uuid import UUID

    from db.engine import Connection


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One submission. It holds a hash of the prompt, never its text."""

    user_id: str
    action: str
    decision: str
    category: str | None = None
    remote_address: str | None = None
    prompt_hash: str | None = None
    policy_version: str | None = None
    subject_id: UUID | None = None


async def record_audit(connection: Connection, entry: AuditEntry) -> None:
    """Append an entry."""
    await connection.execute(insert(audit_entries).values(msgspec.structs.asdict(entry)))
