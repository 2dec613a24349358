# pyright: basic, reportMissingImports=false
"""taskiq with a Redis list: `python queue_taskiq.py worker|enqueue REDIS_URL`."""

from __future__ import annotations

import sys

import uvloop
from tally import enqueue_as_told, started
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

role, url = sys.argv[1:]
broker = ListQueueBroker(url)


@broker.task
async def job(run: int, count: int, enqueued_ns: int) -> None:
    started(run, count, enqueued_ns)


async def main() -> None:
    if role == "worker":
        broker.is_worker_process = True
    await broker.startup()
    if role == "worker":
        print("ready", flush=True)
        await run_receiver_task(broker, max_async_tasks=16)
        return
    await enqueue_as_told(job.kiq)


if __name__ == "__main__":
    uvloop.run(main())
