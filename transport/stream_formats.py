"""How the results of a subscription look in the body of an HTTP response that goes on and on.

Three protocols and one shape: something to begin with, a frame around each result, something that
keeps proxies awake, and two ends: complete, or interrupted so that the client comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transport.groups import Result


class StreamFormat(Protocol):
    """A protocol; one instance each, as members with the same one share their bytes."""

    media_type: str
    start: bytes
    heartbeat: bytes
    complete: bytes

    def result(self, payload: bytes) -> bytes:
        """One result, `payload` being its JSON."""
        ...

    def interrupted(self, error: dict[str, object]) -> bytes:
        """The end of a stream that its client should start again."""
        ...

    def parts(self, results: Sequence[Result]) -> list[bytes]:
        """One frame for each result (a `Wire` of transport/groups.py, without ids)."""
        ...


class EventStream:
    """GraphQL over SSE, distinct connections (PROTOCOL.md of enisdenjo/graphql-sse).

    Lines end with LF alone: urql reads no others. An interrupted stream ends without `complete`:
    that is what makes graphql-sse and EventSource come back.
    """

    media_type = "text/event-stream; charset=utf-8"
    # Firefox and Safari take no response seriously before its first byte.
    start = b":\n\n"
    heartbeat = b":\n\n"
    # EventSource shows an event only if it has data, be they empty.
    complete = b"event: complete\ndata:\n\n"

    def result(self, payload: bytes) -> bytes:
        """An event `next`."""
        return b"event: next\ndata: " + payload + b"\n\n"

    def interrupted(self, error: dict[str, object]) -> bytes:
        """Nothing."""
        del error
        return b""

    def parts(self, results: Sequence[Result]) -> list[bytes]:
        """Events."""
        return [self.result(payload) for _, payload in results]


class MultipartStream:
    """Apollo's multipart subscriptions (subscriptionSpec 1.0).

    Each part is followed by its boundary at once: a client knows only then that it is whole. An
    interrupted stream ends with an error of the protocol, which Apollo's RetryLink answers.
    """

    media_type = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    start = b"\r\n--graphql"
    complete = b"--\r\n"

    def __init__(self) -> None:
        self.heartbeat = self._part(b"{}")

    def result(self, payload: bytes) -> bytes:
        """A part with a payload."""
        return self._part(b'{"payload":' + payload + b"}")

    def interrupted(self, error: dict[str, object]) -> bytes:
        """A part without a payload, and the last boundary."""
        body = msgspec.json.encode({"payload": None, "errors": [error]})
        return self._part(body) + self.complete

    def parts(self, results: Sequence[Result]) -> list[bytes]:
        """Parts."""
        return [self.result(payload) for _, payload in results]

    def _part(self, body: bytes) -> bytes:
        return b"\r\ncontent-type: application/json\r\n\r\n" + body + b"\r\n--graphql"


EVENT_STREAM = EventStream()
MULTIPART_STREAM = MultipartStream()
