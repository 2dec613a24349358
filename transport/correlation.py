"""Which request a line of the log is about: an id, bound to the request's task."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from structlog.contextvars import bound_contextvars

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from core.tracing import Tracing

HEADER = b"x-request-id"
_TAKEN = re.compile(rb"[A-Za-z0-9-]{8,64}")
"""A proxy's id is kept, if it looks like one: it stands in each line of the log."""


class Correlation:
    """Binds `request`, and `trace` where there are traces; answers say the id in X-Request-Id."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = (value for name, value in scope["headers"] if name == HEADER)
        request_id = request_id_of(next(given, None))
        named_by = HEADER, request_id.encode()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), named_by]
            await send(message)

        with bound_contextvars(request=request_id, **self._trace()):
            await self._app(scope, receive, named)

    def _trace(self) -> dict[str, str]:
        traceparent = self._tracing.traceparent()
        return {"trace": traceparent.split("-")[1]} if traceparent else {}


def new_request_id() -> str:
    """An id for what has none."""
    return secrets.token_hex(8)


def request_id_of(given: bytes | None) -> str:
    """A request's id: the given one, if it looks like one."""
    return given.decode() if given is not None and _TAKEN.fullmatch(given) else new_request_id()
