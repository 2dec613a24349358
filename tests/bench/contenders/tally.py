"""Counts finished jobs and says when a run of them is over: shared by queues written in Python.

A job's arguments are its run, how many jobs that run has, and when it was enqueued (nanoseconds of
CLOCK_MONOTONIC). Needs nothing but Python: some of its users live in another environment.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_waits_ns: dict[int, list[int]] = {}


def started(run: int, count: int, enqueued_ns: int) -> None:
    """Note that a job starts now; after a run's last one, print how long its jobs waited."""
    waits = _waits_ns.setdefault(run, [])
    waits.append(time.monotonic_ns() - enqueued_ns)
    if len(waits) == count:
        waits.sort()
        p50, p99 = waits[count // 2], waits[int((count - 1) * 0.99)]
        figures = {"run": run, "p50_ms": p50 / 1e6, "p99_ms": p99 / 1e6}
        print(json.dumps(figures, separators=(",", ":")), flush=True)
        del _waits_ns[run]


async def enqueue_as_told(enqueue: Callable[[int, int, int], Awaitable[object]]) -> None:
    """Enqueue what comes on stdin, a line each: run, how many, pause after each in seconds."""
    import asyncio

    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        run_text, count_text, pause_text = line.split()
        run, count, pause_s = int(run_text), int(count_text), float(pause_text)
        if pause_s:
            for _ in range(count):
                await enqueue(run, count, time.monotonic_ns())
                await asyncio.sleep(pause_s)
        else:
            # A hundred at a time, as busy servers would.
            for first in range(0, count, 100):
                some = range(min(100, count - first))
                await asyncio.gather(*(enqueue(run, count, time.monotonic_ns()) for _ in some))
