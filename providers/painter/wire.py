"""What is said between a worker and its painter process.

Frames over stdin and stdout: four bytes of length (big-endian), then a tagged MessagePack
structure. One order at a time; an order is named by a number so that a late cancel of a
finished one can't stop the next.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

# A photo is re-encoded by us before it gets here and stays far below; so does a PNG of 1.5 MP.
MAX_FRAME_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 4


class Paint(msgspec.Struct, tag=True, frozen=True):
    """Worker to painter: paint this. `parameters` are a style's, see `look.Look`."""

    number: int
    prompt: str
    parameters: dict[str, str | int | float | bool]
    width: int
    height: int
    seed: int
    photo: bytes | None = None


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """Worker to painter: stop that order at the next step."""

    number: int


class Check(msgspec.Struct, tag=True, frozen=True):
    """Worker to painter: load everything and answer with `Ready` or `Failed`."""

    number: int


class Ready(msgspec.Struct, tag=True, frozen=True):
    """Painter to worker: the networks are loaded. `model` is the painter's version."""

    number: int
    model: str


class Painted(msgspec.Struct, tag=True, frozen=True):
    """Painter to worker: a step was taken; `preview` is a small WebP."""

    number: int
    fraction: float
    preview: bytes | None


class Done(msgspec.Struct, tag=True, frozen=True):
    """Painter to worker: the picture (PNG) and the seconds it took."""

    number: int
    image: bytes
    seconds: float


class Stopped(msgspec.Struct, tag=True, frozen=True):
    """Painter to worker: the order was cancelled."""

    number: int


class Failure(StrEnum):
    """Why an order could not be painted."""

    EXTRA_MISSING = "EXTRA_MISSING"
    BAD_PARAMETERS = "BAD_PARAMETERS"
    UNREADABLE_PHOTO = "UNREADABLE_PHOTO"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    BUG = "BUG"


class Failed(msgspec.Struct, tag=True, frozen=True):
    """Painter to worker: no picture; the message is for operators."""

    number: int
    failure: Failure
    message: str


Request = Paint | Cancel | Check
Answer = Ready | Painted | Done | Stopped | Failed

_REQUESTS = msgspec.msgpack.Decoder(Request)
_ANSWERS = msgspec.msgpack.Decoder(Answer)


class FrameTooLargeError(ValueError):
    """A frame claims more bytes than are ever sent: the other side is broken."""


def pack(message: Request | Answer) -> bytes:
    """A whole frame."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLargeError(f"a frame of {len(body)} bytes")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_length(header: bytes) -> int:
    """How many bytes follow a header. Raises FrameTooLargeError."""
    length = int.from_bytes(header, "big")
    if length > MAX_FRAME_BYTES:
        raise FrameTooLargeError(f"a frame of {length} bytes")
    return length


def unpack_request(body: bytes) -> Request:
    """Raises msgspec.DecodeError on anything else."""
    return _REQUESTS.decode(body)


def unpack_answer(body: bytes) -> Answer:
    """Raises msgspec.DecodeError on anything else."""
    return _ANSWERS.decode(body)
