"""Messages of graphql-transport-ws, as clients send them (PROTOCOL.md of enisdenjo/graphql-ws).

A message is checked whole before anything is done with it: whatever comes in, the worst outcome is
a close with 4400 and a reason.
"""

from __future__ import annotations

from typing import Any

import msgspec

from transport.parameters import Parameters  # noqa: TC001  # msgspec reads the annotations

MAX_ID_CHARS = 128


class Init(msgspec.Struct, frozen=True, tag_field="type", tag="connection_init"):
    """The first message; its payload holds the token."""

    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Are you there? Answered with the same payload."""

    payload: dict[str, Any] | None = None


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """An answer to our ping, or a sign of life."""

    payload: dict[str, Any] | None = None


class Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Start an operation; `id` is the client's and unique among its running operations."""

    id: str
    payload: Parameters


class Complete(msgspec.Struct, frozen=True, tag_field="type", tag="complete"):
    """Stop an operation."""

    id: str


Message = Init | Ping | Pong | Subscribe | Complete
_decoder = msgspec.json.Decoder(Message)


class InvalidMessageError(Exception):
    """The text is no message of the protocol; the text says why."""


def read_message(text: bytes) -> Message:
    """Read a message. Raises InvalidMessageError."""
    try:
        message = _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidMessageError(f"Invalid message: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise InvalidMessageError("Invalid message: not JSON") from None
    if isinstance(message, Subscribe | Complete) and not 0 < len(message.id) <= MAX_ID_CHARS:
        raise InvalidMessageError(f"Invalid message: `id` must have 1 to {MAX_ID_CHARS} characters")
    return message
