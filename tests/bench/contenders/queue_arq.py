"""arq as it comes: `python queue_arq.py worker|enqueue REDIS_URL`."""

from __future__ import annotations

import sys
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from tally import enqueue_as_told, started


async def job(ctx: dict[Any, Any], run: int, count: int, enqueued_ns: int) -> None:
    del ctx
    started(run, count, enqueued_ns)


async def ready(ctx: dict[Any, Any]) -> None:
    del ctx
    print("ready", flush=True)


async def main() -> None:
    role, url = sys.argv[1:]
    settings = RedisSettings.from_dsn(url)
    if role == "worker":
        worker = Worker([func(job, name="job")], redis_settings=settings, on_startup=ready)
        await worker.async_run()
        return
    pool = await create_pool(settings)
    await enqueue_as_told(lambda run, count, at: pool.enqueue_job("job", run, count, at))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
