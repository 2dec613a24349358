"""Websocket frames (RFC 6455): reading what clients send, building what they get.

Only what a server needs without extensions. It is our own because the fan-out shares built frames
between thousands of sockets, and because a reader of 200 bytes a socket makes idle sockets cheap.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CONTROL_BYTES = 125
MAX_REASON_BYTES = MAX_CONTROL_BYTES - 2
_FIN, _MASKED = 0x80, 0x80
_U16, _U64 = struct.Struct("!H"), struct.Struct("!Q")


class Opcode(IntEnum):
    """What a frame is (section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_DATA = (Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY)
_OPCODES = {int(one): one for one in Opcode}


class FrameError(Exception):
    """The client broke the protocol; the connection must be closed with `code` (section 7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame. Text is valid UTF-8, still encoded."""

    opcode: Opcode
    data: bytes


class FrameReader:
    """Puts messages together from bytes as they come.

    Args:
        max_bytes: of one message, all of its fragments together.
    """

    __slots__ = ("_buffer", "_fragments", "_max_bytes", "_opcode")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = b""
        self._fragments: list[bytes] | None = None
        self._opcode = Opcode.CONTINUATION

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes. Raises FrameError; nothing may be fed after it."""
        self._buffer = self._buffer + data if self._buffer else data
        while (frame := self._next_frame()) is not None:
            fin, opcode, payload = frame
            if opcode is Opcode.CLOSE and self._fragments is not None:
                raise FrameError(1002, "a close in the middle of a message")
            if opcode not in _DATA:
                yield Message(opcode, payload)
            elif (message := self._put_together(opcode, payload, fin=fin)) is not None:
                yield message

    def _next_frame(self) -> tuple[bool, Opcode, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        fin, opcode = bool(first & _FIN), _opcode(first)
        length, start = second & 0x7F, 2
        if not second & _MASKED:
            raise FrameError(1002, "frames from clients are masked")
        if opcode not in _DATA and (length > MAX_CONTROL_BYTES or not fin):
            raise FrameError(1002, "control frames are short and whole")
        if length >= 126:
            size = _U16 if length == 126 else _U64
            if len(buffer) < start + size.size:
                return None
            (length,) = size.unpack_from(buffer, start)
            start += size.size
        self._check_size(opcode, length)
        end = start + 4 + length
        if len(buffer) < end:
            return None
        self._buffer = buffer[end:]
        return fin, opcode, _unmasked(buffer[start + 4 : end], buffer[start : start + 4])

    def _check_size(self, opcode: Opcode, length: int) -> None:
        """Before the frame is there: what is too long is not waited for."""
        if opcode not in _DATA:
            return
        so_far = sum(map(len, self._fragments or ()))
        if so_far + length > self._max_bytes:
            raise FrameError(1009, f"a message has at most {self._max_bytes} bytes")

    def _put_together(self, opcode: Opcode, payload: bytes, *, fin: bool) -> Message | None:
        if (opcode is Opcode.CONTINUATION) is not (self._fragments is not None):
            raise FrameError(1002, "a continuation without a beginning, or a beginning in between")
        if self._fragments is None:
            self._opcode = opcode
            if fin:
                return _message(opcode, payload)
            self._fragments = [payload]
            return None
        self._fragments.append(payload)
        if not fin:
            return None
        whole, self._fragments = b"".join(self._fragments), None
        return _message(self._opcode, whole)


def _opcode(first: int) -> Opcode:
    opcode = _OPCODES.get(first & 0x0F)
    if first & 0x70 or opcode is None:
        raise FrameError(1002, "reserved bits or opcode")
    return opcode


def _message(opcode: Opcode, data: bytes) -> Message:
    if opcode is Opcode.TEXT:
        try:
            data.decode()
        except UnicodeDecodeError:
            raise FrameError(1007, "text is UTF-8") from None
    return Message(opcode, data)


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    """XOR with the mask (section 5.3), as one large integer: a microsecond for a kilobyte."""
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(length, "little")


def header(opcode: Opcode, length: int) -> bytes:
    """What comes before a payload of so many bytes, from a server: whole and unmasked."""
    first = _FIN | opcode
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + _U16.pack(length)
    return bytes((first, 127)) + _U64.pack(length)


def text(payload: bytes) -> bytes:
    """A text message."""
    return header(Opcode.TEXT, len(payload)) + payload


def ping(payload: bytes = b"") -> bytes:
    """A ping."""
    return header(Opcode.PING, len(payload)) + payload


def pong(payload: bytes) -> bytes:
    """The answer to a ping."""
    return header(Opcode.PONG, len(payload)) + payload


def close(code: int, reason: str = "") -> bytes:
    """A close; a reason that is too long is cut (a longer one would end the socket with 1006)."""
    words = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return header(Opcode.CLOSE, 2 + len(words)) + _U16.pack(code) + words


def close_code(payload: bytes) -> int | None:
    """The code in a client's close; None if there is none. Raises FrameError if it is no close."""
    if not payload:
        return None
    if len(payload) < 2:
        raise FrameError(1002, "a close has a code of two bytes")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError(1007, "a close reason is UTF-8") from None
    code: int = _U16.unpack_from(payload)[0]
    if code not in _CLOSE_CODES and not 3000 <= code < 5000:
        raise FrameError(1002, "no such close code")
    return code


# Those of the IANA registry that may be sent.
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
