"""GraphQL over HTTP: the public audits, and what they do not ask."""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import text

from tests.conftest import running_api
from tests.node import install_clients, run_script

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from core.settings import Settings
    from tests.conftest import Api

RESPONSE = "application/graphql-response+json"
TYPENAME = b'{"query": "{ __typename }"}'


@pytest.fixture(scope="module")
def node() -> str:
    return install_clients()


@pytest.fixture
async def open_api(make_settings: Callable[..., Settings]) -> AsyncGenerator[Api, None]:
    """An API whose schema can be asked for."""
    async with running_api(make_settings(introspection=True)) as api:
        yield api


async def test_all_public_audits_are_passed(open_api: Api, node: str) -> None:
    lines = await run_script(node, "audit.mjs", f"{open_api.url}/graphql")
    results = [msgspec.json.decode(line) for line in lines]
    assert len(results) == 61
    assert [result for result in results if result["status"] != "ok"] == []


async def post(api: Api, body: bytes, **headers: str) -> tuple[int, dict[str, Any], Any]:
    sent = {"content-type": "application/json", **headers}
    response = await api.client().http.post("/graphql", content=body, headers=sent)
    assert response.headers["content-type"].startswith("application/")
    return response.status_code, response.json(), response.headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'"x"',
        b"null",
        b"3",
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b'{"query": ""}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        gzip.compress(TYPENAME, mtime=0),
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_bodies_that_are_no_request(api: Api, body: bytes) -> None:
    status, answer, _ = await post(api, body)
    assert status == 400
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert "data" not in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/jsonx"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=latin1"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"accept": "text/html"}, 406),
        ({"accept": "application/json;q=0"}, 406),
    ],
)
async def test_media_types_that_are_not_spoken(
    api: Api, headers: dict[str, str], status: int
) -> None:
    answered, body, _ = await post(api, TYPENAME, **headers)
    assert answered == status
    assert body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (f"{RESPONSE}, application/json;q=0.9", RESPONSE),
        (f"application/json, {RESPONSE};q=0.5", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/*", "application/json"),
        (f"{RESPONSE}; charset=utf-8", RESPONSE),
    ],
)
async def test_the_best_media_type_is_chosen(api: Api, accept: str, expected: str) -> None:
    _, _, headers = await post(api, TYPENAME, accept=accept)
    assert headers["content-type"] == f"{expected}; charset=utf-8"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_other_methods(api: Api, method: str) -> None:
    response = await api.client().http.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_get_is_safe(api: Api) -> None:
    ann = api.client("ann")
    mutation = 'mutation { startGeneration(input: {prompt: "a"}) { __typename } }'
    response = await ann.http.get("/graphql", params={"query": mutation})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert (await ann.ask("{ jobs { nodes { id } } }")).data == {"jobs": {"nodes": []}}
    query = {"query": "{ viewer { id } }", "variables": "", "operationName": ""}
    response = await ann.http.get("/graphql", params=query)
    assert response.json() == {"data": {"viewer": {"id": "ann"}}}


async def test_an_operation_must_be_named_where_there_are_several(api: Api) -> None:
    document = "query A { viewer { id } } query B { styles { slug } }"
    status, answer, _ = await post(api, msgspec.json.encode({"query": document}), accept=RESPONSE)
    assert status == 400
    assert "operationName" in answer["errors"][0]["message"]
    body = msgspec.json.encode({"query": document, "operationName": "A"})
    assert (await post(api, body))[1] == {"data": {"viewer": {"id": "ann"}}}
    body = msgspec.json.encode({"query": document, "operationName": "C"})
    assert (await post(api, body))[0] == 400


async def test_subscriptions_are_not_for_post(api: Api) -> None:
    body = msgspec.json.encode({"query": 'subscription { jobProgress(jobIds: ["a"]) { id } }'})
    status, answer, _ = await post(api, body)
    assert status == 400
    assert "websocket" in answer["errors"][0]["message"]


async def test_a_body_has_an_end(api: Api) -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        for _ in range(1000):
            yield b" " * 1024

    response = await api.client().http.post(
        "/graphql", content=endless(), headers={"content-type": "application/json"}
    )
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "CONTENT_TOO_LARGE"


async def test_one_status_for_each_media_type(api: Api) -> None:
    broken = b'{"query": "{ nothing }"}'
    assert (await post(api, broken, accept=RESPONSE))[0] == 400
    status, answer, _ = await post(api, broken, accept="application/json")
    assert status == 200
    assert "data" not in answer
    # No hints at names: they would undo hidden introspection.
    assert "Did you mean" not in str(answer)
    # An error while executing is not an error of the request.
    stranger = api.with_token(None)
    response = await stranger.http.post(
        "/graphql",
        content=b'{"query": "{ styles { slug } jobs { nodes { id } } }"}',
        headers={"content-type": "application/json", "accept": RESPONSE},
    )
    assert response.status_code == 401
    assert response.json()["data"] is None


async def test_the_schema_is_closed_unless_a_setting_opens_it(api: Api, open_api: Api) -> None:
    query = "{ __schema { queryType { name } } }"
    assert "errors" in (await api.client().ask(query)).body
    assert (await open_api.client().ask(query)).data["__schema"]["queryType"]["name"] == "Query"


def fragment_bomb() -> str:
    fragments = " ".join(f"fragment F{n} on Job {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    return f"{{ jobs {{ nodes {{ ...F0 }} }} }} {fragments} fragment F40 on Job {{ id }}"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (fragment_bomb(), "1000 fields"),
        ("{ " + "viewer { id } " * 100 + "}", "root fields"),
        ("{ viewer { " + "id " * 500 + "} }", "repeats"),
        ("{ " + " ".join(f"a{n}: viewer {{ id }}" for n in range(60)) + "}", "aliases"),
        ("{ viewer { id " + "@include(if: true) " * 60 + "} }", "directives"),
        ("{ jobs { nodes { " + "regeneratedFrom { " * 20 + "id" + " }" * 20 + "} } }", "levels"),
        ("{ viewer { id } }" + " " * 40_000, "characters"),
        ("{ a" + " b" * 3000 + " }", "more than 2000 tokens"),
        ("{ viewer { id } } " + "fragment F on Job { id } " * 60, "definitions"),
        ("{" * 1900, "Syntax Error"),
    ],
)
async def test_documents_have_limits(api: Api, document: str, says: str) -> None:
    body = msgspec.json.encode({"query": document})
    status, answer, _ = await post(api, body, accept=RESPONSE)
    assert status == 400
    assert any(says in error["message"] for error in answer["errors"]), answer


async def test_fragments_in_a_circle(api: Api) -> None:
    document = "{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }"
    status, answer, _ = await post(api, msgspec.json.encode({"query": document}), accept=RESPONSE)
    assert status == 400
    assert "itself" in answer["errors"][0]["message"]


async def test_bugs_are_masked(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody expected is an id for the log, without the document or its variables."""
    ann = api.client("ann")
    async with api.service.database.transaction() as connection:
        await connection.execute(text("DROP TABLE jobs CASCADE"))
    answer = await ann.ask("query Secret($x: ID!) { job(id: $x) { id } }", x="s" * 36)
    assert answer.data == {"job": None}
    known = "01890a5d-ac96-774b-bcce-b302099a8057"
    answer = await ann.ask("query Secret($x: ID!) { job(id: $x) { id } }", x=known)
    assert answer.error["extensions"]["code"] == "INTERNAL"
    error_id = answer.error["extensions"]["errorId"]
    assert error_id in answer.error["message"]
    assert "jobs" not in answer.error["message"]


async def test_without_postgres_the_answer_is_503(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(database_url="postgresql://mintari@/mintari?host=/nowhere")
    async with running_api(settings) as api:
        answer = await api.client().ask("{ jobs { nodes { id } } }")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.error["extensions"] == {"code": "OVERLOADED", "retryAfterSeconds": 5}
        ready = await api.client().http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["database"] is False


async def test_many_at_once_do_not_mix(api: Api) -> None:
    clients = [api.client(f"user-{number}") for number in range(20)]
    answers = await asyncio.gather(*(client.ask("{ viewer { id } }") for client in clients))
    assert [answer.data["viewer"]["id"] for answer in answers] == [
        f"user-{number}" for number in range(20)
    ]


async def test_a_request_has_an_id(api: Api) -> None:
    ann = api.client("ann")

    async def id_of(**headers: str) -> str:
        answer = await ann.http.get("/healthz", headers=headers)
        return answer.headers["x-request-id"]

    assert await id_of(**{"x-request-id": "a-proxys-own-1"}) == "a-proxys-own-1"
    # What is no id would stand in each line of the log.
    for odd in ("short", "x" * 65, 'quotes"and spaces'):
        assert re.fullmatch("[0-9a-f]{16}", await id_of(**{"x-request-id": odd}))
    assert await id_of() != await id_of()
