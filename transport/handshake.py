"""The opening handshake of a websocket (RFC 6455, section 4.2): the request, and the answers."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

import httptools

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSING = b"connection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"


class HandshakeError(Exception):
    """The request opens no websocket; the text says why, `status` is the answer's."""

    def __init__(self, status: HTTPStatus, message: str, headers: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(slots=True)
class Handshake:
    """A request to open a websocket. Header names are lower case, as uvicorn hands them on."""

    path: str = ""
    method: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])

    def header(self, name: bytes) -> str | None:
        """A header's value, several joined with commas (RFC 9110, section 5.2)."""
        found = [value.decode("latin-1").strip() for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    @property
    def protocols(self) -> list[str]:
        """The sub-protocols that the client offers, best first."""
        offered = self.header(b"sec-websocket-protocol") or ""
        return [one.strip() for one in offered.split(",") if one.strip()]

    def answer(self, protocol: str | None) -> bytes:
        """The answer that opens it. Raises HandshakeError."""
        # The specification's spelling: gql, of PyPI, knows the protocol by no other.
        lines = [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + _accept(self._key()),
        ]
        if protocol is not None:
            lines.append(b"Sec-WebSocket-Protocol: " + protocol.encode())
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _key(self) -> bytes:
        if self.method != "GET":
            raise HandshakeError(HTTPStatus.METHOD_NOT_ALLOWED, "Send GET.", b"allow: GET\r\n")
        if self.header(b"sec-websocket-version") != "13":
            supported = b"sec-websocket-version: 13\r\n"
            raise HandshakeError(HTTPStatus.UPGRADE_REQUIRED, "Use version 13.", supported)
        key = (self.header(b"sec-websocket-key") or "").encode()
        try:
            if len(base64.b64decode(key, validate=True)) == 16:
                return key
        except binascii.Error:
            pass
        raise HandshakeError(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must hold 16 bytes.")


def _accept(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def read_handshake(data: bytes) -> Handshake:
    """Read a request that is complete. Raises HandshakeError."""
    handshake = Handshake()
    parser = httptools.HttpRequestParser(_Callbacks(handshake))
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        raise HandshakeError(HTTPStatus.BAD_REQUEST, "This is no HTTP request.") from None
    handshake.method = parser.get_method().decode()
    return handshake


class _Callbacks:
    """What httptools calls."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake

    def on_url(self, url: bytes) -> None:
        path = httptools.parse_url(url).path or b"/"
        self._handshake.path = unquote(path.decode("ascii", "replace"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._handshake.headers.append((name.lower(), value))


def refusal(status: HTTPStatus, message: str, headers: bytes = b"") -> bytes:
    """An answer that opens no websocket."""
    body = message.encode()
    start = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-length: {len(body)}\r\n".encode()
    return start + _CLOSING + headers + b"\r\n" + body
