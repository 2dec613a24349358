"""Reading and cancelling jobs, and who may follow which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import InvalidInput, JobNotFound
from core.ids import parse_id
from db.ledger import jobs_with_calls
from db.lifecycle import cancel_job as cancel_job_row
from resolvers.generations import Cancelled, tell_cancelled
from resolvers.reads import find_own, read_own

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.auth import Viewer
    from db.records import JobRecord
    from resolvers.context import App, Request

MAX_FOLLOWED = 100
"""Jobs that one subscription may follow."""


async def read_job(app: App, request: Request, id_text: str) -> JobRecord | None:
    """The viewer's job; None when there is none. Raises Unauthenticated."""
    return await find_own(app.reads.jobs, request, id_text)


def followed_jobs(request: Request, ids: Sequence[str]) -> tuple[Viewer, list[UUID]]:
    """Who wants to follow which jobs, each once. Raises Unauthenticated, InvalidInput, JobNotFound.

    Whether the jobs are the viewer's is found out by `Feed.watch`.
    """
    viewer = request.require_viewer()
    if not 1 <= len(ids) <= MAX_FOLLOWED:
        raise InvalidInput(f"Follow 1 to {MAX_FOLLOWED} jobs at once.", field="jobIds")
    job_ids = [parse_id(id_text) for id_text in dict.fromkeys(ids)]
    known = list(dict.fromkeys(job_id for job_id in job_ids if job_id is not None))
    if None in job_ids:
        raise JobNotFound("There is no such job.")
    return viewer, known


async def cancel_job(app: App, request: Request, id_text: str) -> tuple[JobRecord, Cancelled]:
    """Cancel a job at once; one that had ended stays as it is.

    Raises Unauthenticated, JobNotFound.
    """
    viewer = request.require_viewer()
    job = await read_job(app, request, id_text)
    if job is None:
        raise JobNotFound("There is no such job.")
    shown = await app.publisher.shown_progress([job.id])
    async with app.database.transaction() as connection:
        cancelled = await cancel_job_row(
            connection, job.id, viewer.user_id, progress=shown.get(job.id, 0)
        )
        billed = bool(await jobs_with_calls(connection, [job.id]))
    if cancelled is None:
        return await read_own(app.reads.jobs, job.id, viewer) or job, Cancelled([], billed)
    await tell_cancelled(app, [cancelled])
    return cancelled, Cancelled([cancelled], billed)
