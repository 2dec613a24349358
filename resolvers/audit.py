"""What users and operators did, for the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.audit import AuditEntry, Decision, record_audit

if TYPE_CHECKING:
    from uuid import UUID

    from db.engine import Connection
    from resolvers.context import Request


async def record_accepted(
    connection: Connection,
    request: Request,
    action: str,
    *,
    about: str | None = None,
    subject_id: UUID | None = None,
) -> None:
    """Append what the viewer is being allowed to do. Raises Unauthenticated."""
    entry = AuditEntry(
        user_id=request.require_viewer().user_id,
        action=action,
        decision=Decision.ACCEPTED,
        category=about,
        remote_address=request.remote_address,
        subject_id=subject_id,
    )
    await record_audit(connection, entry)
