"""Reading and cancelling jobs, and who may follow which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import InvalidInput, JobNotFound
from core.ids import parse_id
from db.jobs import page_of_jobs, read_jobs
from db.ledger import jobs_with_calls
from db.lifecycle import cancel_job as cancel_job_row
from resolvers.generations import Cancelled, tell_cancelled
from resolvers.paging import Page, cut_page, page_limit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.auth import Viewer
    from core.vocabulary import JobState
    from db.records import JobRecord
    from resolvers.context import App, Request

MAX_FOLLOWED = 100
"""Jobs that one subscription may follow."""


async def read_job(app: App, request: Request, id_text: str) -> JobRecord | None:
    """The viewer's job; None when there is none. Raises Unauthenticated."""
    viewer = request.require_viewer()
    job_id = parse_id(id_text)
    if job_id is None:
        return None
    async with app.database.read() as connection:
        return (await read_jobs(connection, [job_id], viewer.user_id)).get(job_id)


async def page_jobs(
    app: App,
    request: Request,
    first: int,
    after: str | None,
    *,
    states: Sequence[JobState] | None,
    generation_id: str | None,
) -> Page[JobRecord]:
    """The viewer's jobs, newest first. Raises Unauthenticated, InvalidInput."""
    viewer = request.require_viewer()
    limit, before = page_limit(first, after)
    wanted = None if generation_id is None else parse_id(generation_id)
    if generation_id is not None and wanted is None:
        return Page([], has_next=False)
    async with app.database.read() as connection:
        found = await page_of_jobs(
            connection,
            viewer.user_id,
            limit=limit + 1,
            before=before,
            states=states,
            generation_id=wanted,
        )
    return cut_page(found, limit)


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
            job = (await read_jobs(connection, [job.id], viewer.user_id)).get(job.id, job)
    await tell_cancelled(app, [cancelled] if cancelled else [])
    return cancelled or job, Cancelled([cancelled] if cancelled else [], billed)
