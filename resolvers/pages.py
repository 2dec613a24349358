"""Lists of the viewer's jobs and generations, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ids import parse_id
from db.hot import page_of_generations, page_of_jobs
from resolvers.paging import Page, cut_page, page_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.vocabulary import JobState
    from db.records import GenerationRecord, JobRecord
    from resolvers.context import App, Request


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
    found = await page_of_jobs(
        app.driver,
        viewer.user_id,
        limit=limit + 1,
        before=before,
        states=states,
        generation_id=wanted,
    )
    return cut_page(found, limit)


async def page_generations(
    app: App, request: Request, first: int, after: str | None
) -> Page[GenerationRecord]:
    """The viewer's generations, newest first. Raises Unauthenticated, InvalidInput."""
    viewer = request.require_viewer()
    limit, before = page_limit(first, after)
    found = await page_of_generations(app.driver, viewer.user_id, limit=limit + 1, before=before)
    return cut_page(found, limit)
