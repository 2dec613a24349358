"""GraphQL over HTTP (graphql.github.io/graphql-over-http, working draft)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response

from core.errors import RateLimited
from transport.identity import identify
from transport.masking import mask
from transport.negotiation import JSON, VARY, Accepted, negotiate
from transport.operations import answer_of, refused
from transport.pace import PACE, REFUSED, TOO_LARGE, client_of
from transport.parameters import Parameters, read_parameters
from transport.problem import Problem
from transport.status import status_of
from transport.streams import SingleResult, Stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send
    from strawberry.types import ExecutionResult

    from core.auth import Verifier
    from core.errors import RequestError
    from resolvers.context import App
    from resolvers.context import Request as Viewing
    from transport.compiled.answers import LeftToCoreError
    from transport.documents import Checked
    from transport.operations import Operations
    from transport.pace import Pace
    from transport.streams import Streams

FORM_OVERHEAD_BYTES = 64 * 1024
"""What a multipart body holds besides the photo: the document, boundaries, headers."""


class HttpEndpoint:
    """Answers GET and POST, of each client at its pace."""

    def __init__(
        self, operations: Operations, verifier: Verifier, pace: Pace, max_upload_bytes: int
    ) -> None:
        self._operations = operations
        self._verifier = verifier
        self._pace = pace
        self._max_form_bytes = max_upload_bytes + FORM_OVERHEAD_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; everything but a bug of ours is GraphQL JSON, or a stream of it."""
        request = Request(scope, receive)
        answer = await self._answer(request)
        try:
            await answer(scope, receive, send)
        finally:
            # Uploaded files are temporary files, closed by whoever asked for the form.
            if form := getattr(request.state, "form", None):
                await form.close()

    async def _answer(self, request: Request) -> ASGIApp:
        # Before anything is read of a request: who sends too many waits.
        who = await identify(self._verifier, request)
        client, media_type = client_of(who), JSON
        try:
            await self._pace.turn(client)
        except RateLimited as late:
            app: App = request.app.state.service
            app.metrics.rate_limit_refusals.labels(PACE).inc()
            return _told(_problem(late, {"connection": "close"}), media_type)
        try:
            if request.method not in ("GET", "POST"):
                raise Problem(
                    405, "METHOD_NOT_ALLOWED", "Send GET or POST.", {"allow": "GET, POST"}
                )
            accepted = negotiate(request.headers.get("accept"))
            media_type = accepted.media_type or JSON
            asked = await read_parameters(request, self._max_form_bytes)
            return await self._operate(request, who, asked, accepted)
        except Problem as problem:
            self._pace.count(client, TOO_LARGE if problem.status == 413 else REFUSED)
            return _told(problem, media_type)

    async def _operate(
        self, request: Request, who: Viewing, asked: Parameters, accepted: Accepted
    ) -> ASGIApp:
        operations = self._operations
        app: App = request.app.state.service
        try:
            text = await operations.resolve(asked, app)
        except GraphQLError as refusal:
            return self._refused(who, [refusal], accepted)
        checked = operations.documents.check(text, asked.operation_name, asked.variables)
        if checked.kind is OperationType.SUBSCRIPTION:
            return self._stream(request, who, asked, text, checked, accepted)
        if checked.errors:
            masked = [mask(error, asked.operation_name) for error in checked.errors]
            return self._refused(who, masked, accepted)
        if request.method == "GET" and checked.kind is not OperationType.QUERY:
            # GET is safe: it can come from a link or an image of another site.
            raise Problem(405, "METHOD_NOT_ALLOWED", "Mutations need POST.", {"allow": "POST"})
        left: LeftToCoreError | None = getattr(request.state, "left_to_core", None)
        return _answered(await operations.run(text, asked, checked, app, who, left), accepted)

    def _refused(self, who: Viewing, errors: Sequence[GraphQLError], accepted: Accepted) -> ASGIApp:
        self._pace.count(client_of(who), REFUSED)
        return _answered(refused(*errors), accepted)

    def _stream(
        self,
        request: Request,
        who: Viewing,
        asked: Parameters,
        text: str,
        checked: Checked,
        accepted: Accepted,
    ) -> ASGIApp:
        if accepted.stream is None:
            raise Problem(
                400,
                "BAD_REQUEST",
                "Subscriptions are answered over a websocket (graphql-transport-ws), or as a stream"
                " to whoever accepts text/event-stream.",
            )
        if refusal := who.refusal:
            # Clients come with a new token after a status, not after an error in the stream.
            raise _problem(refusal)
        streams: Streams = request.state.streams
        stream = Stream(
            streams,
            accepted.stream,
            who,
            asked,
            text,
            checked,
            link=getattr(request.state, "link", None),
        )
        streams.take(stream)
        return stream


def _answered(result: ExecutionResult | bytes, accepted: Accepted) -> ASGIApp:
    if accepted.media_type is None and accepted.stream is not None:
        body = result if isinstance(result, bytes) else msgspec.json.encode(answer_of(result).body)
        return SingleResult(accepted.stream, body)
    media_type = accepted.media_type or JSON
    status, headers, body = rendered(result, media_type)
    return Response(body, status, headers)


def rendered(result: ExecutionResult | bytes, media_type: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer; bytes are a `{"data": …}` without errors."""
    if isinstance(result, bytes):
        return 200, _headers({}, media_type), result
    answer = answer_of(result)
    status, headers = status_of(
        media_type,
        has_data=result.data is not None,
        was_executed=answer.was_executed,
        errors=answer.errors,
    )
    return status, _headers(headers, media_type), msgspec.json.encode(answer.body)


def _problem(error: RequestError, headers: Mapping[str, str] | None = None) -> Problem:
    """An error that is the whole answer to a request, with these headers beside its own."""
    status, own = status_of(
        JSON, has_data=False, was_executed=False, errors=[{"extensions": error.extensions}]
    )
    return Problem(status, error.code, error.message, own | dict(headers or {}), error.extensions)


def _told(problem: Problem, media_type: str) -> Response:
    body = msgspec.json.encode(problem.body)
    return Response(body, problem.status, _headers(problem.headers, media_type))


def _headers(headers: Mapping[str, str], media_type: str) -> dict[str, str]:
    return {
        **headers,
        "content-type": f"{media_type}; charset=utf-8",
        "vary": VARY,
    }
