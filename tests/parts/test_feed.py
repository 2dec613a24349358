"""Following jobs while Redis comes and goes: the end is never missed, nothing goes back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
import pytest

from core.redis import open_redis
from db.lifecycle import claim
from jobs.changes import change_of
from tests.client import FOLLOW
from tests.conftest import running_api, running_worker
from tests.servers import valkey_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.conftest import Api

CANCEL = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"
DELETE = "mutation($id: ID!) { deleteGeneration(id: $id) { __typename } }"


async def test_the_snapshot_comes_first_and_in_order(api: Api) -> None:
    ann = api.client("ann")
    ids = [job["id"] for job in (await ann.started(prompt="a"))["jobs"]]
    async with ann.socket() as socket:
        payloads = socket.subscribe(FOLLOW, ids=[*ids, ids[0]])
        async with aclosing(payloads):
            first = [await anext(payloads) for _ in ids]
    assert [payload["data"]["jobProgress"]["id"] for payload in first] == ids


async def test_a_subscription_leaves_nothing_behind(api: Api) -> None:
    ann = api.client("ann")
    ids = [job["id"] for job in (await ann.started(prompt="a"))["jobs"]]
    async with ann.socket() as socket:
        await anext(aiter(socket.subscribe(FOLLOW, ids=ids)))
        assert api.service.feed.listener_count == len(ids)

    async def nobody() -> bool:
        return api.service.feed.listener_count == 0

    await wait_until(nobody, what="the end of the subscription")


async def test_stale_news_are_not_passed_on(api: Api) -> None:
    ann = api.client("ann")
    job_id = (await ann.started(prompt="a", variantCount=1))["jobs"][0]["id"]
    async with api.service.database.transaction() as connection:
        work = await claim(connection, UUID(job_id), 0, worker="w", lease_s=60)
    assert work is not None
    job = work.job
    newest = change_of(job)
    publisher = api.service.publisher
    seen: list[dict[str, Any]] = []
    async for update in ann.follow(job_id):
        seen.append(update)
        if len(seen) == 1:
            for version, progress in ((9, 9), (3, 3), (10, 10)):
                change = _at(newest, job.version + version, progress)
                await publisher.publish([change])
        if update["progress"] == 10:
            await ann.ask(CANCEL, id=job_id)
    assert 3 not in [job["progress"] for job in seen]
    assert [job["version"] for job in seen] == sorted({job["version"] for job in seen})
    assert seen[-1]["state"] == "CANCELLED"


def _at(change: Any, version: int, progress: int) -> Any:
    return msgspec.structs.replace(change, version=version, progress=progress)


async def test_a_message_that_is_no_change_harms_nothing(api: Api) -> None:
    ann = api.client("ann")
    job_id = (await ann.started(prompt="a", variantCount=1))["jobs"][0]["id"]
    async with open_redis(api.service.settings) as redis:
        states: list[str] = []
        async for update in ann.follow(job_id):
            states.append(update["state"])
            if len(states) == 1:
                channel = f"{api.service.settings.redis_prefix}:change:{job_id}"
                for junk in (b"", b"null", b"[]", b"{}", b"\xff", b'{"id": 1}'):
                    await cast("Any", redis).publish(channel, junk)
                await ann.ask(CANCEL, id=job_id)
    assert states == ["PENDING", "CANCELLED"]


async def test_a_deleted_generation_ends_its_followers(api: Api) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="a", variantCount=2)
    ids = [job["id"] for job in generation["jobs"]]
    states: dict[str, str] = {}
    count = 0
    async for update in ann.follow(*ids):
        states[update["id"]] = update["state"]
        count += 1
        if count == len(ids):
            await ann.ask(DELETE, id=generation["id"])
    assert states == dict.fromkeys(ids, "CANCELLED")


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_redis_fails_in_the_middle(
    make_settings: Callable[..., Settings], fault: str
) -> None:
    """Killed (refuses) or frozen (silent): jobs are accepted, run and followed to the end."""
    with valkey_server() as valkey:
        settings = make_settings(redis_url=valkey.url, redis_timeout_s=0.5, max_active_jobs=6)
        async with running_api(settings) as api, running_worker(settings):
            ann = api.client("ann")
            wanted = {"size": "SQUARE_512", "variantCount": 2}
            before = await ann.started(prompt="a lake", **wanted)
            follow = asyncio.create_task(ann.follow_to_end(*_ids(before)))
            try:
                await asyncio.to_thread(getattr(valkey, fault))
                during = await ann.started(prompt="a sea", **wanted)
                seen = await ann.follow_to_end(*_ids(during))
                assert _ends(seen) == {"SUCCESS"}
                assert _ends(await follow) == {"SUCCESS"}
            finally:
                await asyncio.to_thread(valkey.start if fault == "kill" else valkey.resume)
            after = await ann.started(prompt="a hill", **wanted)
            assert _ends(await ann.follow_to_end(*_ids(after))) == {"SUCCESS"}


def _ids(generation: dict[str, Any]) -> list[str]:
    return [job["id"] for job in generation["jobs"]]


def _ends(seen: list[dict[str, Any]]) -> set[str]:
    return set({job["id"]: job["state"] for job in seen}.values())
