"""How smoothly the page scrolls: 200 tiles, 50 of them live, by a trace of Chromium.

    python -m tests.bench.scrolling [--trace FOLDER]

The API is a process of its own. The live frames are claimed and reported by the worker's own
parts (`Report`, `Outbox`, previews in storage), so that what arrives at the page is what a worker
sends, at a rate that does not depend on how fast this machine paints. The same page is scrolled
with the live frames silent and without any, and so is an empty page of the same height: what the
machine itself cannot do is then seen.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import shutil
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import numpy as np
from PIL import Image
from playwright.async_api import async_playwright, expect
from skimage import data as photos

from core.auth import issue_token
from core.keys import image_key, preview_key, thumbnail_key
from core.pictures import prepare_picture
from core.settings import Settings
from core.vocabulary import ProgressKind
from db.lifecycle import Finish, claim, succeed
from db.migrate import upgrade
from jobs.changes import change_of
from jobs.keep import store_result
from jobs.reporter import Outbox, Report
from mintari import webbuild
from mintari.service import open_kit
from tests.client import Client
from tests.conftest import SECRET, free_port
from tests.programs import running
from tests.servers import postgres_server, server_folder, valkey_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from playwright.async_api import Browser, CDPSession, Page, ViewportSize

    from core.pictures import Picture
    from db.records import JobRecord
    from jobs.kit import Kit

TILES, LIVE = 200, 50
SIZE_PX = 768
CHANGES_PER_S = 4
"""Of each live frame; a worker sends ten at most."""
PREVIEW_EVERY = 20
"""Changes. That is a new preview for each live frame every five seconds."""
VIEW: ViewportSize = {"width": 1280, "height": 900}
SPEED_PX_PER_S = 2000
FRAME_MS = 1000 / 60
CATEGORIES = ["disabled-by-default-devtools.timeline.frame"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@dataclass(frozen=True)
class Smoothness:
    """How a page was scrolled.

    Attributes:
        shown: frames that the page drew.
        dropped: refreshes of the screen, of 60 a second, for which there was no new frame.
        p50_ms, p95_ms, worst_ms: from one frame to the next.
        unpainted: frames in which a part was not painted yet, because the scroll was faster.
        busy_ms_per_s: what the page's main thread had to do.
    """

    shown: int
    dropped: int
    p50_ms: float
    p95_ms: float
    worst_ms: float
    unpainted: int
    busy_ms_per_s: float

    def line(self, name: str) -> str:
        dropped = 100 * self.dropped / (self.shown + self.dropped)
        unpainted = 100 * self.unpainted / self.shown
        return (
            f"{name:22}{self.shown:6} {dropped:7.1f} % {self.p50_ms:8.1f} {self.p95_ms:8.1f}"
            f" {self.worst_ms:8.1f} {unpainted:9.1f} % {self.busy_ms_per_s:10.0f}"
        )


HEAD = f"{'':22} shown   dropped   p50 ms   p95 ms    worst   unpainted  busy ms/s"


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trace", type=Path, help="a folder for the traces")
    arguments = parser.parse_args()
    webbuild.build()
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        valkey = stack.enter_context(valkey_server())
        pictures = stack.enter_context(server_folder())
        upgrade(postgres.url)
        environment = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "STORAGE_URL": pictures.as_uri(),
            "AUTH_SECRET": SECRET,
            "API_PORT": str(free_port()),
            "RATE_LIMIT_MAX_REQUESTS": "1000",
            "MAX_ACTIVE_JOBS": str(TILES),
        }
        values: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
        settings = Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue]
        api = stack.enter_context(running("-m", "mintari", "api", environment=environment))
        api.line_with("Application startup complete")
        asyncio.run(measure(settings, arguments.trace))


async def measure(settings: Settings, folder: Path | None) -> None:
    """Scroll the page in each of its states, and an empty one."""
    token = issue_token(SECRET, user_id="ann", ttl_s=3600)
    async with AsyncExitStack() as stack:
        kit = await stack.enter_async_context(open_kit(settings))
        ann = Client(settings.public_url, token)
        stack.push_async_callback(ann.aclose)
        live = await fill(kit, ann)
        browser = await stack.enter_async_context(opened_browser())
        page = await browser.new_page(viewport=VIEW)
        height_px = await open_sketchbook(page, f"{settings.public_url}/#token={token}")
        outbox = Outbox(kit.publisher)
        painting = Painting([Report(job, outbox) for job in live])
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        services = [tasks.create_task(outbox.run()), tasks.create_task(painting.run())]
        print(HEAD)
        await show("50 of 200 tiles live", page, folder)
        painting.pause()
        await show("all silent", page, folder)
        for service in services:
            service.cancel()
        empty = await browser.new_page(viewport=VIEW)
        await empty.set_content(f"<body style='margin:0;height:{height_px}px'>")
        await show("an empty page", empty, folder)


# --- What there is to see ---


async def fill(kit: Kit, ann: Client) -> list[JobRecord]:
    """Start all frames, finish all but every fourth grid; the live jobs."""
    look = await painted()
    live: list[JobRecord] = []
    left, number = TILES, 0
    while left:
        frames = min(3, left)
        generation = await ann.started(
            prompt=f"Study {number:02} of a landscape after the rain",
            size=f"SQUARE_{SIZE_PX}",
            variantCount=frames,
        )
        # Every fourth grid is live: wherever one looks, something moves.
        is_live = number % 4 == 0 and len(live) < LIVE
        for job in generation["jobs"]:
            claimed = await claimed_job(kit, UUID(job["id"]))
            picture = look[(number + claimed.variant) % len(look)]
            if is_live and len(live) < LIVE:
                live.append(await begun(kit, claimed, look))
            else:
                await finish(kit, claimed, picture)
        left -= frames
        number += 1
    assert len(live) == LIVE
    return live


async def claimed_job(kit: Kit, job_id: UUID) -> JobRecord:
    async with kit.database.transaction() as connection:
        work = await claim(connection, job_id, 0, worker=kit.worker, lease_s=3600)
    assert work is not None
    return work.job


async def finish(kit: Kit, job: JobRecord, picture: Picture) -> None:
    """End a job as a worker does: the picture stored, then the row."""
    await store_result(kit.storage, job.id, job.attempt, picture)
    result = Finish(
        image_key=image_key(job.id, job.attempt),
        thumbnail_key=thumbnail_key(job.id, job.attempt),
        thumbhash=picture.thumbhash,
        content_type=picture.content_type,
        width_px=picture.width_px,
        height_px=picture.height_px,
        size_bytes=len(picture.content),
        digest=picture.digest,
        seed=job.seed,
        model=job.model,
        generation_time_ms=7000,
    )
    async with kit.database.transaction() as connection:
        await succeed(connection, job.id, job.attempt, result)


async def begun(kit: Kit, job: JobRecord, look: Sequence[Picture]) -> JobRecord:
    """Store the previews of a job that is going to be live, and say that it runs."""
    for number in range(1, 33):
        picture = look[(job.variant + number) % len(look)]
        key = preview_key(job.id, job.attempt, number)
        await kit.storage.put(key, picture.thumbnail, picture.content_type)
    await kit.publisher.publish([change_of(job)])
    return job


async def painted() -> list[Picture]:
    """Twelve pictures with the detail of photos."""
    scenes: list[Any] = [photos.astronaut(), photos.coffee(), photos.chelsea()]
    pictures: list[Picture] = []
    for number in range(12):
        pixels = np.roll(scenes[number % 3], 90 * number, axis=(number // 3) % 2)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((SIZE_PX, SIZE_PX)).save(buffer, "PNG", compress_level=1)
        pictures.append(
            await prepare_picture(
                buffer.getvalue(), max_pixels=10**7, max_edge_px=None, deadline_s=60
            )
        )
    return pictures


class Painting:
    """Live frames: each has something new CHANGES_PER_S times a second, evenly spread."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def pause(self) -> None:
        """Say nothing new any more."""
        self._goes_on.clear()

    async def run(self) -> None:
        """Paint until cancelled; from 99 percent on only previews and stages change."""
        pause_s = 1 / CHANGES_PER_S / len(self._reports)
        step = 0
        while True:
            for number, report in enumerate(self._reports):
                await self._goes_on.wait()
                self._change(report, step + number)
                await asyncio.sleep(pause_s)
            step += 1

    def _change(self, report: Report, step: int) -> None:
        job = report.job
        # Slow enough to last: a tenth of a percent each, so most changes move a pixel or none.
        report.progress(step // 8, ProgressKind.MEASURED)
        if step % PREVIEW_EVERY == 0:
            report.preview(preview_key(job.id, job.attempt, 1 + step // PREVIEW_EVERY % 32))


# --- Scrolling and tracing ---


@asynccontextmanager
async def opened_browser() -> AsyncGenerator[Browser, None]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def open_sketchbook(page: Page, address: str) -> int:
    """Scroll down until all tiles are there; the page's height, pixels."""
    await page.goto(address)
    tiles = page.get_by_test_id("tile")
    await expect(tiles.first).to_be_visible()
    while await tiles.count() < TILES:
        count = await tiles.count()
        await page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
        await expect(tiles.nth(count)).to_be_attached(timeout=30_000)
    running_tiles = page.locator("[data-testid=tile][data-state=RUNNING]")
    await expect(running_tiles).to_have_count(LIVE)
    return await page.evaluate("document.documentElement.scrollHeight")


async def show(name: str, page: Page, folder: Path | None) -> None:
    """Scroll down and up again, and print how smoothly it came up."""
    await page.bring_to_front()
    await page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    session = await page.context.new_cdp_session(page)
    # Once without counting: pictures are fetched, heights become known.
    await scroll(session, page)
    before_s = await busy_s(session)
    events = await traced(session, page)
    print(smoothness(events, await busy_s(session) - before_s).line(name), flush=True)
    if folder:
        (folder / f"{name.replace(' ', '-')}.json").write_text(json.dumps(events))
    await session.detach()


async def busy_s(session: CDPSession) -> float:
    """What the page's main thread has worked so far, seconds."""
    await send(session, "Performance.enable")
    metrics = (await send(session, "Performance.getMetrics"))["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


async def scroll(session: CDPSession, page: Page) -> None:
    """All the way, from whichever end the page is at, through the browser's own input path."""
    end_px = await page.evaluate("document.documentElement.scrollHeight - innerHeight")
    at_px = await page.evaluate("scrollY")
    goal_px = end_px if at_px < end_px / 2 else 0
    await send(
        session,
        "Input.synthesizeScrollGesture",
        x=20,
        y=450,
        yDistance=at_px - goal_px,
        speed=SPEED_PX_PER_S,
        gestureSourceType="mouse",
    )
    reached_px = await page.evaluate("scrollY")
    assert abs(reached_px - goal_px) < VIEW["height"], (at_px, goal_px, reached_px)


async def traced(session: CDPSession, page: Page) -> list[dict[str, Any]]:
    """The trace's events of one scroll."""
    events: list[dict[str, Any]] = []
    complete = asyncio.Event()
    listen = cast("Any", session).on
    listen("Tracing.dataCollected", lambda data: events.extend(data["value"]))  # pyright: ignore
    listen("Tracing.tracingComplete", lambda _: complete.set())  # pyright: ignore
    config = {"includedCategories": CATEGORIES, "excludedCategories": ["*"]}
    await send(session, "Tracing.start", traceConfig=config)
    await scroll(session, page)
    await send(session, "Tracing.end")
    await asyncio.wait_for(complete.wait(), 60)
    return events


async def send(session: CDPSession, method: str, **parameters: Any) -> Any:
    """A command of the DevTools protocol: https://chromedevtools.github.io/devtools-protocol."""
    return await cast("Any", session).send(method, parameters)


def smoothness(events: Sequence[Mapping[str, Any]], busy_s: float) -> Smoothness:
    """Read a trace: when frames were drawn, and what the compositor says about each."""
    drawn_ms = sorted(event["ts"] / 1000 for event in events if event["name"] == "DrawFrame")
    between_ms = [later - earlier for earlier, later in pairwise(drawn_ms)]
    percentiles = quantiles(between_ms, n=100)
    reports = [
        event["args"]["frame_reporter"]
        for event in events
        if event["name"] == "PipelineReporter" and event["ph"] == "b"
    ]
    # A frame may have two reports: what the compositor did alone, and what the page had to do.
    unpainted = {each["frame_sequence"] for each in reports if each["has_missing_content"]}
    return Smoothness(
        shown=len(drawn_ms),
        dropped=sum(round(gap / FRAME_MS) - 1 for gap in between_ms if gap > 1.5 * FRAME_MS),
        p50_ms=percentiles[49],
        p95_ms=percentiles[94],
        worst_ms=max(between_ms),
        unpainted=len(unpainted),
        busy_ms_per_s=busy_s * 1e6 / (drawn_ms[-1] - drawn_ms[0]),
    )


if __name__ == "__main__":
    main()
