"""The schema as a whole, and its SDL."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from schema.errors import HANDLERS
from schema.inputs import SCALARS
from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    """Strawberry's, without its own log of errors, which holds documents and line breaks."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Nothing: what is worth logging is logged where errors are masked."""


def build_schema(extensions: Iterable[Callable[[], SchemaExtension]] = ()) -> Schema:
    """Build the schema; some 50 ms, once per process."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=extensions,
        exception_handlers=HANDLERS,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )


def sdl() -> str:
    """The schema definition language, as `schema/schema.graphql` holds it."""
    return build_schema().as_str() + "\n"
