"""Cursor connections (GraphQL Cursor Connections Specification), forward only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import strawberry

from resolvers.paging import HasId, Page, cursor
from schema.jobs import Generation, Job
from schema.overseen import JobOverview
from schema.webhook_messages import WebhookMessage

N = TypeVar("N", Job, Generation, WebhookMessage, JobOverview)
R = TypeVar("R", bound=HasId)


@strawberry.type(description="Where a page of a list stands.")
class PageInfo:
    """Where a page stands."""

    has_next_page: bool = strawberry.field(description="Whether more items follow.")
    end_cursor: str | None = strawberry.field(
        description="Give it as `after` to get the next page; null if the page is empty."
    )


@strawberry.type(description="An item of a list, with its place.")
class Edge(Generic[N]):
    """An item and its place."""

    cursor: str = strawberry.field(description="The item's place in the list.")
    node: N = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list, newest first.")
class Connection(Generic[N]):
    """A page of a list."""

    edges: list[Edge[N]] = strawberry.field(description="The items with their places.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")

    @strawberry.field(description="The items alone.")
    def nodes(self) -> list[N]:
        """The items."""
        return [edge.node for edge in self.edges]


def connection(page: Page[R], make: Callable[[R], N]) -> Connection[N]:
    """A page of records as clients see it."""
    edges = [Edge(cursor=cursor(item.id), node=make(item)) for item in page.items]
    end = edges[-1].cursor if edges else None
    return Connection(edges=edges, page_info=PageInfo(has_next_page=page.has_next, end_cursor=end))
