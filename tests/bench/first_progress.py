"""How soon a person sees something: from startGeneration's answer to the first progress event.

Real API and worker processes, the local painter, one job at a time on an idle system. No process
has a core of its own here: the painter takes what there is, as it does for users.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from core.auth import issue_token
from tests.bench.contending import OURS
from tests.bench.figures import Sample
from tests.bench.machine import any_core, pinned, python
from tests.bench.stack import our_api
from tests.client import Client
from tests.conftest import SECRET, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.bench.plan import Plan
    from tests.bench.stack import Stack

CANCEL = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """Start a job, wait for its first news, cancel it; again and again after one to warm up."""
    environment = stack.environment(free_port()) | {"LOG_LEVEL": "INFO"}
    with (
        our_api(environment, core=any_core()),
        pinned(python("-m", "mintari", "worker"), environment, core=any_core()) as worker,
    ):
        await asyncio.to_thread(worker.line_with, "worker ready")
        url = f"http://127.0.0.1:{environment['API_PORT']}"
        ann = Client(url, issue_token(SECRET, user_id="ann", ttl_s=3600))
        runs = 5 if plan.quick else 20
        samples = [await _one(ann, number) for number in range(runs + 1)][1:]
        await ann.aclose()
    for case, times_ms in zip(("RUNNING", "progress"), zip(*samples, strict=True), strict=True):
        figures = {"p50_ms": statistics.median(times_ms), "max_ms": max(times_ms)}
        yield Sample(part="first-progress", case=case, who=OURS, round=0, figures=figures)


async def _one(ann: Client, number: int) -> tuple[float, float]:
    """Milliseconds until RUNNING and until progress, including the subscription's own start."""
    running_ms = 0.0
    wanted = {"prompt": f"a hill {number}", "size": "SQUARE_512", "variantCount": 1}
    (job,) = (await ann.started(**wanted))["jobs"]
    answered_s = time.perf_counter()
    async with aclosing(ann.follow(job["id"])) as updates:
        async for update in updates:
            now_ms = (time.perf_counter() - answered_s) * 1000
            if update["state"] == "RUNNING" and not running_ms:
                running_ms = now_ms
            if update["progress"] > 0:
                await ann.ask(CANCEL, id=job["id"])
                return running_ms, now_ms
    raise AssertionError("the job ended without progress")
