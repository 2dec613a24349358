"""A subscription of one websocket, as a member of a group."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from transport.frames import Opcode, header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transport.connection import Connection
    from transport.groups import Group, Result

_BEFORE_ID, _BEFORE_RESULT, _AFTER = b'{"id":', b',"type":"next","payload":', b"}"
_AROUND = len(_BEFORE_ID) + len(_BEFORE_RESULT) + len(_AFTER)
_RESULT = _BEFORE_RESULT + b"%b" + _AFTER


@lru_cache(maxsize=4096)
def _start(length: int) -> bytes:
    """A `next` message of so many bytes, up to its id. Most are of a few lengths."""
    return header(Opcode.TEXT, length) + _BEFORE_ID


class SocketWire:
    """`next` messages as text frames, for ids of one length: only that is in a frame's header."""

    __slots__ = ("_around",)

    def __init__(self, id_length: int) -> None:
        self._around = _AROUND + id_length

    def parts(self, results: Sequence[Result]) -> list[bytes]:
        """What is between the ids."""
        if len(results) == 1:
            # As below, in two thirds of the time.
            payload = results[0][1]
            return [_start(self._around + len(payload)), _RESULT % payload]
        parts: list[bytes] = []
        tail = b""
        for _, payload in results:
            parts.append(tail + _start(self._around + len(payload)))
            tail = _RESULT % payload
        parts.append(tail)
        return parts


_wire_for = lru_cache(maxsize=256)(SocketWire)


class SocketMember:
    """A member whose results go to a websocket under an operation's id."""

    __slots__ = ("_connection", "_id", "_socket", "group", "has_ended", "operation_id", "wire")

    def __init__(self, connection: Connection, operation_id: str) -> None:
        self._connection = connection
        self._socket = connection.socket
        self.operation_id = operation_id
        self._id = msgspec.json.encode(operation_id)
        self.wire = _wire_for(len(self._id))
        self.group: Group | None = None
        self.has_ended = False
        """Whether `complete` follows when what waits has been sent."""

    def message(self, payload: bytes) -> bytes:
        """A result as a message."""
        return _BEFORE_ID + self._id + _BEFORE_RESULT + payload + _AFTER

    def deliver(self, results: Sequence[Result], parts: list[bytes]) -> None:
        """Send results."""
        if self._socket.is_full:
            self._connection.hold(self, results)
        else:
            self._connection.write(self._id.join(parts))

    def end(self) -> None:
        """Complete, after everything that waits."""
        self.has_ended = True
        if not self._connection.holds(self):
            self._connection.complete(self)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """End with errors."""
        self._connection.fail(self, errors)

    def leave(self) -> None:
        """Take part no more."""
        if self.group is not None:
            self.group.leave(self)
