"""What clients are told of errors: expected ones as designed, all others as an id for the log."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from core.errors import MintariError, Overloaded, RequestError
from core.log import get_logger
from db.engine import is_database_down

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RETRY_AFTER_S = 5
"""A restart of Postgres takes about as long."""

_log = get_logger(__name__)


def mask(error: GraphQLError, operation_name: str | None) -> GraphQLError:
    """The error as a client may see it."""
    cause = error.original_error
    if cause is None:
        return _with(error, error.message, {"code": "INVALID_DOCUMENT", **(error.extensions or {})})
    if isinstance(cause, RequestError):
        return _with(error, cause.message, cause.extensions)
    if isinstance(cause, MintariError):
        return _with(error, cause.message, {"code": cause.code})
    if isinstance(cause, GraphQLError):
        return _with(error, cause.message, {"code": "INVALID_INPUT"})
    if is_database_down(cause):
        _log.warning("postgres is away, operation refused", error=type(cause).__name__)
        down = Overloaded("The service cannot answer right now.", retry_after_s=RETRY_AFTER_S)
        return _with(error, down.message, down.extensions)
    error_id = secrets.token_hex(8)
    # Never the document or its variables: they are a user's.
    _log.error(
        "unexpected error",
        error_id=error_id,
        operation=(operation_name or "")[:100],
        path=".".join(str(part) for part in error.path or ()),
        exc_info=cause,
    )
    message = f"Something went wrong on our side. It is in the log as {error_id}."
    return _with(error, message, {"code": "INTERNAL", "errorId": error_id})


def told(error: GraphQLError, operation_name: str | None) -> dict[str, Any]:
    """The same, as it is sent."""
    return dict(mask(error, operation_name).formatted)


def _with(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


class Masking(SchemaExtension):
    """Masks the errors of every result. Give Strawberry the class: an instance would be shared."""

    def on_operation(self) -> Iterator[None]:
        """Mask the result of a query or mutation, and errors before execution."""
        yield
        result = self.execution_context.result
        errors = getattr(result, "errors", None)
        if result is not None and errors:
            result.errors = self._masked(errors)  # pyright: ignore[reportAttributeAccessIssue]

    def on_stream_result(self, result: object) -> Iterator[None]:
        """Mask one result of a subscription."""
        errors = getattr(result, "errors", None)
        if errors:
            result.errors = self._masked(errors)  # pyright: ignore[reportAttributeAccessIssue]
        yield

    def _masked(self, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
        name = self.execution_context.operation_name
        return [error if _is_masked(error) else mask(error, name) for error in errors]


def _is_masked(error: GraphQLError) -> bool:
    return error.original_error is None and "code" in (error.extensions or {})
