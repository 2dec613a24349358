"""HTTP/1.1 connections on which nobody can wait for ever, or send headers without end.

uvicorn has a deadline for a connection that is idle between two requests, but none for the first
byte of a new one, and none for headers that come one byte a minute (slowloris): each such
connection would be held open for nothing. Nor does httptools know how large headers may be. Bodies
have their limits where they are read (`transport.parameters`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

HEADERS_DEADLINE_S = 10.0
"""From the connection, or a request's first byte on a kept one, to the end of its headers."""
MAX_HEADERS_BYTES = 64 * 1024
"""Of one request; browsers and proxies stay below 16 KB."""

SMALL_BYTES = 512
"""Headers that are large come in more than one piece, each as large as a packet (RFC 9293: 536
bytes, if nobody says more): the last one alone may be small."""
FREE_PIECES = 3
"""Small ones that are read as they come."""
LAZY_S = 0.25, 0.75
"""Then headers are read no more often than this, each connection at moments of its own: hundreds
that send a byte at the same time would hold up everybody else for a millisecond or more."""

_TIMEOUT = b"408 Request Timeout"
_TOO_LARGE = b"431 Request Header Fields Too Large"


class Link:
    """What a request may know of its connection: `link` in the scope's state."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._on_drain: Callable[[], None] | None = None
        self._is_draining = False

    def abort(self) -> None:
        """Cut the connection off, whatever has been written to it."""
        self._transport.abort()

    def call_on_drain(self, callback: Callable[[], None] | None) -> None:
        """Call back when the server is about to stop; at once, if it already is."""
        self._on_drain = callback
        if self._is_draining and callback:
            callback()

    def drain(self) -> None:
        """The server is about to stop."""
        self._is_draining = True
        if self._on_drain:
            self._on_drain()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, with limits for headers."""

    _headers_timer: asyncio.TimerHandle | None = None
    _headers_bytes = 0
    _small_pieces = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as uvicorn has it
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._link = Link(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is too much for headers."""
        super().data_received(data)
        if self._headers_timer is not None:
            self._headers_bytes += len(data)
            self._small_pieces += len(data) < SMALL_BYTES
            if self._headers_bytes > MAX_HEADERS_BYTES:
                self._refuse(_TOO_LARGE)
            elif self._small_pieces >= FREE_PIECES:
                self._read_later()

    def on_message_begin(self) -> None:
        """Start to wait for the headers of one more request."""
        super().on_message_begin()
        self.scope.setdefault("state", {})["link"] = self._link
        if self._headers_timer is None:
            self._await_headers()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """Serve what is being served, and nothing more; what has no end is told to end."""
        super().shutdown()
        self._link.drain()

    def _await_headers(self) -> None:
        self._headers_bytes = self._small_pieces = 0
        self._headers_timer = self.loop.call_later(HEADERS_DEADLINE_S, self._refuse, _TIMEOUT)

    def _read_later(self) -> None:
        self.flow.pause_reading()
        self.loop.call_later(random.uniform(*LAZY_S), self._read_on)  # noqa: S311

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _stop_waiting(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        # Written into the answer to an earlier, pipelined request it would garble that.
        if not self.cycle or self.cycle.response_complete:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
        self.transport.close()
