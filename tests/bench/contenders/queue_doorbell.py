"""Our doorbell with jobs that do nothing: `python -m ... worker|enqueue`, settings as ours.

What is left out is what makes a job ours: the claim in Postgres, ledger, lease and picture. The
whole product is measured beside it.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

import uvloop

from core.pubsub import Subscriber
from core.settings import load_settings
from jobs.channels import Channels
from jobs.doorbell import Ring, answer_doorbell
from mintari.service import open_kit
from tests.bench.contenders.tally import enqueue_as_told, started


def _ring(run: int, count: int, enqueued_ns: int) -> Ring:
    """A ring that carries the tally's numbers: where the others have arguments, we have an id."""
    return Ring(UUID(int=run << 112 | count << 80 | enqueued_ns), 0)


async def work() -> None:
    settings = load_settings()
    channels, wake = Channels(settings.redis_prefix), asyncio.Event()

    def start(job_id: UUID, _attempt: int) -> None:
        value = job_id.int
        started(value >> 112, value >> 80 & 0xFFFF_FFFF, value & (1 << 80) - 1)
        # As our runner does when a job ends: a slot is free again.
        wake.set()

    ears = Subscriber(settings, lambda _channel, _data: wake.set(), wake.set)
    async with asyncio.TaskGroup() as tasks:
        await ears.subscribe([channels.wake])
        tasks.create_task(ears.run())
        tasks.create_task(
            answer_doorbell(settings, channels, start=start, free_slots=lambda: 16, wake=wake)
        )
        print("ready", flush=True)


async def enqueue() -> None:
    async with open_kit(load_settings()) as kit:
        await enqueue_as_told(lambda run, count, at: kit.doorbell.ring([_ring(run, count, at)]))


if __name__ == "__main__":
    uvloop.run(work() if sys.argv[1] == "worker" else enqueue())
