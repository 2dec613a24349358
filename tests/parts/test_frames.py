"""RFC 6455 frames, held against the library `websockets` with everything a client may send."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol

from transport import frames
from transport.frames import FrameError, FrameReader, Message, close_code

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 300


@st.composite
def client_bytes(draw: st.DrawFn) -> bytes:
    """Frames in any order: fragments, control frames in between, and what breaks the rules."""
    parts: list[bytes] = []
    for _ in range(draw(st.integers(1, 6))):
        opcode = draw(st.sampled_from(list(Opcode)))
        data = draw(
            st.one_of(
                st.text(max_size=40).map(str.encode),
                st.binary(max_size=140),
                st.just(b"x" * 250),
                st.sampled_from([Close(1000, "bye").serialize(), b"\x03\xee", b"\x03", b""]),
            )
        )
        fin = draw(st.booleans()) if opcode < 8 else True
        frame = Frame(opcode, data, fin=fin, rsv1=draw(st.integers(0, 30)) == 0)
        parts.append(_serialized(frame, mask=draw(st.integers(0, 30)) != 0))
    raw = b"".join(parts)
    if draw(st.integers(0, 9)) == 0:
        position = draw(st.integers(0, len(raw) - 1))
        raw = raw[:position] + bytes([draw(st.integers(0, 255))]) + raw[position + 1 :]
    return raw


def _serialized(frame: Frame, *, mask: bool) -> bytes:
    frame.check = lambda: None  # type: ignore[method-assign]  # broken ones too
    return frame.serialize(mask=mask)


def ours(chunks: Sequence[bytes]) -> tuple[list[tuple[int, bytes]], int | None]:
    """Whole messages and control frames, up to the first close; and the code of a failure."""
    reader, seen = FrameReader(MAX_BYTES), list[tuple[int, bytes]]()
    try:
        for chunk in chunks:
            for message in reader.feed(chunk):
                if message.opcode is frames.Opcode.CLOSE:
                    close_code(message.data)
                    return [*seen, (8, message.data[:2])], None
                seen.append((int(message.opcode), message.data))
    except FrameError as error:
        return seen, error.code
    return seen, None


def theirs(chunks: Sequence[bytes]) -> tuple[list[tuple[int, bytes]], int | None]:
    """The same from `websockets`, which hands out fragments: they are put together here."""
    protocol = Protocol(SERVER, state=OPEN, max_size=MAX_BYTES)
    seen = list[tuple[int, bytes]]()
    whole: list[Frame] = []
    for chunk in chunks:
        protocol.receive_data(chunk)
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.CLOSE:
            seen.append((8, bytes(event.data)[:2]))
            return seen, None
        if event.opcode in (Opcode.PING, Opcode.PONG):
            seen.append((int(event.opcode), bytes(event.data)))
            continue
        whole.append(event)
        if event.fin:
            data, kind = b"".join(bytes(one.data) for one in whole), whole[0].opcode
            whole = []
            if kind is Opcode.TEXT and not _is_utf8(data):
                # It leaves text to its caller.
                return seen, 1007
            seen.append((int(kind), data))
    failed = protocol.close_sent if protocol.parser_exc is not None else None
    return seen, failed.code if failed else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(raw=client_bytes(), cuts=st.lists(st.integers(1, 40), max_size=20))
def test_whatever_a_client_sends_is_read_as_by_the_library(raw: bytes, cuts: list[int]) -> None:
    chunks: list[bytes] = []
    for length in cuts:
        chunks.append(raw[:length])
        raw = raw[length:]
    chunks = [chunk for chunk in [*chunks, raw] if chunk]
    expected, code = theirs(chunks)
    seen, our_code = ours(chunks)
    assert seen == expected
    # A frame may break several rules at once; which is said first is a matter of taste.
    assert our_code == code or {our_code, code} <= {1002, 1007, 1009}


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_what_is_written_can_be_read(length: int) -> None:
    payload = b"x" * length
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(frames.text(payload) + frames.ping(b"a") + frames.close(1012, "ä" * 200))
    text, ping, close = (cast("Frame", event) for event in client.events_received())
    assert (bytes(text.data), bytes(ping.data)) == (payload, b"a")
    said = Close.parse(bytes(close.data))
    assert (said.code, said.reason) == (1012, "ä" * 61)


def test_a_message_is_not_waited_for_when_it_is_too_long() -> None:
    reader = FrameReader(100)
    start = Frame(Opcode.TEXT, b"x" * 101).serialize(mask=True)[:8]
    with pytest.raises(FrameError, match="at most 100 bytes") as caught:
        list(reader.feed(start))
    assert caught.value.code == 1009


def test_a_byte_at_a_time() -> None:
    reader = FrameReader(100)
    raw = Frame(Opcode.TEXT, "grün".encode()).serialize(mask=True)
    seen = [message for byte in raw for message in reader.feed(bytes([byte]))]
    assert seen == [Message(frames.Opcode.TEXT, "grün".encode())]
