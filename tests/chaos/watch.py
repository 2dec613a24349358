"""What one client saw of its jobs, over all the connections that it needed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import websockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.client import Client, Json

FOLLOW = """
subscription Follow($ids: [ID!]!) {
  jobProgress(jobIds: $ids) { id state stage progress version retryCount image { url } }
}
"""
TERMINAL = frozenset({"SUCCESS", "FAILED", "CANCELLED"})
RECONNECT_PAUSE_S = 0.1
CONNECTION_LOST = (OSError, EOFError, TimeoutError, websockets.WebSocketException)


class Flapping:
    """A connection that is away for two fifths of the time, some tenths of a second each."""

    def __init__(self, seed: float) -> None:
        self._dice = random.Random(seed)

    def up_s(self) -> float:
        """How long the next connection lasts."""
        return self._dice.uniform(0.1, 0.8)

    def down_s(self) -> float:
        """How long the client stays away."""
        return self._dice.uniform(0.1, 0.5)


class Interrupted(Exception):
    """The server ended a subscription with an error; a client asks again."""


@dataclass
class Sight:
    """The newest that was seen of one job."""

    version: int = 0
    progress: int = 0
    state: str = ""
    on_connection: int = 0


@dataclass
class Watch:
    """Follows jobs until the server says that all have ended; notes whatever must not happen.

    `faults`: each time that a version or progress went back, a state changed after its end, or
    the end was announced without being seen.
    """

    client: Client
    job_ids: Sequence[str]
    sights: dict[str, Sight] = field(default_factory=dict[str, Sight])
    flapping: Flapping | None = None
    faults: list[str] = field(default_factory=list[str])
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Follow and reconnect until the end."""
        while not self.ended.is_set():
            self.connections += 1
            try:
                up_s = self.flapping.up_s() if self.flapping else None
                async with asyncio.timeout(up_s):
                    await self.follow_once()
            except (*CONNECTION_LOST, Interrupted):
                pause_s = self.flapping.down_s() if self.flapping else RECONNECT_PAUSE_S
                await asyncio.sleep(pause_s)
            else:
                self._check_end()
                self.ended.set()

    async def follow_once(self) -> None:
        """One connection, until the subscription completes."""
        async with self.client.socket() as socket:
            payloads = socket.subscribe(FOLLOW, ids=list(self.job_ids))
            async with contextlib.aclosing(payloads):
                async for payload in payloads:
                    if "errors" in payload:
                        raise Interrupted(str(payload["errors"]))
                    self.note(payload["data"]["jobProgress"])

    def note(self, job: Json) -> None:
        """Compare what came with what came before."""
        seen = self.sights.setdefault(job["id"], Sight())
        is_snapshot = seen.on_connection != self.connections
        grew = job["version"] >= seen.version if is_snapshot else job["version"] > seen.version
        if not grew:
            self._fault(job, f"version {seen.version} → {job['version']}")
        if job["progress"] < seen.progress:
            self._fault(job, f"progress {seen.progress} → {job['progress']}")
        if seen.state in TERMINAL and job["state"] != seen.state:
            self._fault(job, f"state {seen.state} → {job['state']}")
        if job["state"] == "SUCCESS" and not job["image"]:
            self._fault(job, "SUCCESS without an image")
        self.sights[job["id"]] = Sight(
            job["version"], job["progress"], job["state"], self.connections
        )

    def _check_end(self) -> None:
        for job_id in self.job_ids:
            state = self.sights.get(job_id, Sight()).state
            if state not in TERMINAL:
                self.faults.append(f"{job_id}: the subscription ended at {state or 'nothing'}")

    def _fault(self, job: Json, what: str) -> None:
        self.faults.append(f"{job['id']} (connection {self.connections}): {what}")
