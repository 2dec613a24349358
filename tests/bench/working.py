"""The whole product: from startGeneration's commit to the provider's call, and what a job costs.

Real API, real worker, Gemini's stand-in as the provider. The commit's time is Postgres's own
(pg_xact_commit_timestamp), the call's is when the stand-in had read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from sqlalchemy import text

from core.auth import issue_token
from mintari.standins.running import RunningStandIn
from tests.bench.figures import Sample
from tests.bench.machine import cores, cpu_s, pinned, python
from tests.bench.stack import our_api
from tests.client import Client
from tests.conftest import SECRET, free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from uuid import UUID

    from tests.bench.plan import Plan
    from tests.bench.stack import Stack
    from tests.programs import Program

PART = "work"
_COMMITS = text("""
    SELECT prompt, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS committed_at_s
    FROM generations WHERE user_id = :user_id
""")
_LEFT = text("""
    SELECT count(*) FROM jobs WHERE user_id = :user_id AND state NOT IN ('SUCCESS', 'FAILED')
""")
_FAILED = text("SELECT count(*) FROM jobs WHERE user_id = :user_id AND state = 'FAILED'")


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """One job at a time on an idle system, then many at once."""
    environment = stack.environment(free_port(), WORKER_CONCURRENCY="16")
    with _stand_in() as url:
        environment |= {
            "GEN_PROVIDER": "gemini",
            "GEMINI_API_KEY": "a-key-of-the-benchmark",
            "GEMINI_BASE_URL": url,
        }
        with our_api(environment, core=cores()[1]) as _, _worker(environment) as worker:
            await asyncio.to_thread(worker.line_with, "worker ready")
            control = RunningStandIn(url)
            for number in range(min(plan.rounds, 2)):
                figures = await _measure(stack, environment, worker, control, number, plan)
                yield Sample(
                    part=PART, case="whole jobs", who="mintari", round=number, figures=figures
                )
            control.close()


async def _measure(
    stack: Stack,
    environment: dict[str, str],
    worker: Program,
    control: RunningStandIn,
    number: int,
    plan: Plan,
) -> dict[str, float]:
    few, many = (20, 40) if plan.quick else (60, 150)
    url = f"http://127.0.0.1:{environment['API_PORT']}"
    users = [f"idle-{number}", f"busy-{number}"]
    idle, busy = (
        Client(url, issue_token(SECRET, user_id=user_id, ttl_s=3600)) for user_id in users
    )
    for count in range(few):
        await _start(idle, f"a hill, number {number} {count}")
        await _all_done(stack, users[0])
    waits = await _waits_ms(stack, control, users[0])
    # The first ones open connections.
    waits = sorted(waits[few // 10 :])
    before_s = cpu_s(worker.pid)
    await asyncio.gather(*(_start(busy, f"a lake, number {number} {n}") for n in range(many)))
    await _all_done(stack, users[1])
    used_s = cpu_s(worker.pid) - before_s
    await idle.aclose()
    await busy.aclose()
    return {
        "p50_ms": waits[len(waits) // 2],
        "p99_ms": waits[int((len(waits) - 1) * 0.99)],
        "per_cpu_s": many / used_s,
    }


async def _start(client: Client, prompt: str) -> UUID:
    return (await client.started(prompt=prompt, size="SQUARE_1024", variantCount=1))["id"]


async def _all_done(stack: Stack, user_id: str) -> None:
    async with stack.transaction() as connection:

        async def none_left() -> bool:
            found = await connection.execute(_LEFT, {"user_id": user_id})
            return found.scalar_one() == 0

        await wait_until(none_left, within_s=120)
        failed = (await connection.execute(_FAILED, {"user_id": user_id})).scalar_one()
    assert failed == 0, f"{failed} jobs failed"


async def _waits_ms(stack: Stack, control: RunningStandIn, user_id: str) -> list[float]:
    """From commit to call, in the order of the calls."""
    async with stack.transaction() as connection:
        rows = (await connection.execute(_COMMITS, {"user_id": user_id})).mappings()
        committed = {row["prompt"]: row["committed_at_s"] for row in rows}
    waits: list[float] = []
    for call in control.book()["calls"]:
        for prompt, at_s in committed.items():
            if re.search(rf"{prompt}\b", call["prompt"]):
                waits.append((call["started_at_s"] - at_s) * 1000)
    assert len(waits) == len(committed), "a call is missing, or was made twice"
    return waits


@contextlib.contextmanager
def _stand_in() -> Generator[str]:
    command = python("-m", "mintari.standins", "gemini", "--latency", "0")
    with pinned(command, {}, core=cores()[1]) as program:
        yield program.line_with("stand-in at").split()[-1]


@contextlib.contextmanager
def _worker(environment: dict[str, str]) -> Generator[Program]:
    settings = {**environment, "LOG_LEVEL": "INFO", "WORKER_NAME": "bench"}
    with pinned(python("-m", "mintari", "worker"), settings) as program:
        yield program
