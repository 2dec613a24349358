"""The operator's view: fields of Query and Mutation that are for operators alone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from resolvers.operating import (
    drain_worker,
    page_overseen_jobs,
    pause_queue,
    read_all_costs,
    read_pauses,
    read_queue,
    read_workers,
    resume_queue,
    retry_failed_jobs,
)
from schema.connections import Connection, connection
from schema.context import Info
from schema.costs import PAGE, WRITE, ListSize, paged
from schema.enums import JobState
from schema.errors import InvalidInput
from schema.overseen import DailyCost, JobOverview, QueueLength, QueuePause, Worker


@strawberry.input(description="Which jobs of all users to list.")
class JobOverviewFilter:
    """Which jobs to list."""

    states: list[JobState] | None = strawberry.field(
        default=None, description="Jobs in one of these states; default: all."
    )
    provider: str | None = strawberry.field(default=None, description="Jobs of this provider.")
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Of this user.")
    stuck: bool = strawberry.field(
        default=False,
        description="Only jobs that should have gone on by now: PENDING, not paused and ready for"
        " more than a minute; RUNNING without a living worker, or for more than ten minutes.",
    )


@strawberry.input(description="Which failed jobs to make again: by id, or by when they failed.")
class RetryFailedJobsInput:
    """The arguments of retryFailedJobs."""

    job_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="These; 100 at most."
    )
    failed_since: datetime | None = strawberry.field(
        default=None,
        description="Those that failed then or later; the oldest 100. With a time zone.",
    )
    provider: str | None = strawberry.field(
        default=None, description="With `failedSince`: those of this provider alone."
    )


@strawberry.type(description="The work of all users, for operators.")
class Operator:
    """The operator's view."""

    @strawberry.field(
        description="What waits and what runs.", directives=[PAGE, ListSize(assumed_size=10)]
    )
    async def queue(self, info: Info) -> list[QueueLength]:
        """The queue."""
        found = await read_queue(info.context.app, info.context.request)
        return [QueueLength.from_record(one) for one in found]

    @strawberry.field(
        description="What does not start, by order of an operator.",
        directives=[PAGE, ListSize(assumed_size=5)],
    )
    async def pauses(self, info: Info) -> list[QueuePause]:
        """All pauses."""
        found = await read_pauses(info.context.app, info.context.request)
        return [QueuePause.from_record(one) for one in found]

    @strawberry.field(
        description="The workers that were heard of in the last minute, by name.",
        directives=[PAGE, ListSize(assumed_size=10)],
    )
    async def workers(self, info: Info) -> list[Worker]:
        """All workers."""
        found = await read_workers(info.context.app, info.context.request)
        return [Worker.from_record(one) for one in found]

    @strawberry.field(
        description="What providers' calls cost, newest day first, the dearest first; 1000 rows at"
        " most.",
        directives=[PAGE, ListSize(assumed_size=100)],
    )
    async def costs(
        self,
        info: Info,
        since: Annotated[
            datetime | None,
            strawberry.argument(description="From when on; with a time zone. Default: 30 days."),
        ] = None,
        user_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Of this user; default: of all.")
        ] = None,
    ) -> list[DailyCost]:
        """Costs by day, user and provider."""
        found = await read_all_costs(info.context.app, info.context.request, since, user_id)
        return [DailyCost.from_record(one) for one in found]

    @strawberry.field(description="Jobs of all users, newest first.", directives=[PAGE, paged()])
    async def jobs(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many at most, 1 to 100.")] = 20,
        after: Annotated[
            str | None, strawberry.argument(description="The `endCursor` of the page before.")
        ] = None,
        filter: Annotated[
            JobOverviewFilter | None, strawberry.argument(description="Which; default: all.")
        ] = None,
    ) -> Connection[JobOverview]:
        """A page of jobs."""
        wanted = filter or JobOverviewFilter()
        page = await page_overseen_jobs(
            info.context.app,
            info.context.request,
            first,
            after,
            states=wanted.states,
            provider=wanted.provider,
            user_id=wanted.user_id,
            stuck=wanted.stuck,
        )
        return connection(page, JobOverview.from_record)


@strawberry.type(description="It is done, and in the audit.")
class OperatorActionDone:
    """Success of an operator's action."""

    operator: Operator = strawberry.field(description="How things are now.")
    job_count: int | None = strawberry.field(
        description="Of retryFailedJobs: how many jobs were made; otherwise null."
    )


OperatorActionResult = Annotated[
    OperatorActionDone | InvalidInput,
    strawberry.union("OperatorActionResult", description="What became of an operator's action."),
]
Paused = Annotated[
    str | None,
    strawberry.argument(description="A name from `providers`; null: the whole queue."),
]


@strawberry.type
class OperatorQueries:
    """Fields of Query."""

    @strawberry.field(description="The work of all users; null for who is no operator.")
    def operator(self, info: Info) -> Operator | None:
        """The operator's view."""
        return Operator() if info.context.request.require_viewer().is_operator else None


@strawberry.type
class OperatorMutations:
    """Fields of Mutation. Who is no operator gets the error FORBIDDEN."""

    @strawberry.mutation(
        description="For operators: start no job of a provider, or none at all. What runs goes on;"
        " what is accepted waits.",
        directives=[WRITE],
    )
    async def pause_queue(self, info: Info, provider: Paused = None) -> OperatorActionResult:
        """Pause."""
        await pause_queue(info.context.app, info.context.request, provider)
        return OperatorActionDone(operator=Operator(), job_count=None)

    @strawberry.mutation(
        description="For operators: end a pause; jobs start again within seconds. The whole queue"
        " and each provider are paused, and resumed, on their own.",
        directives=[WRITE],
    )
    async def resume_queue(self, info: Info, provider: Paused = None) -> OperatorActionResult:
        """Resume."""
        await resume_queue(info.context.app, info.context.request, provider)
        return OperatorActionDone(operator=Operator(), job_count=None)

    @strawberry.mutation(
        description="For operators: let a worker finish what it runs and take nothing new, until"
        " it is started anew or told otherwise.",
        directives=[WRITE],
    )
    async def drain_worker(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="A name from `operator.workers`.")],
        draining: Annotated[
            bool, strawberry.argument(description="false: let it take jobs again.")
        ] = True,
    ) -> OperatorActionResult:
        """Drain a worker."""
        await drain_worker(info.context.app, info.context.request, name, draining=draining)
        return OperatorActionDone(operator=Operator(), job_count=None)

    @strawberry.mutation(
        description="For operators: make failed jobs again for their users, with the same seeds."
        " Each becomes a new grid of one frame, linked by `regeneratedFrom`, and counts towards no"
        " quota. Left out: jobs that were made again since, and those whose photo is gone.",
        directives=[WRITE],
    )
    async def retry_failed_jobs(
        self,
        info: Info,
        input: Annotated[RetryFailedJobsInput, strawberry.argument(description="Which jobs.")],
    ) -> OperatorActionResult:
        """Make failed jobs again."""
        count = await retry_failed_jobs(
            info.context.app,
            info.context.request,
            job_ids=input.job_ids,
            failed_since=input.failed_since,
            provider=input.provider,
        )
        return OperatorActionDone(operator=Operator(), job_count=count)
