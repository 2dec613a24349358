"""Fan-out: what it costs a server to push one job's news to one subscriber.

Closed loop for cost: so many events are in flight, the next ones are published when every socket
has seen them. Open loop for latency: 2,000 deliveries a second, each stamped when published.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.contending import CONTENDERS, DOCUMENTED, LIMIT, OURS, YOGA, contender
from tests.bench.documents import FOLLOW, subscribe
from tests.bench.figures import Sample
from tests.bench.load import loading
from tests.bench.machine import cpu_s, memory_kb
from tests.bench.publishing import Stamps, publishing
from tests.bench.stack import USERS, running_jobs, token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from db.records import JobRecord
    from tests.bench.contending import Server
    from tests.bench.load import Load, Stats
    from tests.bench.plan import Plan
    from tests.bench.publishing import Publishing
    from tests.bench.stack import Stack

DELIVERIES_PER_S = 2000
SETTLE_S = 0.5
"""For what a server does after the last snapshot: yoga subscribes in Redis only then."""
LATE_S = 60.0
BURST = 1000
"""Events published in one round trip at most."""
WARM_S = 1.0
"""Before cost is measured: what a server compiles or caches, it has compiled and cached then."""
EVENTS_IN_FLIGHT = 4
"""Where all watch few jobs: enough that a server may write several at once, as it would busy."""


@dataclass(frozen=True)
class Case:
    """What is asked of a server.

    Attributes:
        name: how results call it.
        sockets: how many there are.
        jobs: how many are watched; the sockets share them evenly.
        in_flight: events of each job that are published before everybody has seen the last ones.
        document: the subscription.
        model: the name of each job's model, to make messages longer.
        cost_s: how long cost is measured; 0: not at all.
        latency_s: how long latency is measured; 0: not at all.
    """

    name: str
    sockets: int
    jobs: int
    in_flight: int = 1
    document: str = FOLLOW
    model: str = "painter-1"
    cost_s: float = 1.5
    latency_s: float = 0


def one(sockets: int, **options: Any) -> Case:
    """All watch one job."""
    return Case(f"one {sockets}", sockets, 1, in_flight=EVENTS_IN_FLIGHT, **options)


def own(sockets: int, **options: Any) -> Case:
    """Each watches its own."""
    return Case(f"own {sockets}", sockets, sockets, **options)


async def measure(stack: Stack, part: str, case: Case, who: str, number: int) -> Sample:
    """One contender in one case, in a process of its own."""
    jobs = await running_jobs(stack, case.jobs, model=case.model)
    stamps = Stamps()
    with contender(who, stack) as server:
        async with publishing(stack.valkey_url, server.settings) as publisher:
            await publisher.prepare(jobs)
            figures = await _figures(case, server, publisher, jobs, stamps)
    return Sample(part=part, case=case.name, who=who, round=number, figures=figures)


async def _figures(
    case: Case,
    server: Server,
    publisher: Publishing,
    jobs: Sequence[JobRecord],
    stamps: Stamps,
) -> dict[str, float]:
    plan = sockets_of(jobs, case.sockets, case.document)
    async with loading(server.port, plan, stamps.base_ns) as load:
        figures = await _connect(case, server, load)
        if case.cost_s:
            await load.reset()
            await _rounds(publisher, load, jobs, stamps, case.in_flight, for_s=WARM_S)
            figures |= await _cost(case, server, publisher, load, jobs, stamps)
        if case.latency_s:
            figures |= await _latency(case, publisher, load, jobs, stamps)
        stats = await load.stats()
        assert stats.lost == 0, f"{stats.lost} sockets were lost"
    return figures


def sockets_of(
    jobs: Sequence[JobRecord], count: int, document: str = FOLLOW
) -> list[tuple[object, object]]:
    """The load client's plan: sockets that share the jobs evenly, each with its owner's token."""
    inits: list[object] = []
    for number in range(min(USERS, len(jobs))):
        payload = {"authorization": f"Bearer {token(number)}"}
        inits.append({"type": "connection_init", "payload": payload})
    numbers = [number % len(jobs) for number in range(count)]
    return [
        (inits[number % USERS], subscribe(document, [str(jobs[number].id)])) for number in numbers
    ]


async def _connect(case: Case, server: Server, load: Load) -> dict[str, float]:
    memory_before_kb, cpu_before_s = memory_kb(server.pid), cpu_s(server.pid)
    await load.connect()
    await asyncio.sleep(SETTLE_S)
    return {
        "connect_ms": (cpu_s(server.pid) - cpu_before_s) * 1000 / case.sockets,
        "kb": (memory_kb(server.pid) - memory_before_kb) / case.sockets,
    }


async def _rounds(
    publisher: Publishing,
    load: Load,
    jobs: Sequence[JobRecord],
    stamps: Stamps,
    in_flight: int,
    *,
    for_s: float,
) -> None:
    """Publish that many events of each job and wait until all have been seen, again and again."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        # Each job's last event is younger than all but last events of the others.
        events = [(job, stamps.next()) for _ in range(in_flight) for job in jobs]
        for start in range(0, len(events), BURST):
            await publisher.publish(events[start : start + BURST])
        await load.everybody_has(events[-len(jobs)][1])


