"""Wiring: opens every part of an API or a worker process, and closes it again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from core.metrics import Metrics
from core.prices import load_prices
from core.redis import open_redis
from core.safety.pictures import load_picture_judge
from core.safety.policy import load_policy
from core.sealing import Sealer
from core.stopping import cancel_for_good
from core.styles import load_styles
from core.tracing import open_tracing
from db.admission_queue import AdmissionQueue
from db.driver import open_driver
from db.engine import open_database
from jobs.breakers import Breakers
from jobs.channels import Channels
from jobs.doorbell import Doorbell
from jobs.feed import Feed
from jobs.kit import Kit
from jobs.publisher import Publisher
from jobs.readiness import Readiness
from jobs.worker import worker_name
from providers.registry import open_providers
from resolvers.context import App
from resolvers.estimates import Estimates
from resolvers.reads import open_reads
from resolvers.revocations import Revocations
from resolvers.storage_health import StorageHealth
from storage.registry import open_storage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from core.settings import Settings
    from core.tracing import Tracing


@contextlib.asynccontextmanager
async def open_app(settings: Settings, tracing: Tracing) -> AsyncGenerator[App, None]:
    """The parts of an API process; its feed runs, and `tracing` is open, until the block ends."""
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(tracing.aclose)
        database = await stack.enter_async_context(open_database(settings, tracing))
        driver = await stack.enter_async_context(open_driver(settings, tracing))
        timeout_s = settings.operation_timeout_s
        reads = await stack.enter_async_context(open_reads(driver, timeout_s))
        redis = await stack.enter_async_context(open_redis(settings))
        storage = await stack.enter_async_context(open_storage(settings, redis))
        styles = load_styles(settings.styles_file)
        providers = await stack.enter_async_context(open_providers(settings, styles))
        channels = Channels(settings.redis_prefix)
        metrics = Metrics("api")
        publisher = Publisher(redis, channels, metrics)
        feed = Feed(settings, driver, publisher, channels)
        revocations = Revocations(settings, database, channels)
        await revocations.read()
        storage_health = StorageHealth(storage)
        statement_timeout_s = settings.database_statement_timeout_ms / 1000
        admission_queue = AdmissionQueue(driver, database, timeout_s=statement_timeout_s)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = (feed.run(), revocations.run(), admission_queue.run())
        services = [tasks.create_task(service) for service in running]
        stack.push_async_callback(cancel_for_good, services)
        yield App(
            settings=settings,
            database=database,
            admission_queue=admission_queue,
            feed=feed,
            redis=redis,
            publisher=publisher,
            doorbell=Doorbell(redis, channels),
            storage=storage,
            providers=providers,
            breakers=Breakers(redis, channels, settings),
            styles=styles,
            estimates=Estimates(database),
            reads=reads,
            driver=driver,
            storage_health=storage_health,
            policy=load_policy(settings.safety_lists),
            picture_judge=load_picture_judge(settings),
            revocations=revocations,
            sealer=Sealer.from_settings(settings),
            readiness=Readiness(database, publisher, storage_health.works),
            metrics=metrics,
            tracing=tracing,
        )


@contextlib.asynccontextmanager
async def open_kit(settings: Settings) -> AsyncGenerator[Kit, None]:
    """The parts of a worker process."""
    styles = load_styles(settings.styles_file)
    tracing = open_tracing(settings, "worker")
    async with (
        contextlib.aclosing(tracing),
        open_database(settings, tracing) as database,
        open_redis(settings) as redis,
        open_storage(settings) as storage,
        open_providers(settings, styles) as providers,
    ):
        channels, metrics = Channels(settings.redis_prefix), Metrics("worker")
        yield Kit(
            settings=settings,
            worker=worker_name(settings),
            database=database,
            publisher=Publisher(redis, channels, metrics),
            doorbell=Doorbell(redis, channels),
            storage=storage,
            providers=providers,
            breakers=Breakers(redis, channels, settings),
            styles=styles,
            metrics=metrics,
            prices=load_prices(settings.prices_file),
            tracing=tracing,
            sealer=Sealer.from_settings(settings),
            picture_judge=load_picture_judge(settings),
        )
