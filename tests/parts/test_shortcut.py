"""The short way of requests: who goes it, and who does not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from core.auth import issue_token
from mintari.revoke import revoke
from tests.conftest import SECRET, running_api
from tests.parts.test_compiled import PAGE, READ, START, asked_before
from tests.parts.test_http_protocol import answer, connection
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from core.settings import Settings
    from tests.client import Client
    from tests.conftest import Api

LONG_WAY = "transport.http.HttpEndpoint.__call__"


@pytest.fixture
async def roomy(make_settings: Callable[..., Settings]) -> AsyncGenerator[Api, None]:
    async with running_api(make_settings(max_active_jobs=1000)) as api:
        yield api


async def read_twice(ann: Client) -> None:
    """From now on the operation is known, and so is the viewer."""
    for _ in range(2):
        assert (await ann.ask(READ, id="x")).data == {"job": None}


async def status(ann: Client, body: dict[str, Any], **headers: str) -> int:
    return (await ann.http.post("/graphql", json=body, headers=headers)).status_code


async def test_known_operations_of_known_viewers_go_the_short_way(
    roomy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = roomy.client("ann"), roomy.client("bob")
    asked = await asked_before(ann)
    job = asked[0][1]["id"]
    monkeypatch.delattr(LONG_WAY)
    for document, variables in asked:
        assert (await ann.ask(document, **variables)).data
    read = {"query": READ, "variables": {"id": job}}
    assert await status(ann, read) == 200
    # Operations that are seen for the first time or not compiled, viewers that are, odd requests.
    assert await status(ann, {"query": READ + " "}) == 500
    assert await status(ann, {"query": "{ viewer { id } }"}) == 500
    assert await status(bob, read) == 500
    assert await status(ann, read, **{"content-encoding": "identity"}) == 500
    assert await status(ann, {**read, "extensions": {"cost": True}}) == 500
    response = await ann.http.get("/graphql", params={"query": READ})
    assert response.status_code == 500


async def test_documents_by_their_hash_go_it_too(
    roomy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = roomy.client("ann")
    named = {"persistedQuery": {"version": 1, "sha256Hash": sha256(READ.encode()).hexdigest()}}
    by_hash = {"variables": {"id": "x"}, "extensions": named}
    await ann.http.post("/graphql", json={**by_hash, "query": READ})
    assert await status(ann, by_hash) == 200
    monkeypatch.delattr(LONG_WAY)
    assert await status(ann, by_hash) == 200
    # What comes with its text is registered first.
    assert await status(ann, {**by_hash, "query": READ}) == 500


async def test_who_may_not_ask_any_more_is_told_so(roomy: Api) -> None:
    ann, soon = roomy.client("ann"), roomy.with_token(issue_token(SECRET, user_id="bob", ttl_s=5))
    for one in (ann, ann, soon, soon):
        assert (await one.ask(PAGE)).data["jobs"]["nodes"] == []

    async def is_refused(client: Client) -> bool:
        return await status(client, {"query": PAGE}) == 401

    assert not await is_refused(ann)
    await revoke(roomy.service.settings, "ann")
    await wait_until(lambda: is_refused(ann))
    await wait_until(lambda: is_refused(soon))


async def test_bodies_in_pieces_and_bodies_that_never_end(
    roomy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = roomy.client("ann")
    await read_twice(ann)
    body = msgspec.json.encode({"query": READ, "variables": {"id": "x"}})
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {ann.token}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    async with connection(roomy) as (reader, writer):
        for piece in (head, body[:9], body[9:] + head + body, head + body):
            writer.write(piece)
            await writer.drain()
        for _ in range(3):
            assert await answer(reader) == ("http/1.1 200 ok", b'{"data":{"job":null}}')
    monkeypatch.setattr("transport.parameters.READ_DEADLINE_S", 0.3)
    for piece in (b"", body[:9]):
        async with connection(roomy) as (reader, writer):
            writer.write(head + piece)
            assert (await answer(reader))[0] == "http/1.1 408 request timeout"


async def test_in_development_no_foreign_name_leads_here(
    make_settings: Callable[..., Settings],
) -> None:
    async with running_api(make_settings(dev_mode=True)) as api:
        ann = api.client("ann")
        await read_twice(ann)
        read = {"query": READ, "variables": {"id": "x"}}
        assert await status(ann, read) == 200
        assert await status(ann, read, host="localhost") == 200
        assert await status(ann, read, host="rebound.example") == 400


# --- pages of other origins ---

APP = "https://app.example"
NAMED = (APP, "https://b.example")
MOST_OF_THEM = (*NAMED, APP.upper(), f"{APP}:443", f"{APP}/", "https://other.example", "null", "")
LONG = {"content-type": "application/json;charset=utf-8"}
"""Means the same as what most send, and goes the long way."""


@asynccontextmanager
async def open_to(
    make_settings: Callable[..., Settings], *allowed: str
) -> AsyncGenerator[Api, None]:
    settings = make_settings(
        allowed_origins=allowed, max_active_jobs=1, rate_limit_max_requests=1000
    )
    async with running_api(settings) as api:
        yield api


async def told(
    ann: Client, body: dict[str, Any], origin: str | None, **headers: str
) -> list[tuple[bytes, bytes] | int | bytes]:
    """Status, headers as they came and in their order, body."""
    sent = {"x-request-id": "the-same-id", **headers}
    sent |= {} if origin is None else {"origin": origin}
    response = await ann.http.post("/graphql", json=body, headers=sent)
    raw = [one for one in response.headers.raw if one[0] != b"date"]
    return [response.status_code, *raw, response.content]


@pytest.mark.parametrize("allowed", [(), (APP,), NAMED, (APP, "*"), (APP, "null")])
async def test_pages_of_other_origins_are_told_the_same_on_both_ways(
    make_settings: Callable[..., Settings], allowed: tuple[str, ...]
) -> None:
    start = {"query": START, "variables": {"input": {"prompt": "a", "variantCount": 1}}}
    async with open_to(make_settings, *allowed) as api:
        ann = api.client("ann")
        await read_twice(ann)
        await ann.started(prompt="a lake", variantCount=1)
        for _ in range(2):
            assert (await told(ann, start, None))[0] == 429
        for body in ({"query": READ, "variables": {"id": "x"}}, start):
            for origin in (None, *MOST_OF_THEM, api.url):
                expected = await told(ann, body, origin, **LONG)
                assert await told(ann, body, origin) == expected, origin


async def test_pages_of_allowed_origins_go_the_short_way(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = {"query": READ, "variables": {"id": "x"}}
    async with open_to(make_settings, *NAMED) as api:
        ann = api.client("ann")
        await read_twice(ann)
        monkeypatch.delattr(LONG_WAY)
        assert (await told(ann, read, None))[0] == 200
        for origin in NAMED:
            status_code, *headers, _ = await told(ann, read, origin)
            assert status_code == 200
            assert (b"access-control-allow-origin", origin.encode()) in headers
        for origin in (*MOST_OF_THEM[len(NAMED) :], api.url):
            assert (await told(ann, read, origin))[0] == 500
        assert (await told(ann, read, APP, **LONG))[0] == 500
        two = [("origin", APP), ("origin", NAMED[1])]
        response = await ann.http.post("/graphql", json=read, headers=two)
        assert response.status_code == 500


async def test_where_no_other_origin_is_allowed_all_go_the_short_way(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = {"query": READ, "variables": {"id": "x"}}
    async with open_to(make_settings) as api:
        ann = api.client("ann")
        await read_twice(ann)
        monkeypatch.delattr(LONG_WAY)
        for origin in (None, api.url, APP):
            assert (await told(ann, read, origin))[0] == 200
