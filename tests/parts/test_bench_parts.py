"""The benchmark's own arithmetic: wrong ratios would be believed."""

from __future__ import annotations

import asyncio
import shutil
import sys

import pytest

from tests.bench.figures import Sample, Samples, number, spread, table
from tests.bench.load import Stats, loading
from tests.bench.publishing import FIRST_VERSION, Stamps
from tests.bench.writing import BEGIN, END, between_markers
from tests.waiting import wait_until


def sample(who: str, round_number: int, per_cpu_s: float) -> Sample:
    figures = {"per_cpu_s": per_cpu_s}
    return Sample(part="fanout", case="one 10", who=who, round=round_number, figures=figures)


def test_ratios_are_made_within_a_round() -> None:
    # The machine is half as fast in the second round, and in the third one contender is missing.
    samples = Samples(
        [
            sample("mintari", 0, 300),
            sample("yoga", 0, 100),
            sample("mintari", 1, 200),
            sample("yoga", 1, 50),
            sample("mintari", 2, 1000),
        ]
    )
    ratio = samples.of("fanout").ratio("one 10", "per_cpu_s", "mintari", "yoga")
    assert ratio is not None
    assert (ratio.median, ratio.least, ratio.most, ratio.count) == (3.5, 3, 4, 2)
    assert samples.ratio("one 10", "per_cpu_s", "mintari", "nobody") is None
    assert not samples.of("queue")


def test_figures_are_shown_with_their_range() -> None:
    several, one = spread([3.0, 1.0, 2.0]), spread([2.0])
    assert several is not None
    assert one is not None
    assert several.show(number) == "2 (1-3)"
    assert one.show(number) == "2"
    assert spread([]) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "0.0123"), (9.876, "9.88"), (123.4, "123"), (409_876.5, "410,000")],
)
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_results_go_between_the_markers() -> None:
    page = f"before\n\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_markers(page, "new") == f"before\n\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="substring not found"):
        between_markers("no markers", "new")


def test_stamps_grow_and_fit_a_version() -> None:
    stamps = Stamps()
    versions = [stamps.next() for _ in range(1000)]
    assert versions == sorted(set(versions))
    assert FIRST_VERSION < versions[0] < 2**31


@pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("gcc") or shutil.which("cc")),
    reason="the load client is a C program for Linux",
)
async def test_the_load_client_counts_frames_and_latencies() -> None:
    """Against a server that sends frames in every awkward cut: the client must read them all."""
    stamps = Stamps()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame('{"type":"connection_ack"}')
        )
        await reader.readuntil(b'"subscribe"')
        texts = [f'{{"type":"next","version":{v}}}' for v in (0, stamps.next(), stamps.next())]
        long = f'{{"type":"next","filler":"{"x" * 70_000}","version": {stamps.next()}}}'
        data = b"".join(map(frame, [*texts, long]))
        for start in range(0, len(data), 7):
            writer.write(data[start : start + 7])
            if start < 700:
                await writer.drain()
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        plan: list[tuple[object, object]] = [({"type": "init"}, {"type": "subscribe"})]
        async with loading(port, plan * 3, stamps.base_ns) as load:
            await load.reset(keep_latencies=True)
            await load.connect()
            await load.everybody_has(FIRST_VERSION + 1)

            async def read_all() -> Stats | None:
                stats = await load.stats()
                return stats if stats.messages == 12 else None

            stats = await wait_until(read_all)
    assert stats is not None
    assert (stats.messages, stats.samples, stats.lost) == (12, 9, 0)
    assert 0 < stats.p50_us < 60_000_000


def frame(text: str) -> bytes:
    """A text frame as servers send it, in one of the three sizes that a length may have."""
    data = text.encode()
    if len(data) < 126:
        return bytes([0x81, len(data)]) + data
    if len(data) < 1 << 16:
        return bytes([0x81, 126]) + len(data).to_bytes(2, "big") + data
    return bytes([0x81, 127]) + len(data).to_bytes(8, "big") + data
