"""HTTP: what a query and a mutation cost a server, beside graphql-yoga with pg.

Ours checks the token, the limits of the document, and for startGeneration everything that admission
is: the judge of prompts, the user's lock, duplicates, both quotas, audit, the doorbell. Yoga's bare
insert and LPUSH do nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import text

from tests.bench.contending import OURS, YOGA, contender
from tests.bench.documents import FIELDS
from tests.bench.figures import Sample
from tests.bench.machine import compiled, cpu_s
from tests.bench.stack import running_jobs, token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from db.records import JobRecord
    from tests.bench.contending import Server
    from tests.bench.plan import Plan
    from tests.bench.stack import Stack

READ = f"query Read($id: ID!) {{ job(id: $id) {{ {FIELDS} }} }}"
START = """
mutation Start($input: StartGenerationInput!) {
  startGeneration(input: $input) {
    ... on GenerationStarted { generation { id jobs { id version state } } }
  }
}
"""
CONNECTIONS = 32
CHUNK = 400
MOST = 12_000
"""Different wishes that are prepared: no prompt comes twice, or it would be a duplicate."""
_PLACES = ("hill", "harbour", "meadow", "lighthouse", "orchard", "village", "river", "tea house")
_TIMES = ("at dawn", "in the rain", "under the moon", "in autumn", "before a storm", "at noon")
_TABLE = text("""
    CREATE TABLE IF NOT EXISTS bench_generations (
        id uuid PRIMARY KEY, prompt text NOT NULL, size text NOT NULL, state text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
""")


class Answers(msgspec.Struct, frozen=True):
    """What the load client heard; latencies count from when a request was due."""

    answers: int
    good: int
    seconds: float
    cpu_s: float
    p50_us: int
    p99_us: int
    max_us: int


class Requests:
    """A running HTTP load client (clients/requests.c)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, count: int, *, per_s: float = 0) -> Answers:
        """Send so many requests; all answers must be good."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"run {count} {per_s}\n".encode())
        async with asyncio.timeout(120):
            line = await self._process.stdout.readline()
        assert line, "the load client ended"
        answers = msgspec.json.decode(line, type=Answers)
        assert answers.good == answers.answers, f"answers that are not good: {answers}"
        return answers


def request(document: str, variables: dict[str, Any], bearer: str) -> bytes:
    """A whole HTTP request, as clients send it."""
    body = msgspec.json.encode({"query": document, "variables": variables})
    head = (
        "POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"accept: application/graphql-response+json, application/json\r\n"
        f"authorization: Bearer {bearer}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextlib.asynccontextmanager
async def requesting(
    port: int, requests: Sequence[bytes], good: str, *, connections: int = CONNECTIONS
) -> AsyncGenerator[Requests, None]:
    """Run a load client with these requests; answers must contain the text `good`."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"".join(b"%d\n%s\n" % (len(it), it) for it in requests))
        process = await asyncio.create_subprocess_exec(
            compiled("clients/requests.c"),
            str(port),
            file.name,
            str(connections),
            good,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Requests(process)
        finally:
            process.kill()
            await process.wait()


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """Both operations, both servers in turn."""
    jobs = await running_jobs(stack, 200)
    reads = read_requests(jobs)
    async with stack.transaction() as connection:
        await connection.execute(_TABLE)
    wishes = _wishes()
    for number in range(plan.rounds):
        for who in plan.only or (OURS, YOGA):
            with contender(who, stack) as server:
                figures = await _measure(server, reads, '"progressKind"', plan)
                yield Sample(part="requests", case="job", who=who, round=number, figures=figures)
                starts = [next(wishes) for _ in range(MOST)]
                figures = await _measure(server, starts, '"generation":{', plan)
                case = "startGeneration"
                yield Sample(part="requests", case=case, who=who, round=number, figures=figures)


def read_requests(jobs: Sequence[JobRecord]) -> list[bytes]:
    """A query for each of these jobs, the n-th by the n-th user."""
    return [request(READ, {"id": str(job.id)}, token(n)) for n, job in enumerate(jobs)]


def _wishes() -> Generator[bytes]:
    """Requests for pictures, each with a prompt of its own."""
    tokens = [token(number) for number in range(100)]
    for number in itertools.count():
        prompt = (
            f"a {_PLACES[number % len(_PLACES)]} {_TIMES[number % len(_TIMES)]},"
            f" seen from window {number}, warm light on wet stones"
        )
        wanted = {"prompt": prompt, "size": "SQUARE_512", "variantCount": 1}
        yield request(START, {"input": wanted}, tokens[number % len(tokens)])


async def _measure(
    server: Server, requests: Sequence[bytes], good: str, plan: Plan
) -> dict[str, float]:
    for_s = 1.0 if plan.quick else 2.5
    async with requesting(server.port, requests, good) as load:
        # What a server compiles or caches, it has compiled and cached then.
        warm = await load.run(2 * CHUNK)
        began_s, cpu_before_s = time.monotonic(), cpu_s(server.pid)
        answers, left = [warm], MOST - 2 * CHUNK
        while time.monotonic() - began_s < for_s and left >= CHUNK:
            answers.append(await load.run(CHUNK))
            left -= CHUNK
        used_s, passed_s = cpu_s(server.pid) - cpu_before_s, time.monotonic() - began_s
    return {
        "per_cpu_s": sum(it.answers for it in answers[1:]) / used_s,
        "p50_ms": sum(it.p50_us for it in answers[1:]) / (len(answers) - 1) / 1000,
        "server_share": used_s / passed_s,
        "client_share": (answers[-1].cpu_s - warm.cpu_s) / passed_s,
    }
