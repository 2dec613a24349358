"""What operators see and do. Every function asks for the role first, every action is audited."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.errors import InvalidInput
from core.ids import new_id, parse_id
from core.log import get_logger
from db.generations import NewJob, insert_generation
from db.operating import lock_failed_jobs, page_of_all_jobs, read_costs
from db.pauses import EVERYTHING, list_pauses, pause, resume
from db.queue import read_queue_lengths
from db.records import NewGeneration
from db.workers import drain_worker as drain_worker_row
from db.workers import list_workers
from jobs.doorbell import Ring
from resolvers.audit import record_accepted
from resolvers.paging import Page, cut_page, page_limit
from resolvers.providers import find_provider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.vocabulary import JobState
    from db.engine import Connection
    from db.operating import CostRecord, OverseenJob
    from db.pauses import PauseRecord
    from db.queue import QueueLength
    from db.records import GenerationRecord, JobRecord
    from db.workers import WorkerRecord
    from resolvers.context import App, Request

MAX_RETRIED = 100
"""Failed jobs that one request makes again, oldest first."""
MAX_COSTS = 1000
COSTS_SHOWN = timedelta(days=30)

_log = get_logger(__name__)


async def page_overseen_jobs(
    app: App,
    request: Request,
    first: int,
    after: str | None,
    *,
    states: Sequence[JobState] | None,
    provider: str | None,
    user_id: str | None,
    stuck: bool,
) -> Page[OverseenJob]:
    """Jobs of all users, newest first. Raises Unauthenticated, Forbidden, InvalidInput."""
    request.require_operator()
    limit, before = page_limit(first, after)
    async with app.database.read() as connection:
        found = await page_of_all_jobs(
            connection,
            limit=limit + 1,
            before=before,
            states=states,
            provider=provider,
            user_id=user_id,
            stuck=stuck,
        )
    return cut_page(found, limit)


async def read_queue(app: App, request: Request) -> list[QueueLength]:
    """How much waits and runs, by provider. Raises Unauthenticated, Forbidden."""
    request.require_operator()
    async with app.database.read() as connection:
        return await read_queue_lengths(connection)


async def read_pauses(app: App, request: Request) -> list[PauseRecord]:
    """What is paused. Raises Unauthenticated, Forbidden."""
    request.require_operator()
    async with app.database.read() as connection:
        return await list_pauses(connection)


async def read_workers(app: App, request: Request) -> list[WorkerRecord]:
    """The workers. Raises Unauthenticated, Forbidden."""
    request.require_operator()
    async with app.database.read() as connection:
        return await list_workers(connection)


async def read_all_costs(
    app: App, request: Request, since: datetime | None, user_id: str | None
) -> list[CostRecord]:
    """Costs by day, user and provider. Raises Unauthenticated, Forbidden, InvalidInput."""
    request.require_operator()
    since = since or datetime.now(UTC) - COSTS_SHOWN
    _check_zone(since, field="since")
    async with app.database.read() as connection:
        return await read_costs(connection, since=since, user_id=user_id, limit=MAX_COSTS)


async def pause_queue(app: App, request: Request, provider: str | None) -> None:
    """Start no job of a provider (None: no job at all). Raises as `resume_queue`."""
    viewer = request.require_operator()
    name = EVERYTHING if provider is None else find_provider(app, provider).name
    async with app.database.transaction() as connection:
        await pause(connection, name, paused_by=viewer.user_id)
        await record_accepted(connection, request, "pause_queue", about=name)


async def resume_queue(app: App, request: Request, provider: str | None) -> None:
    """Let jobs start again. Raises Unauthenticated, Forbidden, InvalidInput."""
    request.require_operator()
    name = EVERYTHING if provider is None else find_provider(app, provider).name
    async with app.database.transaction() as connection:
        await resume(connection, name)
        await record_accepted(connection, request, "resume_queue", about=name)


async def drain_worker(app: App, request: Request, name: str, *, draining: bool) -> None:
    """Let a worker finish what it has and take nothing new, or jobs again.

    Raises Unauthenticated, Forbidden, InvalidInput.
    """
    request.require_operator()
    async with app.database.transaction() as connection:
        if not await drain_worker_row(connection, name, draining=draining):
            raise InvalidInput("There is no worker of this name.", field="name")
        action = "drain_worker" if draining else "undrain_worker"
        await record_accepted(connection, request, action, about=name)


async def retry_failed_jobs(
    app: App,
    request: Request,
    *,
    job_ids: Sequence[str] | None,
    failed_since: datetime | None,
    provider: str | None,
) -> int:
    """Make failed jobs again for their users, with their seeds; returns how many.

    What has ended stays as it is: each gets a new job in a grid of its own, linked to the old one,
    as `regenerate` makes it. It counts towards no quota. Jobs that were made again before, and
    those whose photo is gone, are left out. Raises Unauthenticated, Forbidden, InvalidInput.
    """
    request.require_operator()
    if (job_ids is None) == (failed_since is None):
        raise InvalidInput("Give either jobIds or failedSince.", field="jobIds")
    if failed_since is not None:
        _check_zone(failed_since, field="failedSince")
    known = [found for one in (job_ids or ())[:MAX_RETRIED] if (found := parse_id(one))]
    made: list[JobRecord] = []
    async with app.database.transaction() as connection:
        failed = await lock_failed_jobs(
            connection, ids=known, since=failed_since, provider=provider, limit=MAX_RETRIED
        )
        for job, generation in failed:
            if generation.had_upload and generation.upload_id is None:
                continue
            made.append(await _make_again(connection, job, generation))
            await record_accepted(connection, request, "retry_failed_job", subject_id=job.id)
    if made:
        _log.info("failed jobs made again", jobs=len(made))
        await app.doorbell.ring(Ring(job.id, job.attempt) for job in made)
    return len(made)


async def _make_again(
    connection: Connection, job: JobRecord, generation: GenerationRecord
) -> JobRecord:
    # Another hash than that of the user's own requests: nobody is given this grid for theirs.
    digest = hashlib.sha256(f"{generation.prompt_hash}:{job.id}".encode()).hexdigest()
    values = {name: getattr(generation, name) for name in NewGeneration.__struct_fields__}
    values |= {"id": new_id(), "prompt_delta": None, "variant_count": 1}
    values |= {"seed": job.seed, "prompt_hash": digest}
    new = NewGeneration(**values)
    again = NewJob(
        id=new_id(),
        variant=0,
        seed=job.seed,
        progress_kind=job.progress_kind,
        regenerated_from=job.id,
    )
    _, (made,) = await insert_generation(connection, new, [again])
    return made


def _check_zone(moment: datetime, *, field: str) -> None:
    if moment.tzinfo is None:
        raise InvalidInput(f"{field} needs a time zone.", field=field)
