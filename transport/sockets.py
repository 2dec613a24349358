"""GraphQL over websockets: who may open one, with which protocol, and everybody who has one."""

from __future__ import annotations

import asyncio
from contextvars import Context
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from structlog.contextvars import bind_contextvars

from core.log import get_logger, user_tag
from transport.caps import Caps, TooManySocketsError
from transport.connection import TRY_AGAIN_LATER, Connection
from transport.correlation import new_request_id
from transport.handshake import HandshakeError
from transport.pace import PACE, client_at

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from core.auth import Verifier, Viewer
    from core.errors import RateLimited
    from resolvers.context import App, Request
    from transport.handshake import Handshake
    from transport.operations import Operations
    from transport.pace import Pace
    from transport.subscriptions import Subscriptions
    from transport.websocket import WebSocket

# By name: the legacy `graphql-ws` protocol is another one, with a known authentication bypass.
PROTOCOL = "graphql-transport-ws"
PATH = "/graphql"
PING_EVERY_S = 20.0
"""Between two pings of a socket; one that has not answered the last one by then is dead."""
PING_SLICES = 100
"""The pings of all sockets are spread over that many moments."""

_log = get_logger(__name__)


class Sockets:
    """The websocket side of an API process. `run` must be running.

    Args:
        allowed_hosts: names that a page's address may have; None allows all.
    """

    def __init__(
        self,
        app: App,
        operations: Operations,
        subscriptions: Subscriptions,
        verifier: Verifier,
        caps: Caps,
        pace: Pace,
        *,
        allowed_hosts: frozenset[str] | None = None,
    ) -> None:
        self.app = app
        self.operations = operations
        self.subscriptions = subscriptions
        self.verifier = verifier
        self.caps = caps
        self.pace = pace
        origins = app.settings.allowed_origins
        self._allowed_origins = frozenset(origin.lower() for origin in origins)
        self._allowed_hosts = allowed_hosts
        self._open: dict[Connection, None] = {}
        self._of_users: dict[str, set[Connection]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.context = Context()
        """Of timers, which log nothing."""
        app.metrics.websockets.set_function(lambda: self.open_count)

    async def run(self) -> None:
        """Serve what needs a task of its own, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._ping_forever())
            tasks.create_task(self._watch_revocations())

    def start(
        self, work: Callable[[], Coroutine[Any, Any, None]], viewer: Viewer | None = None
    ) -> asyncio.Task[None]:
        """Run a part of an operation of this viewer's, which must not raise.

        `work` is called when its turn comes: of one cancelled before, no coroutine is left over.
        """
        assert self._tasks is not None, "Sockets.run is not running"
        return self._tasks.create_task(self._guarded(work, viewer))

    @property
    def open_count(self) -> int:
        """How many sockets are open."""
        return len(self._open)

    # --- what the websocket protocol calls ---

    def protocol_for(self, handshake: Handshake, address: str | None) -> str | None:
        """The protocol, if the client offers it. Raises HandshakeError for who may not come in."""
        if handshake.path != PATH:
            raise HandshakeError(HTTPStatus.NOT_FOUND, f"Websockets are served at {PATH}.")
        if not self._is_allowed(handshake):
            raise HandshakeError(HTTPStatus.FORBIDDEN, "This page may not connect.")
        if late := self.pass_by(client_at(address)):
            retry_after = f"retry-after: {late.retry_after_s}\r\n".encode()
            raise HandshakeError(HTTPStatus.TOO_MANY_REQUESTS, late.message, retry_after)
        return PROTOCOL if PROTOCOL in handshake.protocols else None

    def opened(self, socket: WebSocket, handshake: Handshake) -> Connection | None:
        """Take a new socket, unless it speaks another protocol or there are too many."""
        if PROTOCOL not in handshake.protocols:
            socket.close(4406, "Subprotocol not acceptable")
            return None
        try:
            self.caps.take("address", socket.address or "")
        except TooManySocketsError as error:
            socket.close(TRY_AGAIN_LATER, str(error))
            return None
        connection = Connection(self, socket)
        self._open[connection] = None
        return connection

    def identified(self, connection: Connection, user_id: str) -> None:
        """A socket is a user's. Raises TooManySocketsError."""
        self.caps.take("user", user_id)
        self._of_users.setdefault(user_id, set()).add(connection)

    def most_operations(self, user_id: str | None) -> int | None:
        """How many operations a user may have on all sockets; None while there are fewer.

        One change may have to be sent to all of them.
        """
        most = self.app.settings.max_operations_per_user
        sockets = self._of_users.get(user_id or "", ())
        return None if sum(one.operation_count for one in sockets) < most else most

    def forget(self, connection: Connection, request: Request, user_id: str | None) -> None:
        """A socket is closed."""
        if self._open.pop(connection, self) is None:
            self.caps.release("address", request.remote_address or "")
            if user_id is not None:
                self.caps.release("user", user_id)
                self._of_users[user_id].discard(connection)
                if not self._of_users[user_id]:
                    del self._of_users[user_id]

    def pass_by(self, client: str) -> RateLimited | None:
        """Count a request of a client's; why it may not be made now, if so.

        What comes over sockets cannot wait: other operations are behind it.
        """
        if not self.pace.wait_s(client):
            self.pace.count(client)
            return None
        self.app.metrics.rate_limit_refusals.labels(PACE).inc()
        return self.pace.refusal(client)

    # --- inside ---

    def _is_allowed(self, handshake: Handshake) -> bool:
        """Browsers send cookies to any site's socket: only pages that may are let in."""
        origin, host = handshake.header(b"origin"), (handshake.header(b"host") or "").lower()
        if self._allowed_hosts is not None and _name_of(host) not in self._allowed_hosts:
            return False
        if origin is None or origin.lower() in self._allowed_origins:
            return True
        if urlsplit(origin.lower()).netloc == host:
            return True
        _log.warning("socket of a foreign page refused, see ALLOWED_ORIGINS", origin=origin[:200])
        return False

    async def _guarded(
        self, work: Callable[[], Coroutine[Any, Any, None]], viewer: Viewer | None
    ) -> None:
        bind_contextvars(request=new_request_id())
        if viewer is not None:
            bind_contextvars(user=user_tag(viewer.user_id))
        try:
            await work()
        except Exception:
            # One operation must not end all of them.
            _log.exception("an operation on a socket failed")

    async def _ping_forever(self) -> None:
        while True:
            connections = list(self._open)
            size = len(connections) // PING_SLICES + 1
            pause_s = PING_EVERY_S / (len(connections) // size + 1)
            for start in range(0, len(connections) + 1, size):
                await asyncio.sleep(pause_s)
                for connection in connections[start : start + size]:
                    if connection in self._open:
                        connection.ping()

    async def _watch_revocations(self) -> None:
        while True:
            await self.app.revocations.changed()
            for connection in list(self._open):
                if connection.viewer and self.app.revocations.covers(connection.viewer):
                    connection.forbid("the token was revoked")


def _name_of(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
