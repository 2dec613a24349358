"""Writing the step that follows a failed attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.lifecycle import fail, fall_over, hold, retry_later
from jobs.failure import FallOver, GiveUp, Hold, TryAgain

if TYPE_CHECKING:
    from core.settings import Settings
    from db.engine import Connection
    from db.records import JobRecord
    from jobs.failure import Step


async def write_step(
    connection: Connection, job: JobRecord, step: Step, settings: Settings, *, progress: int
) -> JobRecord:
    """End the job's attempt as `step` says. Raises LeaseLostError."""
    match step:
        case GiveUp(code, block_stage):
            return await fail(
                connection,
                job.id,
                job.attempt,
                error_code=code,
                block_stage=block_stage,
                progress=progress,
            )
        case TryAgain(in_s):
            return await retry_later(
                connection, job.id, job.attempt, delay_s=in_s, progress=progress
            )
        case Hold(for_s, code):
            return await hold(
                connection,
                job.id,
                job.attempt,
                delay_s=for_s,
                at_most_s=settings.gen_max_hold_s,
                error_code=code,
                progress=progress,
            )
        case FallOver(provider, reason, failed):
            return await fall_over(
                connection,
                job.id,
                job.attempt,
                provider=provider.name,
                model=provider.model,
                progress_kind=provider.capabilities.progress,
                reason=reason,
                failed=failed,
                progress=progress,
            )
