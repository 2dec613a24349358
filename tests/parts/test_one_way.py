"""Websockets and HTTP run queries and mutations the same way, compiled where they can be."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from graphql import GraphQLError

from tests.conftest import running_api
from tests.parts.test_compiled import AGAIN, PAGE, READ, REQUESTS, START, asked_before
from tests.parts.test_sockets import acknowledged, say
from transport.operations import refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from strawberry.types import ExecutionResult
    from websockets.asyncio.client import ClientConnection

    from core.settings import Settings
    from tests.client import Client
    from tests.conftest import Api

EXECUTE = "transport.operations.Operations.execute"
VIEWER = "{ viewer { id } }"
GRID = "query($id: ID!) { generation(id: $id) { id } }"


@pytest.fixture
async def roomy(make_settings: Callable[..., Settings]) -> AsyncGenerator[Api, None]:
    settings = make_settings(rate_limit_max_requests=1000, max_active_jobs=1000)
    async with running_api(settings) as api:
        yield api


async def core(*_: object) -> ExecutionResult:
    """Stands where graphql-core is asked."""
    return refused(GraphQLError("asked graphql-core"))


def by_another_name(document: str) -> str:
    """The same as a text that nobody has sent before."""
    return f"{document}\n# {secrets.token_hex(8)}"


async def over_http(client: Client, **asked: Any) -> bytes:
    return (await client.http.post("/graphql", json=asked)).content


async def frames(socket: ClientConnection, **asked: Any) -> list[str]:
    """What an operation is answered, as it came."""
    await say(socket, id="1", type="subscribe", payload=asked)
    heard: list[str] = []
    while not heard or '"type":"next"' in heard[-1][:40]:
        heard.append(str(await socket.recv()))
    return heard


def as_frames(body: bytes) -> list[str]:
    """An answer over HTTP as it comes over a websocket."""
    decoded = msgspec.json.decode(body)
    if "data" in decoded:
        told = f'{{"id":"1","type":"next","payload":{body.decode()}}}'
        return [told, '{"id":"1","type":"complete"}']
    message = {"id": "1", "type": "error", "payload": decoded["errors"]}
    return [msgspec.json.encode(message).decode()]


async def test_answers_are_those_over_http(roomy: Api) -> None:
    ann = roomy.client("ann")
    grid = await ann.started(prompt="a lake", variantCount=1, idempotencyKey="known")
    job = grid["jobs"][0]["id"]
    made = {"jobId": job, "idempotencyKey": "made"}
    assert "job" in (await ann.ask(AGAIN, input=made)).data["again"]
    async with acknowledged(roomy) as socket:
        for document, variables in [*REQUESTS, (GRID, {"id": "GRID"})]:
            given = msgspec.json.encode(variables).replace(b"JOB", job.encode())
            given = msgspec.json.decode(given.replace(b"GRID", grid["id"].encode()))
            asked = {"query": by_another_name(document), "variables": given}
            expected = as_frames(await over_http(ann, **asked))
            for _ in range(2):
                assert await frames(socket, **asked) == expected, (document, given)


async def test_who_has_no_token_is_told_the_same(roomy: Api) -> None:
    nobody = roomy.with_token(None)
    async with nobody.socket() as socket:
        for document, variables in ((READ, {"id": "x"}), (START, {"input": {"prompt": "a"}})):
            asked = {"query": by_another_name(document), "variables": variables}
            expected = as_frames(await over_http(nobody, **asked))
            assert '"code":"UNAUTHENTICATED"' in expected[0]
            for _ in range(2):
                assert await frames(socket.connection, **asked) == expected


async def test_sockets_and_gets_are_answered_without_graphql_core(
    roomy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = roomy.client("ann")
    asked = await asked_before(ann)
    job = asked[0][1]["id"]
    monkeypatch.setattr(EXECUTE, core)
    async with ann.socket() as socket:
        for document, variables in asked:
            (answer,) = [one async for one in socket.subscribe(document, **variables)]
            assert "errors" not in answer
            assert None not in answer["data"].values()
        (answer,) = [one async for one in socket.subscribe(VIEWER)]
        assert answer["errors"][0]["message"] == "asked graphql-core"
    read = {"query": READ, "variables": msgspec.json.encode({"id": job}).decode()}
    response = await ann.http.get("/graphql", params=read)
    assert response.json()["data"]["job"]["id"] == job


async def test_a_get_does_nothing_that_a_plan_could(roomy: Api) -> None:
    ann = roomy.client("ann")
    wanted = {"input": {"prompt": "a hill", "variantCount": 1}}
    for _ in range(2):
        await ann.ask(START, **wanted)
    before = (await ann.ask(PAGE)).data
    start = {"query": START, "variables": msgspec.json.encode(wanted).decode()}
    response = await ann.http.get("/graphql", params=start)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert (await ann.ask(PAGE)).data == before


async def test_what_a_mutation_has_done_is_not_done_again(
    roomy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer needs something that cannot be read while it is written; then it can."""
    document = START.replace("id state", "id queuePosition state")

    async def fails(*_: object) -> None:
        monkeypatch.undo()
        raise OSError

    async with roomy.client("ann").socket() as socket:
        for prompt in ("a lake", "a hill", "a tower"):
            if prompt == "a tower":
                monkeypatch.setattr("resolvers.answering.Answering.read", fails)
            wanted = {"prompt": prompt, "variantCount": 1}
            (answer,) = [one async for one in socket.subscribe(document, input=wanted)]
        (job,) = answer["data"]["startGeneration"]["generation"]["jobs"]
        assert job["queuePosition"] == 3
        (answer,) = [one async for one in socket.subscribe(PAGE)]
    assert len(answer["data"]["jobs"]["nodes"]) == 3


async def test_an_empty_name_is_none(roomy: Api) -> None:
    asked = {"query": VIEWER, "operationName": ""}
    body = b'{"data":{"viewer":{"id":"ann"}}}'
    assert await over_http(roomy.client("ann"), **asked) == body
    async with acknowledged(roomy) as socket:
        assert await frames(socket, **asked) == as_frames(body)
