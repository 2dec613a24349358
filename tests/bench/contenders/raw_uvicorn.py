"""The ceiling of ASGI: uvicorn's websockets without GraphQL, one Redis connection, ready texts.

`python -m tests.bench.contenders.raw_uvicorn PORT REDIS_URL`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec
import uvicorn
from redis.asyncio import Redis

PORT, REDIS_URL = sys.argv[1:]
ACK = '{"type":"connection_ack"}'

_followers: dict[str, list[Any]] = {}
_tasks: list[asyncio.Task[None]] = []


def next_message(change: str) -> str:
    return f'{{"id":"1","type":"next","payload":{{"data":{{"jobProgress":{change}}}}}}}'


async def listen(redis: Any) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe("bench:*")
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                event = {"type": "websocket.send", "text": next_message(message["data"].decode())}
                for send in _followers.get(message["channel"].decode(), ()):
                    await send(event)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    if not _tasks:
        redis: Any = Redis.from_url(REDIS_URL)  # pyright: ignore[reportUnknownMemberType]
        _tasks.append(asyncio.create_task(listen(redis)))
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
    while (event := await receive())["type"] == "websocket.receive":
        message = msgspec.json.decode(event["text"])
        if message["type"] == "connection_init":
            await send({"type": "websocket.send", "text": ACK})
        else:
            (job_id,) = message["payload"]["variables"]["ids"]
            _followers.setdefault(f"bench:{job_id}", []).append(send)
            await send({"type": "websocket.send", "text": next_message('{"version":0}')})


if __name__ == "__main__":
    uvicorn.run(app, port=int(PORT), log_level="warning", lifespan="off", ws="websockets-sansio")
