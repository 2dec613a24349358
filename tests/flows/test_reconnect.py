"""A client that loses its connection in the middle misses nothing and sees nothing go back."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tests.client import FOLLOW

if TYPE_CHECKING:
    from tests.conftest import Api


async def test_reconnect_in_the_middle(api: Api, worker: object) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="a harbour at dawn", size="SQUARE_512", variantCount=2)
    ids = [job["id"] for job in generation["jobs"]]
    highest: dict[str, int] = dict.fromkeys(ids, 0)
    progress: dict[str, int] = dict.fromkeys(ids, 0)

    def check(job: dict[str, Any]) -> None:
        assert job["version"] >= highest[job["id"]]
        assert job["progress"] >= progress[job["id"]]
        highest[job["id"]] = job["version"]
        progress[job["id"]] = job["progress"]

    # The socket is cut without a goodbye as soon as work is seen.
    async with ann.socket() as socket:
        async with aclosing(socket.subscribe(FOLLOW, ids=ids)) as payloads:
            async for payload in payloads:
                job = payload["data"]["jobProgress"]
                check(job)
                if job["progress"] > 0:
                    break
        socket.connection.transport.abort()

    # A new subscription starts with a snapshot of every job, and goes on to the end.
    seen = await ann.follow_to_end(*ids)
    assert {job["id"] for job in seen[: len(ids)]} == set(ids)
    for job in seen:
        check(job)
    assert {job["id"]: job["state"] for job in seen} == dict.fromkeys(ids, "SUCCESS")

    # After the end there is still the truth, and an end.
    late = await ann.follow_to_end(*ids)
    assert [(job["id"], job["state"]) for job in late] == [(one, "SUCCESS") for one in ids]
