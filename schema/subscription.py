"""Subscriptions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

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
        """Never called: `transport.subscriptions` executes it once for all who follow the same."""
        raise NotImplementedError("subscriptions are executed by transport.subscriptions")
