"""Admission in groups: what is asked while one statement is under way goes together in the next.

Each statement costs this process some 100 µs and Postgres a commit, however many requests are in
it; one that comes alone goes at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import msgspec
from sqlalchemy import text

from db.admission import Answer, Outcome
from db.engine import is_database_down

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from db.admission import Asked
    from db.driver import Driver
    from db.engine import Database

MOST_TOGETHER = 50
"""Requests of one statement: some 10 ms of Postgres, for which their users' locks are held."""
MARGIN_S = 1.0
"""By which Postgres may be late to say that a statement took too long."""

_TOGETHER = "SELECT admit($1::text::json, false) AS answers"
_ALONE = text("SELECT admit(CAST(CAST(:requests AS text) AS json), true)")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Answer]).decode


class _Waiting:
    """A request, encoded, and where its answer goes; None: it has to go alone."""

    __slots__ = ("answer", "asked")

    def __init__(self, asked: bytes) -> None:
        self.asked = asked
        self.answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def settle(self, outcome: Answer | Exception | None) -> None:
        """Tell who waits, if anybody still does."""
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class AdmissionQueue:
    """Lets requests in. One per API process; `run` must run.

    Args:
        driver: where those who go together are asked for.
        database: where those who have to wait are.
        timeout_s: a statement's, in Postgres.
    """

    def __init__(self, driver: Driver, database: Database, *, timeout_s: float) -> None:
        self._driver = driver
        self._database = database
        self._timeout_s = timeout_s + MARGIN_S
        self._queue: list[_Waiting] = []
        self._together: list[_Waiting] = []
        self._wanted = asyncio.Event()
        self._deadline = asyncio.timeout(None)

    async def admit(self, asked: Asked) -> Answer:
        """What became of a request; never BUSY. Raises what the driver or SQLAlchemy raises.

        If it is cancelled while it goes with others, it may be let in all the same.
        """
        waiting = _Waiting(_encode(asked))
        self._queue.append(waiting)
        self._wanted.set()
        try:
            answer = await waiting.answer
        except asyncio.CancelledError:
            self._end_if_all_left()
            raise
        return answer or await self._alone(waiting.asked)

    async def run(self) -> None:
        """Answer what is asked, until cancelled."""
        try:
            while await self._wanted.wait():
                if self._gather():
                    await self._answer()
        finally:
            for waiting in (*self._together, *self._queue):
                waiting.answer.cancel()

    def _gather(self) -> bool:
        """Choose who goes together next; False when nobody waits."""
        there = [waiting for waiting in self._queue if not waiting.answer.done()]
        self._together, self._queue = there[:MOST_TOGETHER], there[MOST_TOGETHER:]
        if not self._queue:
            self._wanted.clear()
        return bool(self._together)

    async def _answer(self) -> None:
        """Ask for those who go together, and tell each."""
        try:
            async with asyncio.timeout(self._timeout_s) as self._deadline:
                requests = _joined(waiting.asked for waiting in self._together)
                (row,) = await self._driver.fetch(_TOGETHER, requests)
            answers = _decode(row["answers"])
        except Exception as error:
            undone = isinstance(error, asyncpg.PostgresError) and not is_database_down(error)
            # If Postgres undid the whole, it may be because of one of them: each goes alone.
            self._settle([None if undone else error] * len(self._together))
        else:
            self._settle([None if it.outcome is Outcome.BUSY else it for it in answers])

    def _settle(self, outcomes: Sequence[Answer | Exception | None]) -> None:
        together, self._together = self._together, []
        for waiting, outcome in zip(together, outcomes, strict=True):
            waiting.settle(outcome)

    async def _alone(self, asked: bytes) -> Answer:
        """Wait for locks, and for nobody else."""
        async with self._database.transaction() as connection:
            result = await connection.execute(_ALONE, {"requests": _joined([asked])})
            (answer,) = _decode(result.scalar_one())
        return answer

    def _end_if_all_left(self) -> None:
        """End a statement when nobody waits for its outcome any more: it is undone."""
        if self._together and all(waiting.answer.cancelled() for waiting in self._together):
            self._deadline.reschedule(0)


def _joined(requests: Iterable[bytes]) -> str:
    return f"[{b','.join(requests).decode()}]"
