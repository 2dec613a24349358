"""How soon a person sees something: from startGeneration's answer to the first progress event.

Real API and worker processes, the local painter, one job at a time on an idle system:

    make bench
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING

from core.auth import issue_token
from db.migrate import upgrade
from tests.client import Client
from tests.conftest import SECRET, free_port
from tests.programs import running
from tests.servers import postgres_server, server_folder, valkey_server

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNS = 20
CANCEL = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"


def main() -> None:
    """Print medians and worst cases."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        valkey = stack.enter_context(valkey_server())
        pictures = stack.enter_context(server_folder())
        upgrade(postgres.url)
        port = free_port()
        environment = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "STORAGE_URL": pictures.as_uri(),
            "AUTH_SECRET": SECRET,
            "API_PORT": str(port),
            "RATE_LIMIT_MAX_REQUESTS": "1000",
        }
        api = stack.enter_context(running("-m", "mintari", "api", environment=environment))
        worker = stack.enter_context(running("-m", "mintari", "worker", environment=environment))
        api.line_with("Application startup complete")
        worker.line_with("worker ready")
        asyncio.run(measure(f"http://127.0.0.1:{port}"))


async def measure(url: str) -> None:
    """Start a job, wait for its first news, cancel it; RUNS times after one to warm up."""
    ann = Client(url, issue_token(SECRET, user_id="ann", ttl_s=3600))
    samples = [await one(ann, number) for number in range(RUNS + 1)][1:]
    await ann.aclose()
    print(f"from startGeneration's answer, median of {RUNS} (worst), milliseconds")
    show("seen as RUNNING", [running_ms for running_ms, _ in samples])
    show("first progress above 0", [progress_ms for _, progress_ms in samples])


async def one(ann: Client, number: int) -> tuple[float, float]:
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


def show(what: str, samples: Sequence[float]) -> None:
    print(f"{what:24} {statistics.median(samples):6.1f} ({max(samples):.1f})")


if __name__ == "__main__":
    main()
