"""The ledger: a row before each provider call that may cost money. No row, no call.

A claim whose call can be made at once enters that call itself (`db.lifecycle.claim`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from db.lifecycle import LeaseLostError
from db.records import CallRecord, columns, to_json, to_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from core.prices import Cost
    from core.vocabulary import ErrorCode
    from db.engine import Connection

_CALL = columns(CallRecord)
_BEGIN = text("""
    INSERT INTO provider_calls
        (job_id, attempt, user_id, provider, model, worker_name, external_id, resumed_from)
    SELECT id, attempt, user_id, provider, model, worker_name, :external_id, :resumed_from
    FROM jobs WHERE id = :id AND attempt = :attempt AND state = 'RUNNING'
    FOR UPDATE
    RETURNING attempt
""")


async def begin_call(
    connection: Connection,
    job_id: UUID,
    attempt: int,
    *,
    resumed: CallRecord | None = None,
) -> None:
    """Enter a call before it is made; `resumed` is the earlier one that it goes on with.

    Raises LeaseLostError: then the call must not be made.
    """
    result = await connection.execute(
        _BEGIN,
        {
            "id": job_id,
            "attempt": attempt,
            "external_id": resumed.external_id if resumed else None,
            "resumed_from": resumed.attempt if resumed else None,
        },
    )
    if result.scalar_one_or_none() is None:
        raise LeaseLostError(f"job {job_id} is no longer held by attempt {attempt}")


_EXTERNAL_ID = text("""
    UPDATE provider_calls SET external_id = :external_id WHERE job_id = :id AND attempt = :attempt
""")


async def record_external_id(
    connection: Connection, job_id: UUID, attempt: int, external_id: str
) -> None:
    """Keep the provider's own id of the call, so that it can be resumed."""
    await connection.execute(
        _EXTERNAL_ID, {"id": job_id, "attempt": attempt, "external_id": external_id}
    )


_END = text("""
    UPDATE provider_calls SET outcome = :outcome, error_code = :error_code,
        outcome_known = :outcome_known,
        usage = CAST(:usage AS jsonb), cost_usd = :cost_usd, cost_basis = :cost_basis,
        price_version = :price_version, ended_at = clock_timestamp()
    WHERE job_id = :id AND attempt = :attempt AND outcome = ANY(:expected)
""")


async def end_call(
    connection: Connection,
    job_id: UUID,
    attempt: int,
    outcome: str,
    *,
    error_code: ErrorCode | None = None,
    outcome_known: bool | None = None,
    usage: Mapping[str, float] | None = None,
    cost: Cost | None = None,
    expected: Sequence[str] = ("STARTED",),
) -> None:
    """Record how a call ended: SUCCEEDED, FAILED, CANCELLED or UNKNOWN; `cost`, if it is known.

    Nothing happens unless its outcome so far is `expected`: a worker that was given up by the
    others finds UNKNOWN there, and leaves it. `outcome_known` is False for a call that has failed
    for us, but may be painted and billed all the same.
    """
    await connection.execute(
        _END,
        {
            "id": job_id,
            "attempt": attempt,
            "outcome": outcome,
            "error_code": error_code.value if error_code else None,
            "outcome_known": outcome_known,
            "usage": to_json(dict(usage)) if usage else None,
            "cost_usd": cost.usd if cost else None,
            "cost_basis": cost.basis.value if cost else None,
            "price_version": cost.price_version if cost else None,
            "expected": list(expected),
        },
    )


_CALLS = text(f"""
    SELECT {_CALL} FROM provider_calls WHERE job_id = :id ORDER BY attempt DESC
""")


async def read_calls(connection: Connection, job_id: UUID) -> list[CallRecord]:
    """All calls made for a job, newest first."""
    result = await connection.execute(_CALLS, {"id": job_id})
    return [to_record(row, CallRecord) for row in result.mappings()]


_CALLED = text("SELECT DISTINCT job_id FROM provider_calls WHERE job_id = ANY(:ids)")


async def jobs_with_calls(connection: Connection, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those among `ids` for which a provider was called, and so may have billed."""
    return frozenset((await connection.execute(_CALLED, {"ids": list(ids)})).scalars())
