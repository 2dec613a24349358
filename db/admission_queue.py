"""Admission in groups: what is asked while one statement is under way goes together in the next.

Each statement costs this process some 100 µs and Postgres a commit, however many requests are in
it; one that comes alone goes at once.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from db.admission import Answer, Outcome
from db.engine import is_database_down

if TYPE_CHECKING:
    from db.admission import Asked
    from db.engine import Database, Driver

MOST_TOGETHER = 50
"""Requests of one statement: some 10 ms of Postgres, for which their users' locks are held."""
LINGER_S, HOLD_S = 0.05, 0.5
"""How long a connection is kept for the next request, and how long at most: then it is somebody
else's turn, if the pool is small. To take one from the pool and ping it costs 300 µs."""
MARGIN_S = 1.0
"""By which Postgres may be late to say that a statement took too long."""

_ADMIT = "SELECT admit($1::text::json, $2)"
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
    """Lets requests in. One per API process; `run` must run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: list[_Waiting] = []
        self._together: list[_Waiting] = []
        self._wanted = asyncio.Event()
        self._deadline = asyncio.timeout(None)

    async def admit(self, asked: Asked) -> Answer:
        """What became of a request; never BUSY. Raises what the driver raises.

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
            while True:
                await self._wanted.wait()
                await self._work_off()
        finally:
            for waiting in (*self._together, *self._queue):
                waiting.answer.cancel()

    async def _work_off(self) -> None:
        """Answer all that wait, on one connection."""
        connected = False
        try:
            async with self._database.driver() as driver:
                connected = True
                until_s = time.monotonic() + HOLD_S
                while await self._asks(until_s) and not driver.is_closed() and self._gather():
                    await self._answer(driver)
        except Exception as error:
            # Who went together was told; without a connection it is the same for all.
            if not connected:
                while self._gather():
                    self._settle(error)

    async def _asks(self, until_s: float) -> bool:
        """Wait a moment for somebody who asks."""
        if time.monotonic() >= until_s:
            return False
        try:
            async with asyncio.timeout(LINGER_S):
                return await self._wanted.wait()
        except TimeoutError:
            return False

    def _gather(self) -> bool:
        """Choose who goes together next; False when nobody waits."""
        there = [waiting for waiting in self._queue if not waiting.answer.done()]
        self._together, self._queue = there[:MOST_TOGETHER], there[MOST_TOGETHER:]
        if not self._queue:
            self._wanted.clear()
        return bool(self._together)

    async def _answer(self, driver: Driver) -> None:
        """Ask for those who go together. Raises if the connection cannot be used any more."""
        timeout_s = self._database.statement_timeout_s + MARGIN_S
        try:
            async with asyncio.timeout(timeout_s) as self._deadline:
                answers = await _admit(driver, [it.asked for it in self._together], waits=False)
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError) and not is_database_down(error):
                # Undone as a whole, maybe because of one of them.
                self._settle(None)
                return
            self._settle(error)
            raise
        together, self._together = self._together, []
        for waiting, answer in zip(together, answers, strict=True):
            waiting.settle(None if answer.outcome is Outcome.BUSY else answer)

    def _settle(self, outcome: Exception | None) -> None:
        """Tell all who went together the same."""
        together, self._together = self._together, []
        for waiting in together:
            waiting.settle(outcome)

    async def _alone(self, asked: bytes) -> Answer:
        """Wait for locks, and for nobody else."""
        async with self._database.driver() as driver:
            (answer,) = await _admit(driver, [asked], waits=True)
        return answer

    def _end_if_all_left(self) -> None:
        """End a statement when nobody waits for its outcome any more: it is undone."""
        if self._together and all(waiting.answer.cancelled() for waiting in self._together):
            self._deadline.reschedule(0)


async def _admit(driver: Driver, asked: list[bytes], *, waits: bool) -> list[Answer]:
    requests = b"[%b]" % b",".join(asked)
    return _decode(await driver.value(_ADMIT, requests.decode(), waits))
