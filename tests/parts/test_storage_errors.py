"""What an operator reads when S3 or Supabase refuse, are full, or are somebody else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from core.redis import open_redis
from mintari.standins import supabase
from mintari.standins.running import RunningStandIn, running
from storage.base import StorageError, StorageMisconfigured, StorageUnavailable
from storage.registry import open_storage
from storage.reuse import MAX_KEPT_URLS, ReusedUrls
from storage.url_book import UrlBook
from tests.parts.standin_fixtures import WRONG_KEY, running_s3, settings_with

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from starlette.requests import Request

    from core.settings import Settings
    from storage.base import Storage

SECRET = "a-secret-key-of-the-tests"


class Refusing:
    """A server that answers every request of S3 with one error."""

    def __init__(self) -> None:
        self.status, self.code = 500, "InternalError"
        self.url = ""
        every = ["GET", "PUT", "POST", "DELETE", "HEAD"]
        self.application = Starlette(routes=[Route("/{path:path}", self._refuse, methods=every)])

    async def _refuse(self, _request: Request) -> Response:
        body = f"<Error><Code>{self.code}</Code><Message>no</Message></Error>" if self.code else ""
        return Response(body, self.status, media_type="application/xml")


@pytest.fixture(scope="module")
def refusing() -> Generator[Refusing]:
    refusing = Refusing()
    with running(refusing.application) as server:
        refusing.url = server.url
        yield refusing


@asynccontextmanager
async def s3_at(url: str) -> AsyncGenerator[Storage]:
    settings = settings_with(
        storage_url=f"s3://pictures?endpoint={url}",
        s3_access_key_id="key",
        s3_secret_access_key=SECRET,
    )
    async with open_storage(settings) as storage:
        yield storage


async def error_of(storage: Storage) -> StorageError:
    with pytest.raises(StorageError) as raised:
        await storage.check()
    assert SECRET not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (403, "InvalidAccessKeyId", StorageMisconfigured, "S3_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", StorageMisconfigured, "S3_SECRET_ACCESS_KEY"),
        (403, "AccessDenied", StorageMisconfigured, "rights"),
        (403, "RequestTimeTooSkewed", StorageMisconfigured, "clock"),
        (401, "", StorageMisconfigured, "S3_ACCESS_KEY_ID"),
        (404, "NoSuchBucket", StorageMisconfigured, "create it"),
        (400, "AuthorizationHeaderMalformed", StorageMisconfigured, "region"),
        (403, "QuotaExceeded", StorageUnavailable, "full"),
        (507, "XMinioStorageFull", StorageUnavailable, "full"),
        (503, "SlowDown", StorageUnavailable, "SlowDown"),
        (500, "InternalError", StorageUnavailable, "InternalError"),
        (502, "", StorageUnavailable, "502"),
    ],
)
async def test_what_s3_refuses_is_explained(
    refusing: Refusing, status: int, code: str, kind: type[StorageError], says: str
) -> None:
    refusing.status, refusing.code = status, code

    async with s3_at(refusing.url) as storage:
        error = await error_of(storage)

    assert type(error) is kind
    assert says in str(error)
    assert "pictures" in str(error)


async def test_a_host_without_a_name_is_explained() -> None:
    async with s3_at("http://no-such-host.invalid") as storage:
        error = await error_of(storage)

    assert type(error) is StorageUnavailable
    assert "no-such-host.invalid" in str(error)


@pytest.fixture
def s3_url() -> Generator[str]:
    with running_s3() as url:
        yield url


async def test_amazons_own_sdk_reads_what_we_store(s3_url: str) -> None:
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": SECRET}
    client = cast("Any", boto3).client("s3", endpoint_url=s3_url, region_name="us-east-1", **keys)
    async with s3_at(s3_url) as storage:
        await storage.put("images/1.webp", b"content", "image/webp")
        stored = client.get_object(Bucket="pictures", Key="images/1.webp")
        client.put_object(Bucket="pictures", Key="images/2.webp", Body=b"theirs")

        assert await storage.get("images/2.webp") == b"theirs"
    assert (stored["Body"].read(), stored["ContentType"]) == (b"content", "image/webp")
    client.close()


@pytest.fixture(scope="module")
def supabase_server() -> Generator[RunningStandIn]:
    with running(supabase.application()) as stand_in:
        yield stand_in


@asynccontextmanager
async def supabase_at(url: str, key: str = SECRET) -> AsyncGenerator[Storage]:
    settings = settings_with(
        storage_url="supabase://pictures", supabase_url=url, supabase_service_key=key
    )
    async with open_storage(settings) as storage:
        yield storage


@pytest.mark.parametrize(
    ("step", "kind", "says"),
    [
        ("401", StorageMisconfigured, "SUPABASE_SERVICE_KEY"),
        ("403", StorageMisconfigured, "SUPABASE_SERVICE_KEY"),
        ("413", StorageMisconfigured, "size"),
        ("415", StorageMisconfigured, "image/webp"),
        ("400", StorageMisconfigured, "does not take our request"),
        ("html", StorageMisconfigured, "SUPABASE_URL"),
        ("quota-day", StorageUnavailable, "full"),
        ("429", StorageUnavailable, "429"),
        ("500", StorageUnavailable, "500"),
        ("544", StorageUnavailable, "544"),
        ("reset", StorageUnavailable, "127.0.0.1"),
    ],
)
async def test_what_supabase_refuses_is_explained(
    supabase_server: RunningStandIn, step: str, kind: type[StorageError], says: str
) -> None:
    supabase_server.reset()
    # A page of a proxy comes with status 200: only an answer that must be read shows it.
    supabase_server.script(sequence=[step], latency_s=0)

    async with supabase_at(supabase_server.url) as storage:
        with pytest.raises(StorageError) as raised:
            await storage.sign(["images/1.webp"])

    assert type(raised.value) is kind
    assert says in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_a_wrong_key_of_supabase_is_explained(supabase_server: RunningStandIn) -> None:
    supabase_server.reset()
    async with supabase_at(supabase_server.url, WRONG_KEY) as storage:
        error = await error_of(storage)

    assert type(error) is StorageMisconfigured
    assert "SUPABASE_SERVICE_KEY" in str(error)
    assert WRONG_KEY not in str(error)


async def test_a_server_that_is_not_supabase_is_explained(refusing: Refusing) -> None:
    refusing.status, refusing.code = 404, ""

    async with supabase_at(refusing.url) as storage:
        error = await error_of(storage)

    assert type(error) is StorageMisconfigured
    assert "SUPABASE_URL" in str(error)


async def test_a_grid_is_signed_in_one_request(supabase_server: RunningStandIn) -> None:
    supabase_server.reset()
    keys = [f"images/{number}.webp" for number in range(6)]
    async with supabase_at(supabase_server.url) as storage:
        for key in keys:
            await storage.put(key, b"1", "image/webp")
        await storage.sign(keys)
        await storage.sign(keys)

    requests = [call["prompt"] for call in supabase_server.calls()]
    assert requests == [*(f"POST {key}" for key in keys), "POST "]


class Clock:
    """A clock that is set by hand, and a signer that numbers its URLs."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.signed: list[tuple[tuple[str, ...], int]] = []

    def __call__(self) -> float:
        return self.now_s

    async def sign(self, keys: Sequence[str], life_s: int) -> Mapping[str, str | None]:
        self.signed.append((tuple(keys), life_s))
        return {key: f"{key}?{len(self.signed)}" if key != "none" else None for key in keys}


