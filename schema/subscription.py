"""Subscriptions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from resolvers.jobs import follow_jobs
from schema.context import Info
from schema.costs import ListSize
from schema.jobs import Job


@strawberry.type(description="Everything that can be followed.")
class Subscription:
    """Everything that can be followed."""

    @strawberry.subscription(
        description="A whole grid in one subscription: every job as it is now, then each newer"
        " version, until all have ended. After a lost connection subscribe again: nothing is"
        " missed and nothing goes back.",
        directives=[ListSize(slicing_arguments=["jobIds"])],
    )
    async def job_progress(
        self,
        info: Info,
        job_ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="1 to 100 jobs of the viewer's.")
        ],
    ) -> AsyncGenerator[Job, None]:
        """Follow jobs."""
        context = info.context
        async with aclosing(follow_jobs(context.app, context.request, job_ids)) as followed:
            async for job in followed:
                yield Job.from_record(job)
