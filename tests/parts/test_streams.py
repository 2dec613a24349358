"""Subscriptions over HTTP with a raw client: server-sent events and Apollo's multipart."""

from __future__ import annotations

import asyncio
import functools
import socket as sockets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import msgspec

from core.auth import issue_token
from mintari.revoke import revoke
from tests.client import FOLLOW
from tests.conftest import SECRET, running_api
from tests.parts.test_auth_revocation import issued
from tests.waiting import wait_until
from transport.stream_formats import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    import pytest

    from core.settings import Settings
    from tests.client import Client, Json
    from tests.conftest import Api

WITHIN_S = 60
EVENTS = "text/event-stream"
MULTIPART = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json,"
    " text/event-stream, multipart/mixed"
)
PROGRESS = "subscription($ids: [ID!]!) { jobProgress(jobIds: $ids) { id version state } }"
CANCEL = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"
COMPLETE = "complete"


class Stream:
    """A response that goes on: its messages, one by one."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.raw = b""
        self._messages = self._multipart() if self._is_multipart else self._events()

    @property
    def _is_multipart(self) -> bool:
        return self.response.headers["content-type"].startswith("multipart/")

    async def next(self) -> Any:
        """The next payload, or COMPLETE; None when the body ends without a word."""
        async with asyncio.timeout(WITHIN_S):
            return await anext(self._messages, None)

    async def rest(self) -> list[Any]:
        """Everything until the end of the body."""
        async with asyncio.timeout(WITHIN_S):
            return [message async for message in self._messages]

    async def _pieces(self, end: bytes) -> AsyncIterator[bytes]:
        left = b""
        async for chunk in self.response.aiter_raw():
            self.raw += chunk
            left += chunk
            *pieces, left = left.split(end)
            for piece in pieces:
                yield piece
        assert left in (b"", b"--\r\n"), left
        if left:
            yield left

    async def _events(self) -> AsyncIterator[Any]:
        async for event in self._pieces(b"\n\n"):
            if event == b":":
                continue
            name, data = event.split(b"\n")
            if name == b"event: complete":
                assert data == b"data:"
                yield COMPLETE
            else:
                assert name == b"event: next"
                yield msgspec.json.decode(data.removeprefix(b"data: "))

    async def _multipart(self) -> AsyncIterator[Any]:
        async for part in self._pieces(b"\r\n--graphql"):
            if part == b"--\r\n":
                yield COMPLETE
            elif part:
                body = msgspec.json.decode(part.split(b"\r\n\r\n")[1])
                if body:
                    yield body["payload"] or body


@asynccontextmanager
async def opened(
    client: Client, accept: str, document: str, **variables: object
) -> AsyncGenerator[Stream, None]:
    body = {"query": document, "variables": variables}
    async with client.http.stream(
        "POST", "/graphql", json=body, headers={"accept": accept}
    ) as response:
        assert response.status_code == 200
        yield Stream(response)


async def started(client: Client) -> str:
    return (await client.started(prompt="a", variantCount=1))["jobs"][0]["id"]


async def nobody_follows(api: Api) -> bool:
    return api.service.feed.followed_count == 0


async def test_a_grid_is_followed_to_its_end(api: Api) -> None:
    ann = api.client()
    for accept in (EVENTS, MULTIPART, URQL):
        job_id = await started(ann)
        async with opened(ann, accept, PROGRESS, ids=[job_id]) as stream:
            job = (await stream.next())["data"]["jobProgress"]
            assert (job["id"], job["state"]) == (job_id, "PENDING")
            await ann.ask(CANCEL, id=job_id)
            later, end = await stream.rest()
            assert later["data"]["jobProgress"]["state"] == "CANCELLED"
            assert later["data"]["jobProgress"]["version"] > job["version"]
            assert end == COMPLETE
            if accept != MULTIPART:
                assert b"\r" not in stream.raw
                assert stream.response.headers["content-type"] == f"{EVENTS}; charset=utf-8"
            else:
                assert stream.raw.endswith(b"\r\n--graphql--\r\n")
            assert "no-cache" in stream.response.headers["cache-control"]
    await wait_until(lambda: nobody_follows(api), within_s=WITHIN_S)


async def test_all_three_transports_say_the_same(api: Api) -> None:
    ann = api.client()
    job_id = await started(ann)
    async with (
        opened(ann, EVENTS, FOLLOW, ids=[job_id]) as events,
        opened(ann, MULTIPART, FOLLOW, ids=[job_id]) as multipart,
        ann.socket() as socket,
    ):
        on_socket = socket.subscribe(FOLLOW, ids=[job_id])
        first = await anext(on_socket)
        assert await events.next() == await multipart.next() == first
        await ann.ask(CANCEL, id=job_id)
        last = [message async for message in on_socket]
        assert await events.rest() == await multipart.rest() == [*last, COMPLETE]


async def test_eventsource_asks_by_get(api: Api) -> None:
    ann = api.client()
    job_id = await started(ann)
    variables = msgspec.json.encode({"ids": [job_id]}).decode()
    parameters = {"query": PROGRESS, "variables": variables}
    async with ann.http.stream(
        "GET", "/graphql", params=parameters, headers={"accept": EVENTS}
    ) as response:
        stream = Stream(response)
        assert (await stream.next())["data"]["jobProgress"]["id"] == job_id
    # Whoever goes away is forgotten.
    await wait_until(lambda: nobody_follows(api), within_s=WITHIN_S)


async def test_only_subscriptions_are_streamed_to_who_takes_json(api: Api) -> None:
    ann = api.client()
    body = {"query": "{ viewer { id } }"}
    response = await ann.http.post("/graphql", json=body, headers={"accept": URQL})
    assert response.headers["content-type"].startswith("application/graphql-response+json")
    assert response.json() == {"data": {"viewer": {"id": "ann"}}}
    for accept in ("application/json", "*/*", "text/event-stream;q=0, */*"):
        body = {"query": PROGRESS, "variables": {"ids": ["a"]}}
        response = await ann.http.post("/graphql", json=body, headers={"accept": accept})
        assert response.status_code == 400
        assert "text/event-stream" in response.json()["errors"][0]["message"]
    response = await ann.http.post("/graphql", json=body, headers={"accept": "multipart/mixed"})
    assert response.status_code == 406


SHORT: list[tuple[str, object]] = [
    ("{ viewer { id } }", {"data": {"viewer": {"id": "ann"}}}),
    ("{ nothing }", "INVALID_DOCUMENT"),
    ("{", "INVALID_DOCUMENT"),
    ("subscription { nothing }", "INVALID_DOCUMENT"),
    ("subscription { jobProgress(jobIds: 3) { nothing } }", "INVALID_DOCUMENT"),
    ('subscription { jobProgress(jobIds: ["a"]) { id } }', "JOB_NOT_FOUND"),
    ("subscription { jobProgress(jobIds: []) { id } }", "INVALID_INPUT"),
    ("query A { viewer { id } } query B { viewer { id } }", "BAD_REQUEST"),
]


async def test_one_answer_is_a_short_stream_for_who_takes_no_other(api: Api) -> None:
    ann = api.client()
    for document, expected in SHORT:
        async with opened(ann, EVENTS, document) as stream:
            result, end = await stream.rest()
        assert end == COMPLETE, document
        errors = result.get("errors")
        assert (errors[0]["extensions"]["code"] if errors else result) == expected, document
    body = {"documentId": "sha256:" + "0" * 64}
    async with ann.http.stream(
        "POST", "/graphql", json=body, headers={"accept": EVENTS}
    ) as response:
        result, end = await Stream(response).rest()
    assert result["errors"][0]["message"] == "PersistedQueryNotFound"
    assert end == COMPLETE


async def test_who_may_follow(api: Api) -> None:
    job_id = await started(api.client())
    bad = api.with_token("not.a.token")
    body: Json = {"query": PROGRESS, "variables": {"ids": [job_id]}}
    response = await bad.http.post("/graphql", json=body, headers={"accept": EVENTS})
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    for client, code in (
        (api.with_token(None), "UNAUTHENTICATED"),
        (api.client("bob"), "JOB_NOT_FOUND"),
    ):
        async with opened(client, EVENTS, PROGRESS, ids=[job_id]) as stream:
            result, end = await stream.rest()
        assert (result["errors"][0]["extensions"]["code"], end) == (code, COMPLETE)


async def test_streams_count_as_sockets(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(max_sockets_per_user=2, max_sockets_per_address=3)
    async with running_api(settings) as api:
        ann = api.client()
        job_id = await started(ann)
        async with opened(ann, EVENTS, PROGRESS, ids=[job_id]) as one, ann.socket():
            await one.next()
            body = {"query": PROGRESS, "variables": {"ids": [job_id]}}
            refused = await ann.http.post("/graphql", json=body, headers={"accept": MULTIPART})
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
            (error,) = refused.json()["errors"]
            assert error["extensions"]["code"] == "TOO_MANY_STREAMS"
            assert "2 sockets per user" in error["message"]
            async with opened(api.client("bob"), EVENTS, PROGRESS, ids=[job_id]) as other:
                await other.next()

        async def there_is_room() -> bool:
            response = await ann.http.post(
                "/graphql", json={"query": "subscription { x }"}, headers={"accept": EVENTS}
            )
            return response.status_code == 200

        await wait_until(there_is_room, within_s=WITHIN_S)


async def test_an_expired_token_ends_a_stream_that_is_not_complete(api: Api) -> None:
    job_id = await started(api.client())
    short = api.with_token(issue_token(SECRET, user_id="ann", ttl_s=2))
    async with (
        opened(short, EVENTS, PROGRESS, ids=[job_id]) as events,
        opened(short, MULTIPART, PROGRESS, ids=[job_id]) as multipart,
    ):
        for accept, stream in ((EVENTS, events), (MULTIPART, multipart)):
            assert "data" in await stream.next()
            assert is_interrupted(accept, await stream.rest(), "UNAUTHENTICATED", "expired")


def is_interrupted(accept: str, said: list[Any], code: str, word: str) -> bool:
    """Whether this is the end of a stream whose client comes back."""
    if accept == EVENTS:
        return said == []
    told, end = said
    (error,) = told["errors"]
    assert end == COMPLETE
    return error["extensions"] == {"code": code} and word in error["message"]


async def test_a_revoked_user_is_cut_off(api: Api, settings: Settings) -> None:
    ann, bob = api.with_token(issued(5)), api.client("bob")
    async with (
        opened(ann, MULTIPART, PROGRESS, ids=[await started(ann)]) as revoked,
        opened(bob, EVENTS, PROGRESS, ids=[(bobs := await started(bob))]) as other,
    ):
        assert "data" in await revoked.next()
        assert "data" in await other.next()
        await revoke(settings, "ann")
        assert is_interrupted(MULTIPART, await revoked.rest(), "UNAUTHENTICATED", "revoked")
        await bob.ask(CANCEL, id=bobs)
        assert (await other.rest())[-1] == COMPLETE


async def test_a_server_that_stops_ends_its_streams(make_settings: Callable[..., Settings]) -> None:
    async with httpx.AsyncClient(timeout=WITHIN_S) as http:
        async with running_api(make_settings()) as api:
            ann = api.client()
            body = {"query": PROGRESS, "variables": {"ids": [await started(ann)]}}
            asked = [
                http.build_request(
                    "POST",
                    f"{api.url}/graphql",
                    json=body,
                    headers={"accept": accept, "authorization": f"Bearer {ann.token}"},
                )
                for accept in (EVENTS, MULTIPART)
            ]
            streams = [Stream(await http.send(request, stream=True)) for request in asked]
            for stream in streams:
                assert "data" in await stream.next()
        events, multipart = streams
        # The body ends in order, without `complete`.
        assert is_interrupted(EVENTS, await events.rest(), "", "")
        assert is_interrupted(MULTIPART, await multipart.rest(), "SERVER_STOPPING", "stops")


async def test_silence_is_broken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.streams.HEARTBEAT_S", 0.05)
    ann = api.client()
    for accept, sign in ((EVENTS, b"\n\n:\n\n:\n\n"), (MULTIPART, b"\r\n\r\n{}\r\n--graphql")):
        job_id = await started(ann)
        async with opened(ann, accept, PROGRESS, ids=[job_id]) as stream:
            await stream.next()
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(stream.rest())
                await wait_until(functools.partial(shows, stream, sign), within_s=WITHIN_S)
                await ann.ask(CANCEL, id=job_id)
                assert (await reading)[-1] == COMPLETE


async def shows(stream: Stream, sign: bytes) -> bool:
    return sign in stream.raw


async def test_a_client_that_never_reads_is_cut_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.streams.HEARTBEAT_S", 0.01)
    monkeypatch.setattr("transport.streams.WRITE_TIMEOUT_S", 0.3)
    # The kernel's buffers are full after some of these.
    monkeypatch.setattr(EVENT_STREAM, "heartbeat", b":" * 2**20 + b"\n\n")
    ann = api.client()
    body = msgspec.json.encode({"query": PROGRESS, "variables": {"ids": [await started(ann)]}})
    url = urlsplit(api.url)
    with sockets.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(
            f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ann.token}\r\n"
            f"accept: {EVENTS}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )

        async def is_followed() -> bool:
            return not await nobody_follows(api)

        await wait_until(is_followed, within_s=WITHIN_S)
        await wait_until(lambda: nobody_follows(api), within_s=WITHIN_S)
