"""The worker process: signals around `jobs.worker.Worker`."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import uvloop

from core.log import configure_logging
from jobs.channels import Channels
from jobs.readiness import Readiness
from jobs.worker import Worker
from mintari.monitor import open_monitor
from mintari.scrape import Scrape
from mintari.service import open_kit
from resolvers.storage_health import StorageHealth

if TYPE_CHECKING:
    from core.settings import Settings


def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then drain."""
    configure_logging(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    await work(settings, stop)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, then drain; watched on METRICS_PORT meanwhile."""
    async with open_kit(settings) as kit:
        scrape = Scrape(kit.metrics, kit.database, kit.breakers, kit.providers)
        storage_works = StorageHealth(kit.storage).works
        readiness = Readiness(kit.database, kit.publisher, storage_works, stop.is_set)
        async with open_monitor(settings, scrape, readiness):
            await Worker(kit, Channels(settings.redis_prefix)).run(stop)
