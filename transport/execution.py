"""graphql-core's executor of one subscription, with types: it is generic in something untyped."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import graphql

if TYPE_CHECKING:
    from collections.abc import Mapping

    import strawberry
    from graphql import (
        DocumentNode,
        ExecutionResult,
        GraphQLError,
        GraphQLSchema,
        OperationDefinitionNode,
    )

    from schema.context import Context


def core_schema(schema: strawberry.Schema) -> GraphQLSchema:
    """graphql-core's schema; Strawberry has no public name for it."""
    return schema._schema  # pyright: ignore[reportPrivateUsage]


class Execution:
    """A subscription whose variables are coerced; executed once for each event."""

    __slots__ = ("_executor",)

    def __init__(self, executor: object) -> None:
        self._executor = cast("Any", executor)

    @property
    def operation(self) -> OperationDefinitionNode:
        """The operation that was chosen by name."""
        return self._executor.operation

    @property
    def fragments(self) -> dict[str, Any]:
        """The document's fragments, as graphql-core collects fields from them."""
        return self._executor.fragments

    @property
    def variables(self) -> Any:
        """Coerced variables."""
        return self._executor.variable_values

    async def result(self, event: object) -> ExecutionResult:
        """Execute the selection for one event."""
        executor = self._executor.build_per_event_executor(event)
        result = cast("Any", graphql).execute_subscription_event(executor)
        return await result if inspect.isawaitable(result) else result


def build_execution(
    schema: strawberry.Schema,
    document: DocumentNode,
    variables: Mapping[str, Any] | None,
    operation_name: str | None,
    context: Context | None,
) -> Execution | list[GraphQLError]:
    """Prepare a subscription, or say what is wrong with its variables."""
    built: Any = cast("Any", schema).execution_context_class.build(
        core_schema(schema),
        document,
        context_value=context,
        raw_variable_values=dict(variables or {}),
        operation_name=operation_name,
    )
    return cast("list[GraphQLError]", built) if isinstance(built, list) else Execution(built)
