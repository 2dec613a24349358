"""Webhooks as their owners see them. What is sent is written by triggers, see the migrations.

Rows are locked in one order: a webhook before its messages.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # msgspec reads the annotations
from typing import TYPE_CHECKING
from uuid import UUID  # noqa: TC003  # as above

import msgspec
from sqlalchemy import text

from core.vocabulary import (  # noqa: TC001  # msgspec reads the annotations
    DisabledBecause,
    WebhookEvent,
    WebhookMessageState,
)
from db.records import columns, to_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.engine import Connection

MAX_REPLAYED = 1000
"""Messages that one replay sends again, oldest first."""


class WebhookRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secrets."""

    id: UUID
    user_id: str
    url: str
    events: list[WebhookEvent]
    enabled: bool
    disabled_because: DisabledBecause | None
    old_secret_until: datetime | None
    failing_since: datetime | None
    created_at: datetime


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook is told once."""

    id: UUID
    webhook_id: UUID
    event: WebhookEvent
    payload: str
    state: WebhookMessageState
    tries: int
    next_try_at: datetime
    created_at: datetime
    ended_at: datetime | None


class TryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One try at telling it. `status`: HTTP; None without an answer. `error`: None if it went."""

    message_id: UUID
    number: int
    began_at: datetime
    duration_ms: int
    status: int | None
    error: str | None


_WEBHOOK = columns(WebhookRecord)
_CREATE = text(f"""
    INSERT INTO webhooks (id, user_id, url, events, secret)
    VALUES (:id, :user_id, :url, :events, :secret) RETURNING {_WEBHOOK}
""")


async def create_webhook(
    connection: Connection,
    webhook_id: UUID,
    user_id: str,
    *,
    url: str,
    events: Sequence[WebhookEvent],
    sealed_secret: str,
) -> WebhookRecord:
    """Insert a webhook; it is told of what happens from now on."""
    values = {"id": webhook_id, "user_id": user_id, "url": url, "secret": sealed_secret}
    result = await connection.execute(_CREATE, {**values, "events": list(events)})
    return to_record(result.mappings().one(), WebhookRecord)


_LIST = text(f"SELECT {_WEBHOOK} FROM webhooks WHERE user_id = :user_id ORDER BY id")
_READ = text(f"SELECT {_WEBHOOK} FROM webhooks WHERE id = :id AND user_id = :user_id")
_LOCK = text(f"{_READ.text} FOR UPDATE")


async def list_webhooks(connection: Connection, user_id: str) -> list[WebhookRecord]:
    """The user's webhooks, oldest first."""
    result = await connection.execute(_LIST, {"user_id": user_id})
    return [to_record(row, WebhookRecord) for row in result.mappings()]


async def read_webhook(
    connection: Connection, webhook_id: UUID, user_id: str, *, lock: bool = False
) -> WebhookRecord | None:
    """The user's webhook; `lock` keeps others from changing it until the transaction ends."""
    statement = _LOCK if lock else _READ
    result = await connection.execute(statement, {"id": webhook_id, "user_id": user_id})
    row = result.mappings().one_or_none()
    return to_record(row, WebhookRecord) if row else None


_UPDATE = text(f"""
    UPDATE webhooks SET
        url = :url, events = :events, enabled = :enabled,
        disabled_because = CASE WHEN NOT :enabled THEN COALESCE(disabled_because, 'OWNER') END,
        failing_since = CASE WHEN :enabled AND enabled THEN failing_since END
    WHERE id = :id RETURNING {_WEBHOOK}
""")


async def update_webhook(
    connection: Connection,
    webhook_id: UUID,
    *,
    url: str,
    events: Sequence[WebhookEvent],
    enabled: bool,
) -> WebhookRecord:
    """Change a webhook that is locked; what waits for one that is disabled is given up."""
    values = {"id": webhook_id, "url": url, "events": list(events), "enabled": enabled}
    webhook = to_record((await connection.execute(_UPDATE, values)).mappings().one(), WebhookRecord)
    if not webhook.enabled:
        await abandon_messages(connection, webhook_id)
    return webhook


_ABANDON = text("""
    UPDATE webhook_messages SET state = 'FAILED', ended_at = clock_timestamp()
    WHERE webhook_id = :id AND state = 'PENDING'
""")


