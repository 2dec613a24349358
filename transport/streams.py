"""Subscriptions over HTTP: each is one response, whose body has no end until the jobs have one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import Unauthenticated
from transport.caps import Caps, TooManySocketsError
from transport.masking import told
from transport.negotiation import VARY
from transport.problem import Problem, error_of
from transport.subscriptions import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from graphql import GraphQLError
    from starlette.types import Receive, Scope, Send

    from resolvers.context import App, Request
    from transport.documents import Checked
    from transport.groups import Group, Result
    from transport.http_protocol import Link
    from transport.parameters import Parameters
    from transport.stream_formats import StreamFormat
    from transport.subscriptions import Subscriptions

HEARTBEAT_S = 12.0
"""Of silence, before a sign of life: proxies give up after 30 to 60 s."""
WRITE_TIMEOUT_S = 30.0
"""For the client to take what is written; until then it holds 64 KB of memory."""
RETRY_AFTER_S = 5

_HEADERS = {
    "cache-control": "no-cache, no-transform",
    # nginx would keep results until it has some kilobytes of them.
    "x-accel-buffering": "no",
}
_STOPPING = error_of("The server stops; another one takes over.", "SERVER_STOPPING")


class Streams:
    """All streams of an API process. `run` must be running."""

    def __init__(self, app: App, subscriptions: Subscriptions, caps: Caps) -> None:
        self.app = app
        self.subscriptions = subscriptions
        self._caps = caps
        self._open: set[Stream] = set()
        app.metrics.streams.set_function(lambda: self.open_count)

    @property
    def open_count(self) -> int:
        """How many streams are open."""
        return len(self._open)

    async def run(self) -> None:
        """Watch for revoked users, until cancelled."""
        while True:
            await self.app.revocations.changed()
            for stream in list(self._open):
                viewer = stream.request.viewer
                if viewer and self.app.revocations.covers(viewer):
                    stream.interrupt(_unauthenticated("The token was revoked."))

    def take(self, stream: Stream) -> None:
        """Count a new stream; the caps are those of sockets. Raises Problem."""
        held = contextlib.ExitStack()
        try:
            held.enter_context(self._caps.hold("address", stream.request.remote_address or ""))
            if stream.request.viewer is not None:
                held.enter_context(self._caps.hold("user", stream.request.viewer.user_id))
        except TooManySocketsError as error:
            held.close()
            headers = {"retry-after": str(RETRY_AFTER_S)}
            raise Problem(429, "TOO_MANY_STREAMS", f"{error}.".capitalize(), headers) from None
        stream.held = held
        self._open.add(stream)

    def release(self, stream: Stream) -> None:
        """A stream has ended."""
        self._open.discard(stream)
        stream.held.close()


class Stream:
    """The response to one subscription: an ASGI application, and a member of a group.

    Args:
        streams: all of them.
        wire: the protocol that the client speaks.
        request: who asks.
        asked: the operation.
        text: the text of its document.
        checked: that document.
        link: the connection, where the server tells of it.
    """

    def __init__(
        self,
        streams: Streams,
        wire: StreamFormat,
        request: Request,
        asked: Parameters,
        text: str,
        checked: Checked,
        *,
        link: Link | None,
    ) -> None:
        self._streams = streams
        self.wire = wire
        self.request = request
        self._asked = asked
        self._text = text
        self._checked = checked
        self._link = link
        self.held = contextlib.ExitStack()
        self._group: Group | None = None
        self._expiry: asyncio.TimerHandle | None = None
        # The newest of each job, while the client does not read.
        self._waiting: dict[UUID, bytes] = {}
        self._last: bytes | None = None
        self._is_gone = False
        self._changed = asyncio.Event()

    # --- what its group calls ---

    def deliver(self, results: Sequence[Result], parts: list[bytes]) -> None:
        """Send results, as soon as the client reads."""
        before = len(self._waiting)
        for (job_id, _), part in zip(results, parts, strict=True):
            self._waiting[job_id] = part
        replaced = before + len(results) - len(self._waiting)
        self._streams.app.metrics.results_dropped.inc(replaced)
        self._changed.set()

    def end(self) -> None:
        """Complete, after everything that waits."""
        self._finish(self.wire.complete)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """A result that says why, then complete."""
        self._finish(self.wire.result(msgspec.json.encode({"errors": errors})) + self.wire.complete)

    def interrupt(self, error: dict[str, Any]) -> None:
        """End so that the client comes back."""
        self._finish(self.wire.interrupted(error))

    def _finish(self, last: bytes) -> None:
        if self._last is None:
            self._last = last
        self._changed.set()

    # --- what the server calls ---

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, until one side ends it."""
        listening = asyncio.create_task(self._listen(receive))
        try:
            self._begin()
            await send(_start(self.wire.media_type))
            await self._write_all(send)
        except TimeoutError:
            # The client reads nothing: a close would wait for it, too.
            if self._link is not None:
                self._link.abort()
                await listening
        finally:
            self._close()
            listening.cancel()

    def _begin(self) -> None:
        """Take part in the group; start what may end it early."""
        loop = asyncio.get_running_loop()
        if viewer := self.request.viewer:
            error = _unauthenticated("The token has expired.")
            left_s = max(0.0, viewer.expires_at_s - time.time())
            self._expiry = loop.call_later(left_s, self.interrupt, error)
        if self._link is not None:
            self._link.call_on_drain(lambda: self.interrupt(_STOPPING))
        try:
            self._join()
        except RefusedError as refused:
            self.fail(refused.errors)

    def _join(self) -> None:
        document, errors = self._checked.document, self._checked.errors
        if document is None or errors:
            raise RefusedError([self._masked(error) for error in errors])
        self._group = self._streams.subscriptions.join(
            self,
            self.request,
            text=self._text,
            document=document,
            operation_name=self._asked.operation_name,
            variables=self._asked.variables,
        )

    def _masked(self, error: GraphQLError) -> dict[str, Any]:
        return told(error, self._asked.operation_name)

    def _close(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self._link is not None:
            self._link.call_on_drain(None)
        if self._group is not None:
            self._group.leave(self)
        self._streams.release(self)

    async def _listen(self, receive: Receive) -> None:
        """Wait until the client is gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._changed.set()

    async def _write_all(self, send: Send) -> None:
        """Raises TimeoutError when the client stops reading."""
        await _write(send, self.wire.start)
        while not self._is_gone:
            if not await self._something_new():
                await _write(send, self.wire.heartbeat)
                continue
            chunk = b"".join(self._waiting.values())
            self._waiting.clear()
            if chunk:
                await _write(send, chunk)
            if self._last is not None and not self._waiting:
                await _write(send, self._last, more=False)
                return

    async def _something_new(self) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


class SingleResult:
    """A stream with the one result of a query or mutation, for clients that take nothing else."""

    def __init__(self, wire: StreamFormat, body: bytes) -> None:
        self._wire = wire
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        wire = self._wire
        await send(_start(wire.media_type))
        result = wire.result(self._body)
        await _write(send, wire.start + result + wire.complete, more=False)


def _start(media_type: str) -> dict[str, Any]:
    headers = {"content-type": media_type, "vary": VARY, **_HEADERS}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}


async def _write(send: Send, chunk: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


def _unauthenticated(text: str) -> dict[str, Any]:
    return error_of(text, Unauthenticated.code)
