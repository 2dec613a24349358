"""An abusive client beside well-behaved ones: what it does to their p99, by kind of abuse.

Twenty sockets get 200 messages a second together, and 100 queries a second are asked; each attack
is measured right after a quiet spell of the same length. Limits are the product's own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.settings import Settings
from tests.bench.attacker import ATTACKS
from tests.bench.fanout import deliver, sockets_of
from tests.bench.figures import Sample
from tests.bench.load import loading
from tests.bench.machine import cores, cpu_s, pinned, python
from tests.bench.publishing import Stamps, publishing
from tests.bench.requesting import read_requests, requesting
from tests.bench.stack import USERS, our_api, running_jobs, token
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from db.records import JobRecord
    from tests.bench.load import Load
    from tests.bench.plan import Plan
    from tests.bench.publishing import Publishing
    from tests.bench.requesting import Requests
    from tests.bench.stack import Stack

SOCKETS = 20
DELIVERIES_PER_S = 200
QUERIES_PER_S = 100
EVENTS_PER_S = 10
"""Of the attacker's own job: as often as our workers publish."""


@dataclass(frozen=True)
class Scene:
    """Who is there; `pid` is the server's."""

    pid: int
    port: int
    publisher: Publishing
    load: Load
    requests: Requests
    jobs: Sequence[JobRecord]
    attackers_job: JobRecord
    stamps: Stamps


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """Every kind, quiet before each."""
    jobs = await running_jobs(stack, USERS)
    defaults = {
        name.upper(): str(Settings.model_fields[name].default)
        for name in (
            "max_requests_per_s",
            "max_operations_per_user",
            "max_sockets_per_user",
            "max_sockets_per_address",
        )
    }
    environment = stack.environment(free_port(), **defaults)
    stamps, port = Stamps(), int(environment["API_PORT"])
    victims = jobs[:SOCKETS]
    with our_api(environment) as api:
        async with (
            publishing(stack.valkey_url, stack.settings(environment)) as publisher,
            loading(port, sockets_of(victims, SOCKETS), stamps.base_ns) as load,
            requesting(port, read_requests(victims), '"progressKind"', connections=16) as requests,
        ):
            await load.connect()
            scene = Scene(api.pid, port, publisher, load, requests, victims, jobs[-1], stamps)
            await _spell(scene, 1)
            for_s = 1.5 if plan.quick else 5
            for number in range(plan.rounds):
                for kind in plan.only or ATTACKS:
                    quiet = await _spell(scene, for_s)
                    yield Sample(
                        part="attacks", case=kind, who="quiet", round=number, figures=quiet
                    )
                    attacked = await _attacked(scene, kind, for_s)
                    yield Sample(
                        part="attacks", case=kind, who="attacked", round=number, figures=attacked
                    )


async def _attacked(scene: Scene, kind: str, for_s: float) -> dict[str, float]:
    bearer = token(USERS - 1)
    arguments = (kind, str(scene.port), bearer, str(scene.attackers_job.id))
    command = python("-m", "tests.bench.attacker", *arguments)
    with pinned(command, {}, core=cores()[1]) as attacker:
        await asyncio.to_thread(attacker.line_with, "ready")
        figures = await _spell(scene, for_s)
        assert attacker.process.poll() is None, attacker.output
    # What the attacker left behind is cleaned up by the server meanwhile.
    await asyncio.sleep(0.5)
    return figures


async def _spell(scene: Scene, for_s: float) -> dict[str, float]:
    """Messages and queries for a while."""
    before_s = cpu_s(scene.pid)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_attackers_events(scene, for_s))
        delivering = tasks.create_task(
            deliver(
                scene.publisher,
                scene.load,
                scene.jobs,
                scene.stamps,
                per_s=DELIVERIES_PER_S,
                for_s=for_s,
            )
        )
        asking = tasks.create_task(
            scene.requests.run(int(QUERIES_PER_S * for_s), per_s=QUERIES_PER_S)
        )
    stats, answers = delivering.result(), asking.result()
    assert stats.lost == 0, "an innocent socket was cut off"
    return {
        "message_p99_ms": stats.p99_us / 1000,
        "query_p99_ms": answers.p99_us / 1000,
        "server_cpu_s": cpu_s(scene.pid) - before_s,
        "message_p50_ms": stats.p50_us / 1000,
        "query_p50_ms": answers.p50_us / 1000,
    }


async def _attackers_events(scene: Scene, for_s: float) -> None:
    for _ in range(int(for_s * EVENTS_PER_S)):
        await scene.publisher.publish([(scene.attackers_job, scene.stamps.next())])
        await asyncio.sleep(1 / EVENTS_PER_S)