async def _cost(
    case: Case,
    server: Server,
    publisher: Publishing,
    load: Load,
    jobs: Sequence[JobRecord],
    stamps: Stamps,
) -> dict[str, float]:
    await load.reset()
    before, server_before_s, began_s = await load.stats(), cpu_s(server.pid), time.monotonic()
    await _rounds(publisher, load, jobs, stamps, case.in_flight, for_s=case.cost_s)
    used_s, passed_s = cpu_s(server.pid) - server_before_s, time.monotonic() - began_s
    after = await load.stats()
    return {
        "per_cpu_s": after.messages / used_s,
        "message_bytes": after.bytes / after.messages,
        "server_share": used_s / passed_s,
        "client_share": (after.cpu_s - before.cpu_s) / passed_s,
        "client_per_cpu_s": after.messages / (after.cpu_s - before.cpu_s),
    }


async def _latency(
    case: Case, publisher: Publishing, load: Load, jobs: Sequence[JobRecord], stamps: Stamps
) -> dict[str, float]:
    per_s = DELIVERIES_PER_S * len(jobs) / case.sockets
    stats = await deliver(publisher, load, jobs, stamps, per_s=per_s, for_s=case.latency_s)
    return {"p50_ms": stats.p50_us / 1000, "p99_ms": stats.p99_us / 1000}


async def deliver(
    publisher: Publishing,
    load: Load,
    jobs: Sequence[JobRecord],
    stamps: Stamps,
    *,
    per_s: float,
    for_s: float,
) -> Stats:
    """Publish so many events a second, the jobs in turn; what the client counted meanwhile."""
    await load.reset(keep_latencies=True)
    async for due in _steadily(per_s, for_s):
        await publisher.publish([(jobs[number % len(jobs)], stamps.next()) for number in due])
    return await _when_all_arrived(load)


async def _when_all_arrived(load: Load) -> Stats:
    """The counts when nothing more comes: what an overloaded server sends late counts as well."""
    async with asyncio.timeout(LATE_S):
        stats, before = await load.stats(), -1
        while stats.messages > before:
            await asyncio.sleep(SETTLE_S)
            stats, before = await load.stats(), stats.messages
    return stats


async def _steadily(per_s: float, for_s: float) -> AsyncGenerator[range, None]:
    """The numbers of the events that are due, whenever some are; at most a thousand times a s."""
    began_s = time.monotonic()
    sent, count = 0, max(1, int(per_s * for_s))
    while sent < count:
        wait_s = began_s + (sent + 1) / per_s - time.monotonic()
        await asyncio.sleep(max(wait_s, 0.001))
        due = min(count, max(sent + 1, int((time.monotonic() - began_s) * per_s)))
        yield range(sent, due)
        sent = due


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """Both shapes; with 1,000 sockets against everybody, fewer and more against the next best."""
    for number in range(plan.rounds):
        for sockets in plan.sockets or ((1000,) if plan.quick else (1000, 100, 5000)):
            for make in (one, own):
                case = make(sockets, latency_s=3)
                for who in _against(case, plan, number):
                    yield await measure(stack, "fanout", case, who, number)


def _against(case: Case, plan: Plan, number: int) -> Sequence[str]:
    if plan.only:
        return plan.only
    # The others are slow to measure and far away: the documented way takes a minute at 5,000.
    next_best = (OURS, YOGA, LIMIT)
    if case.sockets == 1000:
        return CONTENDERS if number < 2 else next_best
    if number:
        return ()
    return (OURS, YOGA, DOCUMENTED, LIMIT) if case.sockets < 1000 else next_best
