"""The schema as the transports serve it: with checked documents and masked errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schema.build import build_schema
from transport.documents import CheckedDocuments, Documents
from transport.masking import Masking

if TYPE_CHECKING:
    import strawberry

    from core.settings import Settings


class Served(NamedTuple):
    """What transports need to execute a document."""

    schema: strawberry.Schema
    documents: Documents


def graphql_schema(settings: Settings) -> Served:
    """Build it; one per process."""
    introspection = settings.introspection
    if introspection is None:
        introspection = settings.dev_mode
    documents: list[Documents] = []
    schema = build_schema([Masking, lambda: CheckedDocuments(documents[0])])
    # Strawberry has no public name for graphql-core's schema behind its own.
    core = schema._schema  # pyright: ignore[reportPrivateUsage]
    documents.append(
        Documents(core, introspection=introspection, max_cost=settings.max_operation_cost)
    )
    return Served(schema, documents[0])
