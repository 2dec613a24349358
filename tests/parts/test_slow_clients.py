"""Clients that do not read: they keep the newest state of each job, and cost no memory."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
import websockets

from db.hot import read_jobs
from jobs.changes import change_of
from tests.client import FOLLOW
from tests.conftest import running_api
from tests.parts.test_sockets import acknowledged, hear, say, works
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from websockets.asyncio.client import ClientConnection

    from core.settings import Settings
    from db.records import JobRecord
    from tests.conftest import Api

LARGE = "x" * 50_000
"""A model's name that makes a message large: buffers of the system hold some megabytes."""
CANCEL = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"


@asynccontextmanager
async def lazy(api: Api) -> AsyncGenerator[ClientConnection, None]:
    """Ann's socket. It takes one message ahead, and little into its buffers."""
    small = socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2])))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    url = api.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(
        url,
        sock=small,
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        max_queue=1,
        ping_interval=None,
    ) as connection:
        payload = {"authorization": f"Bearer {api.client('ann').token}"}
        await say(connection, type="connection_init", payload=payload)
        assert await hear(connection) == {"type": "connection_ack"}
        yield connection


async def follow(api: Api, connection: ClientConnection, count: int) -> list[JobRecord]:
    """Follow that many new jobs of ann's; what they are now."""
    started: list[str] = []
    for number in range(count):
        grid = await api.client("ann").started(prompt=f"lake {number}", variantCount=1)
        started.append(grid["jobs"][0]["id"])
    await subscribe(connection, "grid", started)
    ids = [UUID(one) for one in started]
    jobs = await read_jobs(api.service.driver, ids)
    return [jobs[one] for one in ids]


async def subscribe(connection: ClientConnection, operation_id: str, job_ids: list[str]) -> None:
    """Follow jobs by one more operation, and hear how they are now."""
    payload = {"query": FOLLOW, "variables": {"ids": job_ids}}
    await say(connection, id=operation_id, type="subscribe", payload=payload)
    for _ in job_ids:
        message = await hear(connection)
        assert (message["id"], message["type"]) == (operation_id, "next")


async def flood(api: Api, jobs: list[JobRecord], versions: range) -> None:
    """Publish large versions of jobs, as a worker does."""
    for step in versions:
        await api.service.publisher.publish(
            change_of(msgspec.structs.replace(job, version=job.version + step, model=LARGE))
            for job in jobs
        )


def dropped(api: Api) -> float:
    return api.service.metrics.results_dropped._value.get()  # pyright: ignore


@pytest.mark.parametrize("operations", [["grid"], ["grid", "list", "detail"]])
async def test_who_does_not_read_gets_the_newest_and_the_end(
    api: Api, operations: list[str]
) -> None:
    async with lazy(api) as connection:
        (job,) = await follow(api, connection, 1)
        for operation_id in operations[1:]:
            await subscribe(connection, operation_id, [str(job.id)])
        sent = 0

        async def is_behind() -> bool:
            nonlocal sent
            await flood(api, [job], range(sent + 1, sent + 21))
            sent += 20
            return dropped(api) > 30 * len(operations)

        await wait_until(is_behind, within_s=60, what="back-pressure")
        await api.client("ann").ask(CANCEL, id=str(job.id))

        async def has_ended() -> bool:
            return api.service.feed.listener_count == 0

        await wait_until(has_ended, what="the end on the server's side")
        seen: dict[str, list[dict[str, Any]]] = {operation_id: [] for operation_id in operations}
        for _ in operations:
            while (message := await hear(connection))["type"] == "next":
                seen[message["id"]].append(message["payload"]["data"]["jobProgress"])
            assert message["type"] == "complete"
            assert seen[message["id"]][-1]["state"] == "CANCELLED"
    for one in seen.values():
        versions = [job["version"] for job in one]
        assert versions == sorted(set(versions))
        assert 0 < len(versions) < sent


async def test_who_is_too_far_behind_is_sent_away(make_settings: Callable[..., Settings]) -> None:
    limits = {"max_active_jobs": 20, "rate_limit_max_requests": 100}
    async with running_api(make_settings(**limits)) as api, lazy(api) as connection:
        jobs = await follow(api, connection, 20)
        sent = 0

        async def is_gone() -> bool:
            nonlocal sent
            await flood(api, jobs, range(sent + 1, sent + 4))
            sent += 3
            return api.service.feed.listener_count == 0

        await wait_until(is_gone, within_s=60, what="the close")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            while True:
                await hear(connection)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (
            1013,
            "Too much is waiting to be read",
        )


async def test_the_dead_are_found_by_a_ping(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.sockets.PING_EVERY_S", 0.2)
    async with running_api(make_settings()) as api, acknowledged(api) as alive:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.split(":")[2]))
        writer.write(
            b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
            b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        # Nobody answers here. The other one's library does, by itself.
        async with asyncio.timeout(30):
            assert await reader.read() == b"\x89\x00"
        writer.close()
        await works(alive)


async def test_sockets_have_one_path(api: Api) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with websockets.connect(api.url.replace("http", "ws", 1) + "/elsewhere"):
            pass
    assert caught.value.response.status_code == 404
