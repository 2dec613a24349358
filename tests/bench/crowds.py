"""Crowds: 10,000 idle grids on one process, and 5,000 sockets that come back at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.bench.contending import OURS, YOGA, contender
from tests.bench.documents import FOLLOW, subscribe
from tests.bench.fanout import SETTLE_S, sockets_of
from tests.bench.figures import Sample
from tests.bench.load import loading
from tests.bench.machine import cpu_s, memory_kb
from tests.bench.publishing import Stamps, publishing
from tests.bench.stack import running_jobs, token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from db.records import JobRecord
    from tests.bench.contending import Server
    from tests.bench.load import Load
    from tests.bench.plan import Plan
    from tests.bench.stack import Stack

FRAMES = 3
"""Jobs of a grid."""
IDLE_S = 6.0
"""How long a crowd is watched doing nothing: one reading of all versions from Postgres."""


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """Idle grids of ours; the storm of ours and of yoga."""
    grids, storm = (500, 500) if plan.quick else (10_000, 5000)
    if OURS in (plan.only or (OURS,)):
        figures = await _idle(stack, grids)
        yield Sample(part="crowds", case=f"idle {grids}", who=OURS, round=0, figures=figures)
    for number in range(min(plan.rounds, 2)):
        for who in plan.only or (OURS, YOGA):
            figures = await _storm(stack, who, storm)
            yield Sample(
                part="crowds", case=f"storm {storm}", who=who, round=number, figures=figures
            )


async def _idle(stack: Stack, grids: int) -> dict[str, float]:
    jobs = await running_jobs(stack, grids * FRAMES)
    owned: dict[str, list[JobRecord]] = {}
    for job in jobs:
        owned.setdefault(job.user_id, []).append(job)
    plan: list[tuple[object, object]] = []
    for number, mine in enumerate(owned.values()):
        payload = {"authorization": f"Bearer {token(number)}"}
        init = {"type": "connection_init", "payload": payload}
        plan += [
            (init, subscribe(FOLLOW, [str(job.id) for job in mine[first : first + FRAMES]]))
            for first in range(0, len(mine) - FRAMES + 1, FRAMES)
        ]
    with contender(OURS, stack) as server:
        async with loading(server.port, plan, Stamps().base_ns) as load:
            return await _connected(server, load, len(plan))


async def _storm(stack: Stack, who: str, sockets: int) -> dict[str, float]:
    jobs = await running_jobs(stack, sockets)
    stamps = Stamps()
    with contender(who, stack) as server:
        async with (
            publishing(stack.valkey_url, server.settings) as publisher,
            loading(server.port, sockets_of(jobs, sockets), stamps.base_ns) as load,
        ):
            await publisher.prepare(jobs)
            await load.connect()
            await load.close_sockets()
            # Until the server has noticed that they are gone.
            await asyncio.sleep(2 * SETTLE_S)
            before_s = cpu_s(server.pid)
            seconds = await load.connect(at_once=sockets)
            return {"seconds": seconds, "server_cpu_s": cpu_s(server.pid) - before_s}


async def _connected(server: Server, load: Load, sockets: int) -> dict[str, float]:
    memory_before_kb, before_s = memory_kb(server.pid), cpu_s(server.pid)
    seconds = await load.connect(snapshots=FRAMES)
    await asyncio.sleep(SETTLE_S)
    connected_s = cpu_s(server.pid)
    await asyncio.sleep(IDLE_S)
    return {
        "kb": (memory_kb(server.pid) - memory_before_kb) / sockets,
        "seconds": seconds,
        "connect_ms": (connected_s - before_s) * 1000 / sockets,
        "idle_share": (cpu_s(server.pid) - connected_s) / IDLE_S,
    }