async def test_a_url_is_reused_until_its_window_ends() -> None:
    clock = Clock()
    urls = ReusedUrls(60, clock=clock)

    assert await urls.get(["a"], clock.sign) == {"a": "a?1"}
    clock.now_s = 1019.9
    assert await urls.get(["b", "a"], clock.sign) == {"b": "b?2", "a": "a?1"}
    clock.now_s = 1020
    assert await urls.get(["a"], clock.sign) == {"a": "a?3"}

    assert clock.signed == [(("a",), 120), (("b",), 120), (("a",), 120)]


async def test_processes_hand_out_what_the_first_has_signed(settings: Settings) -> None:
    first, second = Clock(), Clock()
    async with open_redis(settings) as redis:
        ones = ReusedUrls(60, UrlBook(redis, settings), clock=first)
        twos = ReusedUrls(60, UrlBook(redis, settings), clock=second)
        assert await ones.get(["a", "none"], first.sign) == {"a": "a?1", "none": None}
        # Signed before it was known that another one had been first.
        second.signed.append(((), 0))
        assert await twos.get(["b", "a", "none"], second.sign) == {
            "b": "b?2",
            "a": "a?1",
            "none": None,
        }
        assert second.signed[1:] == [(("b", "none"), 120)]
        assert await ones.get(["b"], first.sign) == {"b": "b?2"}
        assert await UrlBook(redis, settings).agree(16, {"a": "late"}, for_s=60) == {"a": "a?1"}
        # Another bucket's URLs, and those of another hour, are others.
        elsewhere = settings.model_copy(update={"storage_url": "s3://other"})
        assert await UrlBook(redis, elsewhere).read(16, ["a"]) == {}
        first.now_s = second.now_s = 1020
        assert await twos.get(["a"], second.sign) == {"a": "a?3"}
        assert await ones.get(["a"], first.sign) == {"a": "a?3"}
        names = await cast("Any", redis).keys(f"{settings.redis_prefix}:url:*")
        assert len(names) == 3
        assert all([0 < await redis.ttl(name) <= 60 for name in names])


async def test_without_redis_each_process_signs_for_itself(settings: Settings) -> None:
    clock = Clock()
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_redis(away) as redis:
        urls = ReusedUrls(60, UrlBook(redis, away), clock=clock)
        for _ in range(2):
            assert await urls.get(["a"], clock.sign) == {"a": "a?1"}


async def test_what_is_gone_or_was_never_there_is_not_remembered() -> None:
    clock = Clock()
    urls = ReusedUrls(60, clock=clock)

    assert await urls.get(["a", "none", "a"], clock.sign) == {"a": "a?1", "none": None}
    urls.forget(["a", "unknown"])
    assert await urls.get(["a", "none"], clock.sign) == {"a": "a?2", "none": None}


async def test_remembering_is_bounded_and_no_url_lives_longer_than_s3_allows() -> None:
    clock = Clock()
    urls = ReusedUrls(30 * 86_400, clock=clock)

    many = [str(number) for number in range(MAX_KEPT_URLS + 1)]
    found = await urls.get(many, clock.sign)
    await urls.get(many[-1:], clock.sign)
    await urls.get(many[:1], clock.sign)

    assert len(found) == MAX_KEPT_URLS + 1
    assert [len(keys) for keys, _ in clock.signed] == [MAX_KEPT_URLS + 1, 1]
    assert {life_s for _, life_s in clock.signed} == {7 * 86_400}
