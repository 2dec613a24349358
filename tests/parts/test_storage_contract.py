"""What every storage keeps: one suite for a folder, S3 (moto) and Supabase (its stand-in)."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from core.redis import open_redis
from mintari.standins import supabase
from mintari.standins.running import running
from storage.base import ObjectNotFound, StorageMisconfigured, StorageUnavailable
from storage.local import LocalStorage
from storage.registry import open_storage
from tests.parts.standin_fixtures import running_s3, settings_with

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping

    from core.settings import Settings
    from storage.base import Storage

WEBP = "image/webp"
LEGACY_KEY = "eyJhbGciOiJIUzI1NiJ9.service.role"


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of storage, by its settings; `away` and `missing` change them for the worse."""

    name: str
    settings: Mapping[str, Any]
    away: Mapping[str, Any]
    missing: Mapping[str, Any]
    says_missing: str


@pytest.fixture(scope="session")
def s3_url() -> Generator[str]:
    with running_s3() as url:
        yield url


@pytest.fixture(scope="session")
def supabase_url() -> Generator[str]:
    with running(supabase.application()) as stand_in:
        yield stand_in.url


@pytest.fixture(params=["local", "s3", "s3-prefix", "supabase", "supabase-new-key"])
def place(request: pytest.FixtureRequest) -> Place:
    name: str = request.param
    if name == "local":
        folder = request.getfixturevalue("tmp_path")
        return Place(
            name,
            {"storage_url": folder.as_uri(), "auth_secret": "s" * 32},
            away={"storage_url": "file:///proc/nowhere", "auth_secret": "s" * 32},
            missing={"storage_url": "file:///dev/null/x", "auth_secret": "s" * 32},
            says_missing="/dev/null/x",
        )
    if name.startswith("s3"):
        prefix = "/a/prefix" if name == "s3-prefix" else ""
        url = request.getfixturevalue("s3_url")
        keys = {"s3_access_key_id": "key", "s3_secret_access_key": "secret"}
        return Place(
            name,
            {"storage_url": f"s3://pictures{prefix}?endpoint={url}", **keys},
            away={"storage_url": "s3://pictures?endpoint=http://127.0.0.1:1", **keys},
            missing={"storage_url": f"s3://missing-bucket?endpoint={url}", **keys},
            says_missing="STORAGE_URL",
        )
    key = LEGACY_KEY if name == "supabase" else "sb_secret_1234"
    url = request.getfixturevalue("supabase_url")
    given = {
        "storage_url": "supabase://pictures",
        "supabase_url": url,
        "supabase_service_key": key,
    }
    return Place(
        name,
        given,
        away={**given, "supabase_url": "http://127.0.0.1:1"},
        missing={**given, "storage_url": "supabase://missing-bucket"},
        says_missing="missing-bucket",
    )


@pytest.fixture
async def storage(place: Place) -> AsyncGenerator[Storage]:
    async with open_storage(settings_with(**place.settings)) as storage:
        yield storage


def new_key() -> str:
    return f"images/{secrets.token_hex(8)}/1.webp"


async def is_there(storage: Storage, key: str) -> bool:
    try:
        await storage.get(key)
    except ObjectNotFound:
        return False
    return True


async def test_what_was_stored_comes_back(storage: Storage) -> None:
    key, content = new_key(), secrets.token_bytes(100_000)
    assert not await is_there(storage, key)

    await storage.put(key, content, WEBP)

    assert await storage.get(key) == content


async def test_storing_again_is_no_error(storage: Storage) -> None:
    key = new_key()

    for _ in range(2):
        await storage.put(key, b"content", WEBP)

    assert await storage.get(key) == b"content"


async def test_what_is_not_there_is_not_found(storage: Storage) -> None:
    with pytest.raises(ObjectNotFound):
        await storage.get(new_key())


async def test_deleting_takes_many_and_minds_none_that_is_gone(storage: Storage) -> None:
    first, second, never = new_key(), new_key(), new_key()
    await storage.put(first, b"1", WEBP)
    await storage.put(second, b"2", WEBP)

    await storage.delete([first, never])
    await storage.delete([])

    assert not await is_there(storage, first)
    assert await storage.get(second) == b"2"


