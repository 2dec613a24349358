"""The websocket protocol of the API, as uvicorn's `ws=` class.

uvicorn's own classes turn every message into two ASGI events and a task; here a result is written
to the transport as it is, which is what makes a subscriber cost microseconds and kilobytes. Of RFC
6455 it speaks all that a server without extensions needs: fragments, pings, both closing sides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.utils import get_remote_addr

from core.log import get_logger
from transport import frames
from transport.frames import FrameError, FrameReader, Opcode
from transport.handshake import Handshake, HandshakeError, read_handshake, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

CLOSE_TIMEOUT_S = 5.0
"""How long the other side may take to answer our close, or to read what is before it."""
SERVICE_RESTART = 1012
MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Written and not yet taken by the client; more, and it is closed with 1013."""
MOST_GATHERED = 64
"""Messages of one write: a client that does not read is noticed after each."""
MAX_MESSAGE_BYTES = 64 * 1024
"""Of one message from a client; a large document with variables has some 5 KB."""

_log = get_logger(__name__)


class Handler(Protocol):
    """What is said over an open socket."""

    def on_text(self, data: bytes) -> None:
        """A text message, valid UTF-8."""
        ...

    def on_binary(self) -> None:
        """A binary message."""
        ...

    def on_writable(self) -> None:
        """The client has taken what was waiting."""
        ...

    def on_closed(self) -> None:
        """The socket is closed; nothing can be sent. Called once."""
        ...


class Acceptor(Protocol):
    """Decides about sockets. Found as `sockets` in the lifespan's state."""

    def protocol_for(self, handshake: Handshake, address: str | None) -> str | None:
        """The sub-protocol to answer a client with. Raises HandshakeError."""
        ...

    def opened(self, socket: WebSocket, handshake: Handshake) -> Handler | None:
        """A handler for a socket that has just been opened; None if it was closed at once."""
        ...


