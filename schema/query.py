"""Queries."""

from __future__ import annotations

from typing import Annotated

import strawberry

from resolvers.generations import read_generation
from resolvers.jobs import read_job
from resolvers.pages import page_generations, page_jobs
from resolvers.providers import list_providers
from resolvers.uploads import read_upload
from schema.catalog import Provider, Style, Viewer
from schema.connections import Connection, connection
from schema.context import Info
from schema.costs import PAGE, ListSize, paged
from schema.inputs import JobFilter
from schema.jobs import Generation, Job
from schema.operating import OperatorQueries
from schema.pictures import Upload
from schema.webhooks import WebhookQueries

First = Annotated[int, strawberry.argument(description="How many at most, 1 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="The `endCursor` of the page before.")
]


@strawberry.type(description="Everything that can be read. What isn't the viewer's is not there.")
class Query(OperatorQueries, WebhookQueries):
    """Everything that can be read."""

    @strawberry.field(description="Who is asking.")
    def viewer(self, info: Info) -> Viewer:
        """The viewer."""
        viewer = info.context.request.require_viewer()
        return Viewer(id=strawberry.ID(viewer.user_id), is_operator=viewer.is_operator)

    @strawberry.field(description="One frame; null if there is none.")
    async def job(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Job | None:
        """A job."""
        found = await read_job(info.context.app, info.context.request, id)
        return found and Job.from_record(found)

    @strawberry.field(description="The viewer's frames, newest first.", directives=[PAGE, paged()])
    async def jobs(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        filter: Annotated[
            JobFilter | None, strawberry.argument(description="Which; default: all.")
        ] = None,
    ) -> Connection[Job]:
        """A page of jobs."""
        page = await page_jobs(
            info.context.app,
            info.context.request,
            first,
            after,
            states=filter.states if filter else None,
            generation_id=filter.generation_id if filter else None,
        )
        return connection(page, Job.from_record)

    @strawberry.field(description="One grid; null if there is none.")
    async def generation(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Generation | None:
        """A generation."""
        found = await read_generation(info.context.app, info.context.request, id)
        return found and Generation.from_record(found)

    @strawberry.field(description="The viewer's grids, newest first.", directives=[PAGE, paged()])
    async def generations(
        self, info: Info, first: First = 20, after: After = None
    ) -> Connection[Generation]:
        """A page of generations."""
        page = await page_generations(info.context.app, info.context.request, first, after)
        return connection(page, Generation.from_record)

    @strawberry.field(description="A photo; null if there is none.")
    async def upload(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Upload | None:
        """An upload."""
        found = await read_upload(info.context.app, info.context.request, id)
        return found and Upload.from_record(found)

    @strawberry.field(
        description="Ways to paint, for everybody.", directives=[ListSize(assumed_size=10)]
    )
    def styles(self, info: Info) -> list[Style]:
        """All styles."""
        app = info.context.app
        return [Style.from_data(style, app.settings.public_url) for style in app.styles.values()]

    @strawberry.field(
        description="Image providers and what they can do, for everybody.",
        directives=[ListSize(assumed_size=5)],
    )
    async def providers(self, info: Info) -> list[Provider]:
        """All providers that are set up."""
        app = info.context.app
        default = app.settings.gen_provider
        found = await list_providers(app)
        return [Provider.from_adapter(provider, default, health) for provider, health in found]
