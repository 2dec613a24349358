"""Queues: how long a job waits on an idle system, and what an empty job costs a worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

import msgspec

from tests.bench.figures import Sample
from tests.bench.machine import HERE, START_S, cpu_s, pinned, python
from tests.bench.packages import bench_python, node
from tests.conftest import free_port
from tests.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.bench.plan import Plan
    from tests.bench.stack import Stack
    from tests.programs import Program

DOORBELL = "our doorbell"
ARQ = "arq as it comes"
QUEUES = (DOORBELL, ARQ, "SAQ", "taskiq", "BullMQ")
PAUSE_S = 0.01
"""Between two jobs of the latency run: an idle system."""
SCRIPTS = HERE / "contenders"


class Waits(msgspec.Struct, frozen=True):
    """How long the jobs of one run waited, from before they were enqueued until they started."""

    run: int
    p50_ms: float
    p99_ms: float


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """All queues in turn."""
    for number in range(min(plan.rounds, 2)):
        for who in plan.only or QUEUES:
            figures = await _measure(who, stack, plan)
            yield Sample(
                part="queue", case="jobs that do nothing", who=who, round=number, figures=figures
            )


async def _measure(who: str, stack: Stack, plan: Plan) -> dict[str, float]:
    command, environment = _command(who, stack)
    address = _address(who, stack)
    with pinned([*command, "worker", *address], environment) as worker:
        await asyncio.to_thread(worker.line_with, "ready")
        async with _enqueuer([*command, "enqueue", *address], environment) as enqueuer:
            return await _runs(worker, enqueuer, plan)


async def _runs(worker: Program, enqueuer: asyncio.StreamWriter, plan: Plan) -> dict[str, float]:
    few, many = (50, 500) if plan.quick else (200, 1000)
    await _ran(worker, enqueuer, 1, few, 0)
    waits = await _ran(worker, enqueuer, 2, few, PAUSE_S)
    before_s, began_s = cpu_s(worker.pid), time.monotonic()
    await _ran(worker, enqueuer, 3, many, 0)
    used_s, passed_s = cpu_s(worker.pid) - before_s, time.monotonic() - began_s
    return {
        "p50_ms": waits.p50_ms,
        "p99_ms": waits.p99_ms,
        "per_cpu_s": many / used_s,
        "per_s": many / passed_s,
    }


async def _ran(
    worker: Program, enqueuer: asyncio.StreamWriter, run: int, count: int, pause_s: float
) -> Waits:
    """Enqueue a run of jobs and wait until all have started."""
    enqueuer.write(f"{run} {count} {pause_s}\n".encode())
    line = await asyncio.to_thread(worker.line_with, f'"run":{run}', within_s=120)
    return msgspec.json.decode(line, type=Waits)


@contextlib.asynccontextmanager
async def _enqueuer(
    command: list[str], environment: dict[str, str]
) -> AsyncGenerator[asyncio.StreamWriter, None]:
    """A program that enqueues what it is told; on this core, with the servers behind."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            assert await process.stdout.readline() == b"ready\n", f"{command} did not start"
        yield process.stdin
    finally:
        process.kill()
        await process.wait()


def _command(who: str, stack: Stack) -> tuple[list[str], dict[str, str]]:
    if who == DOORBELL:
        module = "tests.bench.contenders.queue_doorbell"
        return python("-m", module), stack.environment(free_port())
    if who == "BullMQ":
        return [node(), str(SCRIPTS / "queue_bullmq.mjs")], {}
    script = SCRIPTS / f"queue_{who.split(maxsplit=1)[0].lower()}.py"
    return [*(python() if who == ARQ else [bench_python()]), str(script)], {}


def _address(who: str, stack: Stack) -> list[str]:
    if who == DOORBELL:
        return []
    return [stack.valkey_socket if who == "BullMQ" else stack.valkey_url]
