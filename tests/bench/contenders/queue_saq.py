# pyright: basic, reportMissingImports=false
"""SAQ: `python queue_saq.py worker|enqueue REDIS_URL`."""

from __future__ import annotations

import sys

import uvloop
from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue
from tally import enqueue_as_told, started


async def job(_context, *, run: int, count: int, enqueued_ns: int) -> None:
    started(run, count, enqueued_ns)


async def ready(_context) -> None:
    print("ready", flush=True)


async def main() -> None:
    role, url = sys.argv[1:]
    queue = RedisQueue(Redis.from_url(url))
    if role == "worker":
        await Worker(queue, functions=[job], concurrency=16, startup=ready).start()
        return
    await queue.connect()
    await enqueue_as_told(
        lambda run, count, at: queue.enqueue("job", run=run, count=count, enqueued_ns=at)
    )


if __name__ == "__main__":
    uvloop.run(main())
