"""Webhooks' secrets as they are stored, for who seals them anew or counts them by their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID  # noqa: TC003  # msgspec reads the annotations

import msgspec
from sqlalchemy import text

from core.sealing import MARK
from db.records import to_record

if TYPE_CHECKING:
    from db.engine import Connection


class StoredSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of one webhook as they are stored."""

    id: UUID
    secret: str
    old_secret: str | None


_STALE = text("""
    SELECT id, secret, old_secret FROM webhooks
    WHERE (CAST(:after AS uuid) IS NULL OR id > :after)
      AND NOT (starts_with(secret, :start) AND starts_with(COALESCE(old_secret, :start), :start))
    ORDER BY id LIMIT 1 FOR UPDATE
""")
_STORE = text("UPDATE webhooks SET secret = :secret, old_secret = :old_secret WHERE id = :id")


async def lock_stale_secrets(
    connection: Connection, key: str, *, after: UUID | None
) -> StoredSecrets | None:
    """The first webhook after this one that has a secret not sealed with the key of this id."""
    result = await connection.execute(_STALE, {"after": after, "start": f"{MARK}.{key}."})
    row = result.mappings().one_or_none()
    return to_record(row, StoredSecrets) if row else None


async def store_secrets(connection: Connection, secrets: StoredSecrets) -> None:
    """Write the secrets of a webhook that is locked."""
    await connection.execute(_STORE, msgspec.structs.asdict(secrets))


_COUNT = text(f"""
    SELECT CASE WHEN starts_with(text, '{MARK}.') THEN split_part(text, '.', 2) ELSE '' END AS key,
        count(*) AS count
    FROM webhooks CROSS JOIN LATERAL (VALUES (secret), (old_secret)) AS stored (text)
    WHERE text IS NOT NULL GROUP BY key
""")


async def count_secrets(connection: Connection) -> dict[str, int]:
    """How many secrets are sealed with which key, by its id; `` for those in plain text."""
    result = await connection.execute(_COUNT)
    return {row["key"]: row["count"] for row in result.mappings()}