async def test_objects_side_by_side(storage: Storage) -> None:
    contents = {new_key(): secrets.token_bytes(1000) for _ in range(20)}

    async with asyncio.TaskGroup() as group:
        for key, content in contents.items():
            group.create_task(storage.put(key, content, WEBP))

    assert [await storage.get(key) for key in contents] == list(contents.values())


async def test_a_browser_reads_through_signed_urls(storage: Storage) -> None:
    stored, never = [new_key(), new_key()], new_key()
    for key in stored:
        await storage.put(key, key.encode(), WEBP)

    urls = await storage.sign([*stored, never])

    assert list(urls) == [*stored, never]
    if isinstance(storage, LocalStorage):
        return  # these URLs are the API's own, and tested there
    async with httpx.AsyncClient(trust_env=False) as client:
        for key in stored:
            answer = await client.get(urls[key])
            assert (answer.status_code, answer.content) == (200, key.encode())
            assert answer.headers["content-type"] == WEBP
            assert "max-age=31536000" in answer.headers["cache-control"]
            assert (await client.get(urls[key].partition("?")[0])).status_code >= 400 or (
                storage.name == "s3"  # moto reads signatures, and lets everybody in
            )
        assert (await client.get(urls[never])).status_code in (400, 404)


async def test_a_url_stays_the_same(storage: Storage) -> None:
    first, second = new_key(), new_key()
    await storage.put(first, b"1", WEBP)
    await storage.put(second, b"2", WEBP)

    before = await storage.sign([first])
    after = await storage.sign([second, first])

    assert after[first] == before[first]
    assert after[second] != after[first]
    assert await storage.sign([]) == {}


async def test_two_processes_sign_the_same_url(place: Place, settings: Settings) -> None:
    """Of S3 and Supabase it is the first one's, as it stands in Redis; a folder needs none."""
    key = new_key()
    given = settings_with(**place.settings, redis_prefix=settings.redis_prefix)
    async with (
        open_redis(settings) as redis,
        open_storage(given, redis) as one,
        open_storage(given, redis) as other,
    ):
        await one.put(key, b"1", WEBP)
        url = (await one.sign([key]))[key]
        names = await cast("Any", redis).keys(f"{settings.redis_prefix}:url:*")
        if place.name == "local":
            assert names == []
        else:
            (name,) = names
            assert await redis.get(name) == url.encode()
            await redis.set(name, f"{url}&first", keepttl=True)
            url = f"{url}&first"
        assert await other.sign([key]) == {key: url}


async def test_a_check_leaves_nothing_behind(storage: Storage, place: Place) -> None:
    line = await storage.check()

    assert "pictures" in line or place.name == "local"


async def test_a_place_that_is_away_is_worth_another_try(place: Place) -> None:
    if place.name == "local":
        return  # a folder is never away
    async with open_storage(settings_with(**place.away)) as storage:
        for action in (storage.check(), storage.get("images/1.webp"), storage.delete(["a.webp"])):
            with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1"):
                await action


async def test_a_place_that_does_not_exist_is_named(place: Place) -> None:
    async with open_storage(settings_with(**place.missing)) as storage:
        for action in (storage.check(), storage.put("images/1.webp", b"1", WEBP)):
            with pytest.raises(StorageMisconfigured, match=place.says_missing):
                await action


@pytest.mark.parametrize(
    "settings",
    [
        {"storage_url": "ftp://host/folder"},
        {"storage_url": "file://relative/folder"},
        {"storage_url": "s3://"},
        {"storage_url": "s3://bucket?endpont=http://h"},
        {"storage_url": "supabase://bucket/folder", "supabase_url": "http://h"},
        {"storage_url": "supabase://bucket", "supabase_service_key": "k"},
        {"storage_url": "supabase://bucket", "supabase_url": "http://h"},
    ],
)
async def test_wrong_settings_are_found_at_the_start(settings: dict[str, Any]) -> None:
    with pytest.raises(StorageMisconfigured, match=r"STORAGE_URL|SUPABASE"):
        async with open_storage(settings_with(**settings)):
            pass
