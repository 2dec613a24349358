"""GraphQL over HTTP (graphql.github.io/graphql-over-http, working draft)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from transport.negotiation import JSON, negotiate
from transport.operations import refused
from transport.parameters import Parameters, read_parameters
from transport.problem import Problem
from transport.status import status_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send
    from strawberry.types import ExecutionResult

    from resolvers.context import App
    from schema.context import Context
    from transport.operations import Operations

FORM_OVERHEAD_BYTES = 64 * 1024
"""What a multipart body holds besides the photo: the document, boundaries, headers."""

_READ_ONLY = frozenset({OperationType.QUERY})
_ALL_BUT_SUBSCRIPTION = frozenset({OperationType.QUERY, OperationType.MUTATION})


class HttpEndpoint:
    """Answers GET and POST. `make_context` makes the context of one request."""

    def __init__(
        self,
        operations: Operations,
        make_context: Callable[[Request], Awaitable[Context]],
        max_upload_bytes: int,
    ) -> None:
        self._operations = operations
        self._make_context = make_context
        self._max_form_bytes = max_upload_bytes + FORM_OVERHEAD_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; everything but a bug of ours is GraphQL JSON."""
        request = Request(scope, receive)
        response = await self._answer(request)
        if request.method == "GET":
            # Another viewer's answer, or another media type's, is another answer.
            response.headers["vary"] = "accept, authorization"
        try:
            await response(scope, receive, send)
        finally:
            # Uploaded files are temporary files, closed by whoever asked for the form.
            if form := getattr(request.state, "form", None):
                await form.close()

    async def _answer(self, request: Request) -> Response:
        media_type = JSON
        try:
            if request.method not in ("GET", "POST"):
                raise Problem(
                    405, "METHOD_NOT_ALLOWED", "Send GET or POST.", {"allow": "GET, POST"}
                )
            media_type = negotiate(request.headers.get("accept"))
            parameters = await read_parameters(request, self._max_form_bytes)
            return await self._execute(request, parameters, media_type)
        except Problem as problem:
            return _response(problem.body, problem.status, media_type, problem.headers)

    async def _result(self, request: Request, asked: Parameters) -> ExecutionResult:
        app: App = request.app.state.service
        try:
            text = await self._operations.resolve(asked, app)
        except GraphQLError as refusal:
            return refused(refusal)
        allowed = _READ_ONLY if request.method == "GET" else _ALL_BUT_SUBSCRIPTION
        context = await self._make_context(request)
        return await self._operations.execute(text, asked, context, allowed)

    async def _execute(self, request: Request, parameters: Parameters, media_type: str) -> Response:
        try:
            result = await self._result(request, parameters)
        except CannotGetOperationTypeError:
            raise Problem(
                400,
                "BAD_REQUEST",
                "Name one of the document's operations in `operationName`.",
            ) from None
        except InvalidOperationTypeError as error:
            raise _wrong_operation(error.operation_type) from None
        errors = [dict(error.formatted) for error in result.errors or ()]
        was_executed = result.data is not None or any("path" in error for error in errors)
        status, headers = status_of(
            media_type,
            has_data=result.data is not None,
            was_executed=was_executed,
            errors=errors,
        )
        body: dict[str, Any] = {"data": result.data} if was_executed or not errors else {}
        if errors:
            body["errors"] = errors
        if result.extensions:
            body["extensions"] = result.extensions
        return _response(body, status, media_type, headers)


def _wrong_operation(kind: OperationType) -> Problem:
    if kind is OperationType.SUBSCRIPTION:
        message = "Subscriptions are answered over a websocket (graphql-transport-ws)."
        return Problem(400, "BAD_REQUEST", message)
    # GET is safe: it can come from a link or an image of another site.
    return Problem(405, "METHOD_NOT_ALLOWED", "Mutations need POST.", {"allow": "POST"})


def _response(body: object, status: int, media_type: str, headers: Mapping[str, str]) -> Response:
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers={**headers, "content-type": f"{media_type}; charset=utf-8"},
    )
