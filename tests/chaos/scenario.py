"""One scenario: a crowd, faults at chosen moments, then a judgement that goes into the table."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from db.engine import is_database_down, open_database
from tests.chaos.crowd import Crowd, slow
from tests.chaos.form import GEMINI
from tests.chaos.judge import Expected, Findings, Loss, folder_of, judge
from tests.chaos.table import Row
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from db.engine import Connection, Database
    from tests.chaos.crowd import Started
    from tests.chaos.processes import Process
    from tests.chaos.stack import Stack, StandIn

_ENDED = text("""
    SELECT count(*) FROM jobs
    WHERE user_id LIKE :users AND state IN ('SUCCESS', 'FAILED', 'CANCELLED')
""")
_BUSY = text("""
    SELECT jobs.worker_name, count(*) AS jobs
    FROM jobs JOIN provider_calls ON job_id = jobs.id AND provider_calls.attempt = jobs.attempt
    WHERE state = 'RUNNING' AND jobs.user_id LIKE :users
      AND outcome = 'STARTED' AND provider_calls.started_at < clock_timestamp() - interval '0.1 s'
    GROUP BY jobs.worker_name
""")
_CALLED = """
    SELECT count(*) AS called FROM provider_calls
    WHERE user_id LIKE :users AND (external_id IS NOT NULL OR provider = 'gemini')
