"""Users who start generations and follow them, whatever happens to the service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.chaos.form import GEMINI
from tests.chaos.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.chaos.stack import Stack
    from tests.chaos.watch import Flapping
    from tests.client import Client, Json

START = """
mutation Start($input: StartGenerationInput!) {
  startGeneration(input: $input) {
    __typename
    ... on GenerationStarted { deduplicated replayed generation { id jobs { id seed } } }
    ... on UserError { code message }
  }
}
"""
AT_ONCE = 16
RETRY_PAUSE_S = 0.05
ACCEPT_WITHIN_S = 60.0
SMALL = "[wrong-size]"
"""The stand-in then paints 512 pixels a side instead of 1024: a good frame for less work."""


def slow(seconds: float) -> str:
    """The keyword that makes a small frame take so much longer."""
    return f"{SMALL} [slow {seconds:.2f}]"


@dataclass(frozen=True)
class Wanted:
    """One generation that a user asks for. `tag` is in its prompt and is its idempotency key."""

    tag: str
    user_id: str
    keywords: str = SMALL
    variants: int = 1
    provider: str = GEMINI

    @property
    def input(self) -> dict[str, Any]:
        """The mutation's input."""
        return {
            "prompt": f"a harbour at dusk, {self.tag} {self.keywords}",
            "variantCount": self.variants,
            "idempotencyKey": self.tag,
            "provider": self.provider,
        }


@dataclass(frozen=True)
class Started:
    """An accepted generation and its jobs' seeds by id."""

    wanted: Wanted
    generation_id: str
    seeds: dict[str, int]


@dataclass
class Crowd:
    """All users of one scenario.

    `errors` are answers other than acceptance; each request is repeated until it is accepted.
    """

    stack: Stack
    name: str
    provider: str = GEMINI
    user_count: int = 8
    started: list[Started] = field(default_factory=list[Started])
    watches: list[Watch] = field(default_factory=list[Watch])
    errors: list[str] = field(default_factory=list[str])
    tasks: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])
    _clients: dict[str, Client] = field(default_factory=dict[str, "Client"])
    _numbers: int = 0

    def wanted(
        self, count: int, *, keywords: Callable[[], str] = lambda: SMALL, variants: int = 1
    ) -> list[Wanted]:
        """That many different wishes, shared out among the users."""
        first = self._numbers
        self._numbers += count
        return [
            Wanted(
                f"{self.name}-{number:04}",
                f"{self.name}-user-{number % self.user_count}",
                keywords(),
                variants,
                self.provider,
            )
            for number in range(first, first + count)
        ]

    async def start(
        self, wishes: Iterable[Wanted], *, followers: asyncio.TaskGroup | None = None
    ) -> list[Started]:
        """Start generations, some at a time; with `followers`, each is followed to its end."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(wanted: Wanted) -> Started:
            async with turn:
                started = await self.start_one(wanted)
            if followers is not None:
                self.follow(started, followers)
            return started

        async with asyncio.timeout(ACCEPT_WITHIN_S * 4), asyncio.TaskGroup() as starting:
            tasks = [starting.create_task(one(wanted)) for wanted in wishes]
        return [task.result() for task in tasks]

    async def start_one(self, wanted: Wanted) -> Started:
        """Ask until it is accepted, under the same idempotency key."""
        async with asyncio.timeout(ACCEPT_WITHIN_S):
            while True:
                try:
                    generation = await self._ask(wanted)
                except _NotAccepted as error:
                    self.errors.append(f"{wanted.tag}: {error}")
                    await asyncio.sleep(RETRY_PAUSE_S)
                    continue
                return self.accepted(wanted, generation)

    def accepted(self, wanted: Wanted, generation: Json) -> Started:
        """Remember an answer, to be judged at the end."""
        seeds = {job["id"]: job["seed"] for job in generation["jobs"]}
        started = Started(wanted, generation["id"], seeds)
        self.started.append(started)
        return started

    def follow(
        self, started: Started, followers: asyncio.TaskGroup, flapping: Flapping | None = None
    ) -> Watch:
        """Follow a generation's jobs to their end."""
        client = self.client(started.wanted.user_id)
        watch = Watch(client, list(started.seeds), flapping=flapping)
        self.watches.append(watch)
        self.tasks.append(followers.create_task(watch.run()))
        return watch

    def client(self, user_id: str) -> Client:
        """The user's client."""
        if user_id not in self._clients:
            self._clients[user_id] = self.stack.client(user_id)
        return self._clients[user_id]

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def _ask(self, wanted: Wanted) -> dict[str, Any]:
        client = self.client(wanted.user_id)
        try:
            answer = await client.ask(START, input=wanted.input)
        except httpx.TransportError as error:
            raise _NotAccepted(type(error).__name__) from error
        if "errors" in answer.body:
            raise _NotAccepted(f"{answer.status} {answer.body['errors']}")
        result = answer.data["startGeneration"]
        assert result["__typename"] == "GenerationStarted", result
        return result["generation"]


class _NotAccepted(Exception):
    """Nobody knows whether it was accepted, or it was not."""
