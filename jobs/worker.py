"""A worker process: doorbell, runner, sweeper and the ears for wake-ups and cancels."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from core.ids import parse_id
from core.log import get_logger
from core.patience import persevere
from core.shards import subscriber
from core.stopping import cancel_for_good
from db.engine import is_database_down
from db.lifecycle import find_held, take_over
from jobs.courier import Courier
from jobs.doorbell import answer_doorbell
from jobs.reporter import Outbox
from jobs.roster import Roster
from jobs.runner import Runner
from jobs.sweeper import Sweeper, announce_taken_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.settings import Settings
    from jobs.channels import Channels
    from jobs.kit import Kit

START_PATIENCE_S = 60.0
SERVICE_PAUSE_S = 1.0

_log = get_logger(__name__)


def worker_name(settings: Settings) -> str:
    """The configured name, or one that no other worker has (then nothing is taken over)."""
    return settings.worker_name or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"


async def _keep_going(name: str, service: Callable[[], Awaitable[None]]) -> None:
    """A service that fails is a bug, but no reason to cut the paid calls of all jobs here."""
    while True:
        try:
            await service()
        except Exception:
            _log.exception("a service failed and is started again", service=name)
        await asyncio.sleep(SERVICE_PAUSE_S)


class Worker:
    """Runs jobs until `stop` is set, then drains."""

    def __init__(self, kit: Kit, channels: Channels) -> None:
        self._kit = kit
        self._channels = channels
        self._wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work; returns when drained. Raises what Postgres raises if it is away at the start."""
        await self._take_over()
        async with asyncio.TaskGroup() as jobs:
            outbox = Outbox(self._kit.publisher)
            runner = Runner(self._kit, outbox, jobs, self._wake)
            ears = subscriber(
                self._kit.settings,
                lambda channel, data: self._on_message(runner, channel, data),
                self._wake.set,
            )
            roster = Roster(self._kit, runner)
            sweeper = Sweeper(self._kit, runner, lambda: ears.connected)
            async with asyncio.TaskGroup() as services:
                await ears.subscribe([self._channels.wake, self._channels.control])
                running = [
                    services.create_task(_keep_going(name, service))
                    for name, service in (
                        ("ears", ears.run),
                        ("outbox", outbox.run),
                        ("heart", runner.beat_forever),
                        ("roster", roster.run),
                        ("breakers", lambda: self._kit.breakers.watch(self._kit.providers)),
                        ("sweeper", sweeper.run),
                        ("courier", Courier(self._kit).run),
                        ("doorbell", lambda: self._answer(runner)),
                    )
                ]
                _log.info("worker ready", worker=self._kit.worker)
                await stop.wait()
                _log.info("worker draining", worker=self._kit.worker)
                await runner.drain(self._kit.settings.worker_drain_s)
                await cancel_for_good(running)
                await roster.leave()
        _log.info("worker stopped", worker=self._kit.worker)

    async def _take_over(self) -> None:
        """Free what a crashed worker of this name still holds; it cannot be alive any more."""

        async def write() -> None:
            async with self._kit.database.read() as connection:
                held = await find_held(connection, self._kit.worker)
            shown = await self._kit.publisher.shown_progress(held)
            async with self._kit.database.transaction() as connection:
                jobs = await take_over(
                    connection,
                    worker=self._kit.worker,
                    max_crashes=self._kit.settings.max_crashes,
                    shown=shown,
                )
            await announce_taken_back(self._kit, jobs)

        await persevere(write, while_=is_database_down, patience_s=START_PATIENCE_S)

    async def _answer(self, runner: Runner) -> None:
        await answer_doorbell(
            self._kit.settings,
            self._channels,
            start=runner.start,
            free_slots=runner.free_slots,
            wake=self._wake,
        )

    def _on_message(self, runner: Runner, channel: bytes, data: bytes) -> None:
        if channel == self._channels.wake.encode():
            self._wake.set()
            return
        verb, _, argument = data.decode(errors="replace").partition(" ")
        if verb == "breaker":
            self._kit.breakers.heard_of_change(argument)
        elif verb == "cancel" and (job_id := parse_id(argument)):
            runner.stop(job_id)