class WebSocket(asyncio.Protocol):
    """One connection, from its upgrade request to its end."""

    __slots__ = (
        "_acceptor",
        "_close_timer",
        "_config",
        "_connections",
        "_fd",
        "_gathered",
        "_handler",
        "_has_backlog",
        "_is_closing",
        "_reader",
        "_transport",
        "address",
        "answered_ping",
        "is_full",
    )

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._config = config
        self._connections = cast("set[Any]", server_state.connections)
        self._acceptor: Acceptor = app_state["sockets"]
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        # Where to write past the transport; None with TLS, and when the connection is lost.
        self._fd: int | None = None
        self._has_backlog = False
        self._gathered: list[bytes] | None = None
        self._reader: FrameReader | None = None
        self._handler: Handler | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self.address: str | None = None
        """The client's, behind trusted proxies too."""
        self.is_full = False
        """Whether the client does not keep up with reading."""
        self.answered_ping = True

    # --- what uvicorn and the event loop call ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Read the upgrade request, which uvicorn hands over whole, then frames."""
        if self._reader is None:
            self._open(data)
            return
        try:
            for message in self._reader.feed(data):
                self._take(message.opcode, message.data)
        except FrameError as error:
            self.close(error.code, str(error))

    def eof_received(self) -> None:
        """The client has gone without a close."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever wanted it."""
        del exc
        # The transport closes it next; then the number may be another client's.
        self._fd = None
        self._connections.discard(self)
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._finish()

    def pause_writing(self) -> None:
        """More than the high-water mark is waiting."""
        self.is_full = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.is_full = False
        if self._handler is not None and not self._is_closing:
            self._handler.on_writable()

    def shutdown(self) -> None:
        """The server stops: clients come back to another one."""
        self.close(SERVICE_RESTART, "The service restarts")

    # --- what handlers call ---

    def write(self, data: bytes) -> None:
        """Send whole frames."""
        if self._is_closing:
            return
        self._put(data)
        if self.is_full and self._transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.close(1013, "Too much is waiting to be read")

    def gather(self, data: bytes) -> None:
        """Send whole frames together with what else comes in this turn of the event loop.

        A system call takes ten times as long as making a message. A single message is better
        written at once: it costs no turn.
        """
        if self._is_closing:
            return
        if self._gathered is None:
            self._gathered = [data]
            asyncio.get_running_loop().call_soon(self._write_gathered)
            return
        self._gathered.append(data)
        if len(self._gathered) >= MOST_GATHERED:
            self._write_gathered()

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye and wait a while for the other side to say it too."""
        if self._is_closing or self._transport.is_closing():
            return
        self._put(frames.close(code, reason))
        self._is_closing = True
        loop = asyncio.get_running_loop()
        self._close_timer = loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)
        self._finish()

    def abort(self) -> None:
        """Drop the connection: nobody is there any more."""
        self._transport.abort()

    def pause_reading(self) -> None:
        """Take nothing from the client for now."""
        with contextlib.suppress(RuntimeError):
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again."""
        with contextlib.suppress(RuntimeError):
            self._transport.resume_reading()

    # --- inside ---

    def _write_gathered(self) -> None:
        if self._gathered is not None:
            self.write(b"")

    def _put(self, data: bytes) -> None:
        """Write at once what the kernel takes; the rest waits in the transport.

        The transport would come back to it when everybody's messages are made, and find none of
        this connection's memory in the caches: half a microsecond of the ten of a message.
        """
        if self._gathered is not None:
            data = b"".join((*self._gathered, data))
            self._gathered = None
        if self._has_backlog:
            self._has_backlog = self._transport.get_write_buffer_size() > 0
        try:
            sent = 0 if self._has_backlog or self._fd is None else os.write(self._fd, data)
        except OSError:
            sent = 0  # the kernel is full, or the client gone: the transport knows what to do
        if sent < len(data):
            self._has_backlog = True
            self._transport.write(data[sent:])

    def _open(self, data: bytes) -> None:
        try:
            handshake = read_handshake(data)
            self.address = self._client(handshake)
            answer = handshake.answer(self._acceptor.protocol_for(handshake, self.address))
        except HandshakeError as error:
            self._put(refusal(error.status, str(error), error.headers))
            self._transport.close()
            return
        except Exception:
            _log.exception("websocket handshake failed")
            self._put(refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Something is wrong."))
            self._transport.close()
            return
        self._reader = FrameReader(MAX_MESSAGE_BYTES)
        self._put(answer)
        self._handler = self._acceptor.opened(self, handshake)

    def _client(self, handshake: Handshake) -> str | None:
        client = get_remote_addr(self._transport)
        if self._config.proxy_headers and handshake.header(b"x-forwarded-for"):
            return forwarded_client(client, handshake, self._config.forwarded_allow_ips)
        return client[0] if client else None

    def _take(self, opcode: Opcode, data: bytes) -> None:
        if opcode is Opcode.CLOSE:
            self._answer_close(data)
        elif self._is_closing or self._handler is None:
            return
        elif opcode is Opcode.TEXT:
            self._handler.on_text(data)
        elif opcode is Opcode.PING:
            self._put(frames.pong(data))
        elif opcode is Opcode.PONG:
            self.answered_ping = True
        else:
            self._handler.on_binary()

    def _answer_close(self, data: bytes) -> None:
        if not self._is_closing:
            code = frames.close_code(data)
            self._is_closing = True
            empty = frames.header(Opcode.CLOSE, 0)
            self._put(empty if code is None else frames.close(code))
        self._finish()
        self._transport.close()

    def _finish(self) -> None:
        self._is_closing = True
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.on_closed()


def forwarded_client(
    client: tuple[str, int] | None, handshake: Handshake, trusted: list[str] | str
) -> str | None:
    """The client's address as trusted proxies tell it; the same rules as for HTTP requests."""
    scope: Any = {"type": "websocket", "client": client, "headers": handshake.headers}
    scope["scheme"] = "ws"
    middleware = ProxyHeadersMiddleware(_nothing, trusted_hosts=trusted)
    unused = cast("Callable[..., Any]", None)
    with contextlib.suppress(StopIteration):
        # It never waits: what it calls does nothing.
        middleware(scope, unused, unused).send(None)  # pyright: ignore[reportAttributeAccessIssue]
    return scope["client"][0] if scope["client"] else None


async def _nothing(scope: object, receive: object, send: object) -> None:
    del scope, receive, send
