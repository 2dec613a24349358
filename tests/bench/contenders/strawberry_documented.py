"""The documented Strawberry way: its ASGI app, one pub/sub and one execution per subscriber.

As in Strawberry's pages on subscriptions and on the ASGI integration, with redis-py as its
documentation shows pub/sub:

    python -m tests.bench.contenders.strawberry_documented PORT REDIS_URL
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator  # noqa: TC003  # Strawberry reads the annotation
from typing import Any

import msgspec
import strawberry
import uvicorn
from redis.asyncio import Redis
from strawberry.asgi import GraphQL

PORT, REDIS_URL = sys.argv[1:]


@strawberry.type
class Picture:
    url: str


@strawberry.type
class JobError:
    code: str
    message: str


@strawberry.type
class Job:
    id: strawberry.ID
    variant: int
    version: int
    state: str
    stage: str | None
    progress: int
    progress_kind: str
    seed: int
    seed_locked: bool
    provider: str
    model: str
    retry_count: int
    generation_time_ms: int | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    preview: Picture | None
    image: Picture | None
    error: JobError | None


_NAMES = {
    "progressKind": "progress_kind",
    "seedLocked": "seed_locked",
    "retryCount": "retry_count",
    "generationTimeMs": "generation_time_ms",
    "createdAt": "created_at",
    "startedAt": "started_at",
    "finishedAt": "finished_at",
}


def job_of(data: bytes) -> Job:
    values: dict[str, Any] = msgspec.json.decode(data)
    return Job(**{_NAMES.get(name, name): value for name, value in values.items()})


@strawberry.type
class Query:
    hello: str = "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def job_progress(self, job_ids: list[strawberry.ID]) -> AsyncGenerator[Job, None]:
        redis: Any = Redis.from_url(REDIS_URL)  # pyright: ignore[reportUnknownMemberType]
        async with redis, redis.pubsub() as pubsub:
            channels = [f"bench:{job_id}" for job_id in job_ids]
            await pubsub.subscribe(*channels)
            for data in await redis.mget(channels):
                yield job_of(data)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    yield job_of(message["data"])


app = GraphQL[Any, Any](strawberry.Schema(query=Query, subscription=Subscription))

if __name__ == "__main__":
    uvicorn.run(app, port=int(PORT), log_level="warning", lifespan="off")
