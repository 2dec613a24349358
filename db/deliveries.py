"""Messages of webhooks as a queue: claimed by workers, tried, settled. At least once, not in order.

A claim raises `tries`, which every later write names, and hides the message for as long as a try
can take: a worker that dies leaves it to the next one. Webhooks are locked before their messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID  # noqa: TC003  # msgspec reads the annotations

import msgspec
from sqlalchemy import text

from core.vocabulary import DisabledBecause
from db.records import to_record
from db.webhooks import abandon_messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import TextClause

    from db.engine import Connection

SCAN = 1000
"""Messages that are due and looked at, so that those of one webhook do not hide all others."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is to be sent now, and where to. `old_secret`: None once it has ended.

    Secrets are sealed, see `core.sealing`.
    """

    id: UUID
    webhook_id: UUID
    url: str
    secret: str
    old_secret: str | None
    payload: str
    tries: int
    earlier_tries: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a try.

    Attributes:
        duration_ms: how long it took.
        status: HTTP; None without an answer.
        error: for the webhook's owner; None if it was delivered.
        retry_in_s: seconds until the next try; None when there is none.
    """

    duration_ms: int
    status: int | None
    error: str | None
    retry_in_s: float | None = None


_CLAIM = text(f"""
    WITH due AS (
        SELECT id, row_number() OVER (PARTITION BY webhook_id ORDER BY next_try_at) AS place
        FROM (
            SELECT id, webhook_id, next_try_at FROM webhook_messages
            WHERE state = 'PENDING' AND next_try_at <= clock_timestamp()
              AND webhook_id <> ALL(CAST(:busy AS uuid[]))
            ORDER BY next_try_at LIMIT {SCAN}
        ) AS waiting
    ), taken AS (
        SELECT id AS taken_id FROM webhook_messages JOIN due USING (id)
        WHERE place <= :each AND state = 'PENDING' AND next_try_at <= clock_timestamp()
        ORDER BY next_try_at LIMIT :limit FOR UPDATE OF webhook_messages SKIP LOCKED
    ), claimed AS (
        UPDATE webhook_messages SET
            tries = tries + 1, next_try_at = clock_timestamp() + make_interval(secs => :lease_s)
        FROM taken WHERE id = taken_id
        RETURNING id, webhook_id, payload, tries, earlier_tries
    )
    SELECT claimed.*, url, secret,
        CASE WHEN old_secret_until > clock_timestamp() THEN old_secret END AS old_secret
    FROM claimed JOIN webhooks ON webhooks.id = claimed.webhook_id
""")


async def claim_deliveries(
    connection: Connection, *, limit: int, each: int, busy: Sequence[UUID], lease_s: float
) -> list[Delivery]:
    """Take messages that are due, at most `each` of one webhook, none of those that are busy."""
    result = await connection.execute(
        _CLAIM, {"limit": limit, "each": each, "busy": list(busy), "lease_s": lease_s}
    )
    return [to_record(row, Delivery) for row in result.mappings()]


_WENT = text("""
    UPDATE webhooks SET failing_since = NULL WHERE id = :id AND failing_since IS NOT NULL
""")
_DELIVERED = text("""
    UPDATE webhook_messages SET state = 'DELIVERED', ended_at = clock_timestamp()
    WHERE id = :id AND tries = :tries AND state = 'PENDING' RETURNING id
""")


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a try has changed.

    Attributes:
        delivered: messages that have arrived, 0 or 1.
        given_up: messages that were given up, with those that waited for a disabled webhook.
        disabled: why the webhook was disabled now; None if it was not.
    """

    delivered: int = 0
    given_up: int = 0
    disabled: DisabledBecause | None = None


async def settle_delivered(connection: Connection, delivery: Delivery, outcome: Outcome) -> Settled:
    """Record a try that was answered with 2xx."""
    await connection.execute(_WENT, {"id": delivery.webhook_id})
    is_ours = await _settle(connection, _DELIVERED, delivery, outcome, {})
    return Settled(delivered=int(is_ours))


_WENT_WRONG = text("""
    UPDATE webhooks SET failing_since = COALESCE(failing_since, clock_timestamp())
    WHERE id = :id AND enabled
    RETURNING failing_since < clock_timestamp() - make_interval(secs => :disable_after_s)
""")
_DISABLE = text("""
    UPDATE webhooks SET enabled = false, disabled_because = :because WHERE id = :id AND enabled
""")
_FAILED = text("""
    UPDATE webhook_messages SET
        state = CASE WHEN CAST(:retry_in_s AS float8) IS NULL THEN 'FAILED' ELSE 'PENDING' END,
        ended_at = CASE WHEN CAST(:retry_in_s AS float8) IS NULL THEN clock_timestamp() END,
        next_try_at = clock_timestamp() + make_interval(secs => COALESCE(:retry_in_s, 0))
    WHERE id = :id AND tries = :tries AND state = 'PENDING' RETURNING id
""")


async def settle_failed(
    connection: Connection,
    delivery: Delivery,
    outcome: Outcome,
    *,
    gone: bool,
    disable_after_s: float,
) -> Settled:
    """Record a try that failed; the webhook is disabled if it is gone or failed for too long."""
    webhook_id = delivery.webhook_id
    too_long = await connection.execute(
        _WENT_WRONG, {"id": webhook_id, "disable_after_s": disable_after_s}
    )
    is_over = bool(too_long.scalar_one_or_none())
    retry = {"retry_in_s": outcome.retry_in_s}
    is_ours = await _settle(connection, _FAILED, delivery, outcome, retry)
    given_up = int(is_ours and outcome.retry_in_s is None)
    if not gone and not is_over:
        return Settled(given_up=given_up)
    because = DisabledBecause.GONE if gone else DisabledBecause.FAILING
    await connection.execute(_DISABLE, {"id": webhook_id, "because": because.value})
    given_up += await abandon_messages(connection, webhook_id)
    return Settled(given_up=given_up, disabled=because)


_TRY = text("""
    INSERT INTO webhook_tries (message_id, number, began_at, duration_ms, status, error)
    VALUES (:id, :tries, clock_timestamp() - make_interval(secs => :duration_ms / 1000.0),
        :duration_ms, :status, :error)
""")


async def _settle(
    connection: Connection,
    statement: TextClause,
    delivery: Delivery,
    outcome: Outcome,
    values: Mapping[str, object],
) -> bool:
    """False: it was deleted, or the claim ran out and another worker tries."""
    found = await connection.execute(
        statement, {"id": delivery.id, "tries": delivery.tries, **values}
    )
    if found.scalar_one_or_none() is None:
        return False
    given = msgspec.structs.asdict(outcome)
    given.pop("retry_in_s")
    await connection.execute(_TRY, {"id": delivery.id, "tries": delivery.tries, **given})
    return True


_OLDEST = text("""
    SELECT GREATEST(0, COALESCE(
        extract(epoch FROM clock_timestamp() - min(next_try_at)), 0))::float8
    FROM webhook_messages WHERE state = 'PENDING'
""")


async def read_oldest_waiting_s(connection: Connection) -> float:
    """How long the first message whose time has come has been waiting for a worker, seconds.

    One look at the end of an index, whatever waits. Messages that are being sent, or wait for
    their next try, are not late.
    """
    return (await connection.execute(_OLDEST)).scalar_one()