"""
LATENCY_S = 0.3


class Scenario:
    """What a scenario's test works with."""

    def __init__(
        self,
        title: str,
        stack: Stack,
        provider: str,
        stand_in: StandIn,
        database: Database,
        rows: list[Row],
    ) -> None:
        self.title = title
        self.stack = stack
        self.stand_in = stand_in
        self.database = database
        name = "".join(letter for letter in title if letter.isalnum()).lower()
        self.crowd = Crowd(stack, name, provider)
        self.dice = random.Random(title)
        self._rows = rows
        self._losses: list[Loss] = []
        self.followers = asyncio.TaskGroup()
        self._last_fault_s = time.monotonic()

    async def start(
        self, jobs: int, *, keywords: str | None = None, spread_s: float = 0.6, variants: int = 1
    ) -> list[Started]:
        """Let users start and follow that many jobs; returns when all are accepted.

        Without `keywords` their calls take up to `spread_s` longer than the stand-in's latency,
        so that they end one by one, as real ones do.
        """
        words = (lambda: keywords) if keywords else lambda: slow(self.dice.uniform(0, spread_s))
        wishes = self.crowd.wanted(jobs // variants, keywords=words, variants=variants)
        return await self.crowd.start(wishes, followers=self.followers)

    async def query(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """Ask the database; once, so it must be there."""
        async with self.database.read() as connection:
            result = await connection.execute(text(statement), values)
            return [dict(row) for row in result.mappings()]

    async def ended(self) -> int:
        """How many of the scenario's jobs have ended; 0 while the database is away."""
        try:
            async with self.database.read() as connection:
                result = await connection.execute(_ENDED, self._users)
                return result.scalar_one()
        except Exception as error:
            if not is_database_down(error):
                raise
            return 0

    async def until_ended(self, count: int, *, within_s: float = 120) -> None:
        """Wait until that many jobs have ended."""

        async def enough() -> bool:
            return await self.ended() >= count

        await wait_until(enough, within_s=within_s, what=f"the end of {count} jobs")

    async def busy_workers(self) -> dict[str, int]:
        """How many of the scenario's jobs each worker runs, by its name."""
        async with self.database.read() as connection:
            result = await connection.execute(_BUSY, self._users)
            return {row["worker_name"]: row["jobs"] for row in result.mappings()}

    async def a_busy_worker(self, *, within_s: float = 30) -> Process:
        """Some worker that runs jobs, and did so for long enough to have called the provider."""
        busy = await wait_until(self.busy_workers, within_s=within_s, what="a busy worker")
        return self.stack.worker(self.dice.choice(sorted(busy)))

    async def calls(self) -> list[dict[str, Any]]:
        """The provider's book since the beginning of the scenario, the oldest call first."""
        return await asyncio.to_thread(self.stand_in.control.calls)

    async def until_calls(self, *, within_s: float = 30, **counts: int) -> None:
        """Wait until the provider has so many calls `started`, `running`, `cut` or `finished`."""

        async def reached() -> bool:
            book = await asyncio.to_thread(self.stand_in.control.counts)
            return all(book[name] >= count for name, count in counts.items())

        await wait_until(reached, within_s=within_s, what=f"{counts} calls")

    async def until_asked(self, calls: int) -> None:
        """Wait until so many calls have been made, or asked for again, and all are running.

        Those that have an id of the provider's count once that is stored.
        """
        jobs = len(self.crowd.started)

        async def reached() -> bool:
            (row,) = await self.query(_CALLED, **self._users)
            book = await asyncio.to_thread(self.stand_in.control.counts)
            return row["called"] >= calls and book["running"] == jobs

        await wait_until(reached, what=f"call {calls}")

    async def lock_jobs(self, connection: Connection, job_ids: Sequence[str]) -> None:
        """Lock the rows of jobs: no outcome is committed until this transaction ends."""
        statement = text("SELECT FROM jobs WHERE id::text = ANY(:ids) ORDER BY id FOR UPDATE")
        await connection.execute(statement, {"ids": list(job_ids)})

    async def warm_up(self) -> None:
        """Let one job end, so that all folders of storage are there."""
        await self.start(1)
        await self.until_ended(1)

    async def until_kept(self, job_ids: Sequence[str]) -> None:
        """Wait until a provider's answer for each job lies in storage, stored as frame or not."""

        async def all_there() -> bool:
            return all(any(self.pictures.glob(f"answers/{job}/?.bin")) for job in job_ids)

        await wait_until(all_there, what="all answers in storage")

    async def until_stored(self, job_ids: Sequence[str]) -> None:
        """Wait until a frame of each job lies in storage, committed or not."""

        async def all_there() -> bool:
            return all(any(self.pictures.glob(f"images/{job}/?.webp")) for job in job_ids)

        await wait_until(all_there, what="all frames in storage")

    @property
    def pictures(self) -> Path:
        """The folder of the stack's storage."""
        return folder_of(self.stack.settings.storage_url)

    def fault(self) -> None:
        """The drain time counts from the last call of this."""
        self._last_fault_s = time.monotonic()

    def loses(self, worker: Process) -> None:
        """A worker is about to be killed or frozen."""
        self._losses.append(Loss(worker.name, time.time()))
        self.fault()

    async def judged(
        self,
        *,
        expected: Mapping[str, Expected] | None = None,
        drained_within_s: float = 60,
        seen_within_s: float = 15,
    ) -> Findings:
        """Wait for the end of all jobs, then of all followers, and look at everything.

        What must hold in every scenario is asserted here.
        """
        total = len({job for started in self.crowd.started for job in started.seeds})
        with contextlib.suppress(AssertionError):  # the judgement names those that have not ended
            await self.until_ended(total, within_s=drained_within_s)
        drain_s = time.monotonic() - self._last_fault_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seen_within_s):
                for watch in self.crowd.watches:
                    await watch.ended.wait()
        findings = await judge(
            self.crowd,
            self.database,
            self.stand_in,
            self.pictures,
            expected or {},
            self._losses,
        )
        findings.drain_s = drain_s
        self._rows.append(Row(self.title, findings))
        self._assert_invariants(findings)
        return findings

    def _assert_invariants(self, found: Findings) -> None:
        told = "\n".join(found.details[:40])
        counts = (found.lost, found.wrong, found.pictures, found.followers, found.duplicates)
        assert (*counts, found.bought_again) == (0, 0, 0, 0, 0, 0), told
        for process in self.stack.processes:
            assert process.is_running, "\n".join(process.lines[-30:])

    @property
    def _users(self) -> dict[str, str]:
        return {"users": f"{self.crowd.name}-user-%"}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[Scenario]:
        """The crowd's followers live until the end of the block."""
        try:
            async with self.followers:
                yield self
                for task in self.crowd.tasks:
                    task.cancel()
        finally:
            await self.crowd.aclose()


@contextlib.asynccontextmanager
async def play(
    title: str,
    stack: Stack,
    stand_ins: Mapping[str, StandIn],
    rows: list[Row],
    *,
    provider: str = GEMINI,
    latency_s: float = LATENCY_S,
) -> AsyncGenerator[Scenario]:
    """Begin with an idle stack and empty books; all calls go to one provider."""
    stand_in = stand_ins[provider]
    if provider != GEMINI:
        title = f"{title}, {provider}"
    stack.revive()
    stand_in.control.reset()
    stand_in.control.script(latency_s=latency_s)
    async with (
        open_database(stack.settings) as database,
        Scenario(title, stack, provider, stand_in, database, rows).running() as scenario,
    ):
        yield scenario