async def abandon_messages(connection: Connection, webhook_id: UUID) -> int:
    """Give up what waits for a webhook that is locked; it can be replayed. Returns how many."""
    return (await connection.execute(_ABANDON, {"id": webhook_id})).rowcount


_ROTATE = text(f"""
    UPDATE webhooks SET
        old_secret = secret, secret = :secret,
        old_secret_until = clock_timestamp() + make_interval(secs => :overlap_s)
    WHERE id = :id RETURNING {_WEBHOOK}
""")


async def rotate_secret(
    connection: Connection, webhook_id: UUID, sealed_secret: str, *, overlap_s: float
) -> WebhookRecord:
    """Sign with another secret, and for `overlap_s` seconds with the one before as well."""
    values = {"id": webhook_id, "secret": sealed_secret, "overlap_s": overlap_s}
    return to_record((await connection.execute(_ROTATE, values)).mappings().one(), WebhookRecord)


_DELETE = text("DELETE FROM webhooks WHERE id = :id AND user_id = :user_id RETURNING id")


async def delete_webhook(connection: Connection, webhook_id: UUID, user_id: str) -> bool:
    """Delete a webhook with its log; False when the user has none such."""
    result = await connection.execute(_DELETE, {"id": webhook_id, "user_id": user_id})
    return result.scalar_one_or_none() is not None


_MESSAGES = text(f"""
    SELECT {columns(MessageRecord)} FROM webhook_messages
    WHERE webhook_id = :webhook_id
      AND (CAST(:before AS uuid) IS NULL OR id < :before)
      AND (CAST(:states AS text[]) IS NULL OR state = ANY(:states))
    ORDER BY id DESC LIMIT :limit
""")


async def page_of_messages(
    connection: Connection,
    webhook_id: UUID,
    *,
    limit: int,
    before: UUID | None,
    states: Sequence[WebhookMessageState] | None,
) -> list[MessageRecord]:
    """What a webhook was told, newest first, older than the message `before`."""
    result = await connection.execute(
        _MESSAGES,
        {
            "webhook_id": webhook_id,
            "before": before,
            "states": None if states is None else list(states),
            "limit": limit,
        },
    )
    return [to_record(row, MessageRecord) for row in result.mappings()]


_TRIES = text(f"""
    SELECT {columns(TryRecord)} FROM webhook_tries
    WHERE message_id = ANY(:ids) ORDER BY message_id, number
""")


async def read_tries(
    connection: Connection, message_ids: Sequence[UUID]
) -> dict[UUID, list[TryRecord]]:
    """The tries of messages, oldest first."""
    result = await connection.execute(_TRIES, {"ids": list(message_ids)})
    found: dict[UUID, list[TryRecord]] = {message_id: [] for message_id in message_ids}
    for row in result.mappings():
        found[row["message_id"]].append(to_record(row, TryRecord))
    return found


_REPLAY = text("""
    WITH wanted AS (
        SELECT id FROM webhook_messages
        WHERE webhook_id = :webhook_id AND state <> 'PENDING'
          AND (id = ANY(:ids) OR (state = 'FAILED' AND created_at >= :failed_since))
        ORDER BY id LIMIT :limit FOR UPDATE
    )
    UPDATE webhook_messages SET
        state = 'PENDING', ended_at = NULL, next_try_at = clock_timestamp(), earlier_tries = tries
    FROM wanted WHERE webhook_messages.id = wanted.id
""")


async def replay_messages(
    connection: Connection,
    webhook_id: UUID,
    *,
    ids: Sequence[UUID] = (),
    failed_since: datetime | None = None,
) -> int:
    """Send messages again that have ended: these, and those that failed; returns how many."""
    values = {"webhook_id": webhook_id, "ids": list(ids), "failed_since": failed_since}
    result = await connection.execute(_REPLAY, {**values, "limit": MAX_REPLAYED})
    return result.rowcount


_FORGET = text("""
    DELETE FROM webhook_messages WHERE id IN (
        SELECT id FROM webhook_messages
        WHERE ended_at < clock_timestamp() - make_interval(secs => :age_s)
        ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")


async def forget_old_messages(connection: Connection, *, age_s: float, limit: int = 1000) -> None:
    """Drop messages, with their tries, that ended more than `age_s` seconds ago."""
    await connection.execute(_FORGET, {"age_s": age_s, "limit": limit})
