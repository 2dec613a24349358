from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from PIL import Image

from core.styles import Style, load_styles
from core.vocabulary import ErrorCode, ImageSize
from providers.base import (
    Finished,
    PaintRequest,
    Progress,
    Provider,
    ProviderMisconfigured,
    ProviderUnavailable,
    Update,
)
from providers.local import LocalProvider, PhotoUnreadable
from providers.painter.wire import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    Cancel,
    FrameTooLargeError,
    body_length,
    pack,
    unpack_answer,
    unpack_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

REQUEST = PaintRequest(
    request_id="job:1",
    prompt="a lighthouse by the sea",
    assembled_prompt="",
    negative_prompt="",
    style="ghibli",
    size=ImageSize.SQUARE_512,
    seed=3,
)
ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def provider() -> AsyncGenerator[LocalProvider, None]:
    opened = LocalProvider(processes=1, styles=load_styles())
    try:
        yield opened
    finally:
        await opened.aclose()


def is_running(pid: int) -> bool:
    """True while a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def painters() -> list[int]:
    return [
        pid
        for pid in children_of(os.getpid())
        if b"providers.painter" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def wait_until(condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


async def collect(provider: Provider, request: PaintRequest) -> list[Update]:
    async with aclosing(provider.paint(request)) as updates:
        return [update async for update in updates]


async def begin(
    provider: Provider, size: ImageSize = ImageSize.LANDSCAPE_1536X1024
) -> AsyncGenerator[Update, None]:
    """A painting that has taken its first step."""
    updates = provider.paint(replace(REQUEST, size=size))
    assert isinstance(await anext(updates), Progress)
    return updates


async def test_progress_then_the_picture(provider: LocalProvider):
    updates = await collect(provider, REQUEST)
    *steps, last = updates
    assert isinstance(last, Finished)
    assert (last.model, last.seed) == ("local-painter-1", 3)
    assert last.usage["seconds"] > 0
    assert Image.open(io.BytesIO(last.image), formats=["PNG"]).size == (512, 512)
    assert len(steps) >= 10
    fractions = [step.fraction for step in steps if isinstance(step, Progress)]
    assert len(fractions) == len(steps)
    assert all(fraction is not None for fraction in fractions)
    assert fractions == sorted(fraction or 0.0 for fraction in fractions)


async def test_two_processes_paint_the_same_picture_at_once():
    provider = LocalProvider(processes=2, styles=load_styles())
    try:
        async with asyncio.TaskGroup() as group:
            one = group.create_task(collect(provider, REQUEST))
            two = group.create_task(collect(provider, REQUEST))
        assert len(painters()) == 2
    finally:
        await provider.aclose()
    first, second = one.result()[-1], two.result()[-1]
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert first.image == second.image


async def test_a_closed_generator_stops_the_work(provider: LocalProvider):
    updates = await begin(provider)
    (child,) = painters()
    await updates.aclose()
    started = time.monotonic()
    assert isinstance((await collect(provider, REQUEST))[-1], Finished)
    # The cancelled picture would have taken longer by itself than stop and new one together.
    assert time.monotonic() - started < 10
    assert painters() == [child]


async def test_a_cancelled_task_stops_the_work(provider: LocalProvider):
    task = asyncio.create_task(collect(provider, REQUEST))
    await asyncio.to_thread(wait_until, lambda: bool(painters()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance((await collect(provider, REQUEST))[-1], Finished)


async def test_a_child_that_does_not_stop_is_replaced(provider: LocalProvider):
    updates = await begin(provider)
    (child,) = painters()
    os.kill(child, signal.SIGSTOP)
    await updates.aclose()
    assert isinstance((await collect(provider, REQUEST))[-1], Finished)
    assert not exists(child)
    assert len(painters()) == 1


async def test_a_killed_child_is_unavailable_and_replaced(provider: LocalProvider):
    updates = await begin(provider)
    (child,) = painters()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(ProviderUnavailable):
        async for _ in updates:
            pass
    assert not exists(child)
    assert isinstance((await collect(provider, REQUEST))[-1], Finished)
    assert painters() != [child]


async def test_a_child_killed_while_idle_is_replaced(provider: LocalProvider):
    await provider.check()
    (child,) = painters()
    os.kill(child, signal.SIGKILL)
    await asyncio.to_thread(wait_until, lambda: not exists(child))
    assert isinstance((await collect(provider, REQUEST))[-1], Finished)


async def test_interrupts_of_the_whole_group_do_not_reach_the_painting(provider: LocalProvider):
    updates = await begin(provider, ImageSize.SQUARE_512)
    (child,) = painters()
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGTERM)
    rest = [update async for update in updates]
    assert isinstance(rest[-1], Finished)


async def test_closing_ends_the_children(provider: LocalProvider):
    await provider.check()
    (child,) = painters()
    await provider.aclose()
    assert not exists(child)
    with pytest.raises(ProviderUnavailable):
        await collect(provider, REQUEST)


async def test_wrong_photos_and_styles(provider: LocalProvider):
    with pytest.raises(PhotoUnreadable) as caught:
        await collect(provider, replace(REQUEST, photo=b"no photo"))
    assert caught.value.code is ErrorCode.UPLOAD_GONE
    assert not caught.value.retryable
    with pytest.raises(ProviderMisconfigured, match="smoooth"):
        await collect(provider, replace(REQUEST, style_parameters={"smoooth": 1.0}))
    with pytest.raises(ProviderMisconfigured, match="baroque"):
        await collect(provider, replace(REQUEST, style="baroque"))
    # None of these cost a child.
    assert len(painters()) <= 1
    assert isinstance((await collect(provider, REQUEST))[-1], Finished)


async def test_check_and_resume(provider: LocalProvider):
    assert await provider.check() == "local painter: local-painter-1 is ready"
    with pytest.raises(ProviderMisconfigured):
        await anext(provider.resume(REQUEST, "x"))


def test_wrong_parameters_of_a_style_are_found_at_the_start():
    style = load_styles()["ink"]
    wrong: dict[str, Style] = {"ink": replace(style, parameters={"local": {"blend": "99"}})}
    with pytest.raises(ProviderMisconfigured, match=r"style ink, local: blend"):
        LocalProvider(styles=wrong)


_PARENT = """
import asyncio, sys
from core.styles import load_styles
from core.vocabulary import ImageSize
from providers.base import PaintRequest
from providers.local import LocalProvider

async def main():
    provider = LocalProvider(styles=load_styles())
    size = ImageSize.LANDSCAPE_1536X1024
    async for _ in provider.paint(PaintRequest("a", "a town", "", "", "ghibli", size, 1)):
        print("painting", flush=True)

asyncio.run(main())
"""


def test_children_end_when_the_parent_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert parent.stdout.readline() == "painting\n"
        (child,) = children_of(parent.pid)
        assert is_running(child)
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_running(child))


def test_frames_are_bounded_and_strict():
    frame = pack(Cancel(7))
    assert body_length(frame[:HEADER_BYTES]) == len(frame) - HEADER_BYTES
    assert unpack_request(frame[HEADER_BYTES:]) == Cancel(7)
    with pytest.raises(FrameTooLargeError):
        body_length((MAX_FRAME_BYTES + 1).to_bytes(HEADER_BYTES, "big"))
    with pytest.raises(msgspec.DecodeError):
        unpack_answer(frame[HEADER_BYTES:])
