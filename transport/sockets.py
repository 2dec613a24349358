"""GraphQL over websockets: who may open one, and with which protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.websockets import WebSocket

from core.log import get_logger
from transport.caps import Caps, TooManySocketsError
from transport.connection import TRY_AGAIN_LATER, Connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import strawberry
    from starlette.requests import HTTPConnection
    from starlette.types import Receive, Scope, Send

    from core.auth import Verifier
    from schema.context import Context

# By name: the legacy `graphql-ws` protocol is another one, with a known authentication bypass.
PROTOCOL = "graphql-transport-ws"

_log = get_logger(__name__)


class SocketEndpoint:
    """The websocket side. `make_context` makes the context of one socket."""

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: Callable[[HTTPConnection], Awaitable[Context]],
        verifier: Verifier,
        allowed_origins: tuple[str, ...],
        caps: Caps,
    ) -> None:
        self._schema = schema
        self._make_context = make_context
        self._verifier = verifier
        self._caps = caps
        self._allowed_origins = frozenset(origin.lower() for origin in allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it is closed."""
        socket = WebSocket(scope, receive, send)
        if not self._is_allowed(socket):
            # Closing before accepting answers the handshake with 403.
            await socket.close(1008)
            return
        if PROTOCOL not in scope["subprotocols"]:
            await socket.accept()
            await socket.close(4406, "Subprotocol not acceptable")
            return
        await socket.accept(PROTOCOL)
        context = await self._make_context(socket)
        connection = Connection(socket, self._schema, context, self._verifier, self._caps)
        try:
            with self._caps.hold("address", context.request.remote_address or ""):
                await connection.run()
        except TooManySocketsError as error:
            await socket.close(TRY_AGAIN_LATER, str(error))

    def _is_allowed(self, socket: WebSocket) -> bool:
        """Browsers send cookies to any site's socket: only pages that may are let in."""
        origin = socket.headers.get("origin")
        if origin is None or origin.lower() in self._allowed_origins:
            return True
        if urlsplit(origin.lower()).netloc == socket.headers.get("host", "").lower():
            return True
        _log.warning("socket of a foreign page refused, see ALLOWED_ORIGINS", origin=origin[:200])
        return False
