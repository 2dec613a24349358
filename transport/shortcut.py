"""The short way of most requests: a known operation, sent as JSON, by a viewer who is known.

The long way (middleware, routing, `transport.http`) takes 100 µs beside what an operation takes.
What it would find out is found here with a few look-ups; a request about which anything is unusual
goes the long way, from the beginning. Both give the same answer to the byte, headers included.

It is ASGI all the same: written past uvicorn, with one system call, an answer would cost 10 µs less
of 100.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from structlog.contextvars import bind_contextvars

from core.auth import bearer_token
from core.log import user_tag
from resolvers.context import Request
from transport import parameters
from transport.compiled.answers import LeftToCoreError
from transport.correlation import HEADER, request_id_of
from transport.http import rendered
from transport.negotiation import negotiate
from transport.pace import client_of_user
from transport.parameters import MAX_JSON_BYTES, Parameters
from transport.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from strawberry.types import ExecutionResult

    from core.auth import Verifier, Viewer
    from resolvers.context import App
    from transport.compiled.answers import Answer
    from transport.operations import Operations
    from transport.pace import Pace

PATH = "/graphql"
MOST_KEPT = 100
"""Different Accept headers that are remembered: browsers and libraries have few."""
_JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
_decoder = msgspec.json.Decoder(Parameters)


class _Asking(NamedTuple):
    """A request as far as its headers tell of it; `headers` are those of its origin's answers."""

    app: App
    request: Request
    viewer: Viewer
    media_type: str
    headers: Mapping[str, str]
    request_id: str


class Shortcut:
    """Answers what it can, and passes on everything else.

    Args:
        app: the long way.
        operations: the same as there.
        verifier: the same as there.
        pace: the same as there; who has to wait, waits there.
        hosts: what a Host header may name; None: anything.
        origins: headers of the answers to requests from each of these; None: from any, with none.
    """

    def __init__(
        self,
        app: ASGIApp,
        operations: Operations,
        verifier: Verifier,
        pace: Pace,
        *,
        hosts: Collection[str] | None,
        origins: Mapping[bytes | None, Mapping[str, str]] | None,
    ) -> None:
        self._app = app
        self._operations = operations
        self._verifier = verifier
        self._pace = pace
        self._hosts = hosts and frozenset(host.encode() for host in hosts)
        self._origins = origins
        self._media_types: dict[bytes | None, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if asking := self._asking(scope):
            message = await _first(receive)
            left = await self._answer(asking, message, send)
            if left is None:
                self._pace.count(client_of_user(asking.viewer.user_id))
                return
            # What was done is not done again, and what was not found is not looked for.
            scope["state"]["left_to_core"] = left
            scope["headers"] = [(HEADER, asking.request_id.encode()), *scope["headers"]]
            receive = _again(message, receive)
        await self._app(scope, receive, send)

    def _asking(self, scope: Scope) -> _Asking | None:
        """Who asks, if that is known and nothing about the headers is unusual."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            return None
        app: App = scope["app"].state.service
        headers: dict[bytes, bytes] = dict(scope["headers"])
        token = bearer_token(headers.get(b"authorization", b"").decode("latin-1"))
        viewer = self._verifier.verified(token) if token else None
        if viewer is None or app.revocations.covers(viewer):
            return None
        if self._pace.wait_s(client_of_user(viewer.user_id)):
            return None
        media_type = self._media_type(scope, headers)
        own = self._origin_headers(headers.get(b"origin"))
        if media_type is None or own is None:
            return None
        request = Request(viewer, scope["client"] and scope["client"][0])
        return _Asking(app, request, viewer, media_type, own, request_id_of(headers.get(HEADER)))

    def _media_type(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
        """The answer's; None if something about the headers is unusual."""
        if (
            # Of several with one name, not all are here.
            len(headers) != len(scope["headers"])
            or headers.get(b"content-type", b"").lower() not in _JSON_TYPES
            or b"content-encoding" in headers
            or (self._hosts is not None and headers.get(b"host") not in self._hosts)
        ):
            return None
        accept = headers.get(b"accept")
        return self._media_types.get(accept) or self._negotiate(accept)

    def _origin_headers(self, origin: bytes | None) -> Mapping[str, str] | None:
        """What answers to pages of an origin have; None if that is not decided here."""
        return {} if self._origins is None else self._origins.get(origin)

    def _negotiate(self, accept: bytes | None) -> str | None:
        try:
            accepted = negotiate(None if accept is None else accept.decode("latin-1"))
        except Problem:
            return None
        if accepted.media_type and len(self._media_types) < MOST_KEPT:
            self._media_types[accept] = accepted.media_type
        return accepted.media_type

    async def _answer(
        self, asking: _Asking, message: Message | None, send: Send
    ) -> LeftToCoreError | None:
        """Answer; or why that is left to graphql-core."""
        answer = self._find(message)
        if answer is None:
            return LeftToCoreError()
        # The server made a task for this request: nothing has to be put back.
        bind_contextvars(request=asking.request_id, user=user_tag(asking.viewer.user_id))
        try:
            result = await self._operations.get(answer, asking.app, asking.request)
        except LeftToCoreError as left:
            return left
        await _send(send, result, asking)
        return None

    def _find(self, message: Message | None) -> Answer | None:
        """The answer to the operation that a body asks for, if it is compiled."""
        if message is None or message["type"] != "http.request" or message["more_body"]:
            return None
        if len(message["body"]) > MAX_JSON_BYTES:
            return None
        operations = self._operations
        try:
            asked = _decoder.decode(message["body"])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        text = operations.persisted.at_hand(asked.query, asked.document_id, asked.extensions)
        if not text:
            return None
        checked = operations.documents.check(text, asked.operation_name, asked.variables)
        return operations.compiled(text, asked, checked)


async def _first(receive: Receive) -> Message | None:
    """The request's body, or its beginning; None if it does not come in time."""
    try:
        async with asyncio.timeout(parameters.READ_DEADLINE_S):
            return await receive()
    except TimeoutError:
        return None


def _again(message: Message | None, receive: Receive) -> Receive:
    """What gives a message once more; it is still too late if there was none in time."""
    first = [message]

    async def receive_again() -> Message:
        if not first:
            return await receive()
        message = first.pop()
        if message is None:
            raise TimeoutError
        return message

    return receive_again


async def _send(send: Send, result: bytes | ExecutionResult, asking: _Asking) -> None:
    status, headers, body = rendered(result, asking.media_type)
    headers |= {"content-length": str(len(body)), **asking.headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw.append((HEADER, asking.request_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
