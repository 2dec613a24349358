"""Documents named by id: Apollo's automatic ones, registered ones, and the allow-list."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from jobs.channels import Channels
from tests.conftest import running_api
from transport.manifest import DocumentsFileError, load_documents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.settings import Settings
    from tests.client import Json
    from tests.conftest import Api

VIEWER = "query Viewer { viewer { id } }"
ANN = {"data": {"viewer": {"id": "ann"}}}
RESPONSE = "application/graphql-response+json"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def automatic(text: str, **more: Any) -> Json:
    """As Apollo Client and urql send it first."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}, **more}


async def post(api: Api, body: Json, accept: str = "application/json") -> tuple[int, Json]:
    response = await api.client().http.post("/graphql", json=body, headers={"accept": accept})
    return response.status_code, response.json()


async def get(api: Api, **parameters: Any) -> tuple[int, Json]:
    texts = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in parameters.items()
    }
    response = await api.client().http.get("/graphql", params=texts)
    return response.status_code, response.json()


async def test_automatic_documents_are_kept_by_their_hash(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    async with running_api(settings) as api:
        status, answer = await post(api, automatic(VIEWER))
        (error,) = answer["errors"]
        assert (status, error["message"]) == (200, "PersistedQueryNotFound")
        assert error["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}
        assert "data" not in answer
        assert (await post(api, automatic(VIEWER), RESPONSE))[0] == 400
        assert await post(api, automatic(VIEWER, query=VIEWER)) == (200, ANN)
        assert await post(api, automatic(VIEWER)) == (200, ANN)
        assert await get(api, **automatic(VIEWER)) == (200, ANN)
        assert await get(api, documentId=f"sha256:{sha256(VIEWER)}") == (200, ANN)
    # Another process has it from Redis.
    async with running_api(settings) as api:
        assert await post(api, automatic(VIEWER)) == (200, ANN)


NO_IDS: list[tuple[Json, str]] = [
    (automatic("{ __typename }", query=VIEWER), "provided sha does not match query"),
    ({"documentId": "sha256:" + "0" * 64, "query": VIEWER}, "provided sha does not match"),
    ({"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "0" * 64}}}, "version"),
    ({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}}, "64 hexadecimal"),
    ({"extensions": {"persistedQuery": {"version": 1}}}, "64 hexadecimal"),
    ({"extensions": {"persistedQuery": "x"}}, "version"),
    ({"extensions": {}}, "`query` is missing"),
    ({"documentId": ""}, "`query` is missing"),
    ({"documentId": 3}, "documentId"),
]


async def test_ids_that_are_none_and_ids_that_nobody_knows(api: Api) -> None:
    for body, says in NO_IDS:
        status, answer = await post(api, body)
        assert status == 400, body
        assert answer["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}, body
        assert says in answer["errors"][0]["message"]
    for document_id in ("nobody-knows-it", "sha256:", "md5:x", "sha256:" + "0" * 64):
        _, answer = await post(api, {"documentId": document_id})
        assert answer["errors"][0]["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}


async def test_what_is_stored_and_executed_by_get_and_by_post(api: Api) -> None:
    mutation = 'mutation { cancelJob(id: "a") { __typename } }'
    status, answer = await post(api, automatic(mutation, query=mutation))
    assert (status, answer["data"]["cancelJob"]["__typename"]) == (200, "JobNotFound")
    assert (await get(api, **automatic(mutation)))[0] == 405
    # A query can be registered that way; nothing that is no document of ours is.
    assert await get(api, **automatic(VIEWER, query=VIEWER)) == (200, ANN)
    assert await get(api, **automatic(VIEWER)) == (200, ANN)
    broken = "{ nothing }"
    assert "errors" in (await post(api, automatic(broken, query=broken)))[1]
    _, answer = await post(api, automatic(broken))
    assert answer["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_what_is_stored_has_an_end(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.document_store.MAX_STORED", 3)
    settings = make_settings()
    texts = [f"query Number{number} {{ viewer {{ id }} }}" for number in range(5)]
    async with running_api(settings) as api:
        for text in texts:
            assert await post(api, automatic(text, query=text)) == (200, ANN)
        redis = api.service.redis
        index = Channels(settings.redis_prefix).documents
        kept = [await redis.exists(f"{index}:{sha256(text)}") for text in texts]
        assert kept == [0, 0, 1, 1, 1]
        assert await redis.zcard(index) == 3
        assert 0 < await redis.ttl(f"{index}:{sha256(texts[-1])}") <= 24 * 3600
        # What others write there is not executed.
        await redis.set(f"{index}:{sha256(VIEWER)}", "{ styles { slug } }", ex=60)
    async with running_api(settings) as api:
        assert "errors" in (await post(api, automatic(VIEWER)))[1]
        answers = [await post(api, automatic(text)) for text in texts]
        assert [answer == ANN for _, answer in answers] == [False, False, True, True, True]


async def test_without_redis_each_process_keeps_its_own(
    make_settings: Callable[..., Settings],
) -> None:
    async with running_api(make_settings(redis_url="redis://127.0.0.1:1")) as api:
        assert "errors" in (await post(api, automatic(VIEWER)))[1]
        assert await post(api, automatic(VIEWER, query=VIEWER)) == (200, ANN)
        assert await post(api, automatic(VIEWER)) == (200, ANN)


async def test_only_registered_documents_are_executed(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    manifest = tmp_path / "documents.json"
    manifest.write_bytes(msgspec.json.encode({"who-asks": VIEWER}))
    settings = make_settings(allowed_documents="registered", documents_files=(manifest,))
    async with running_api(settings) as api:
        for body in (
            {"documentId": "who-asks"},
            {"documentId": f"sha256:{sha256(VIEWER)}"},
            automatic(VIEWER),
            automatic(VIEWER, query=VIEWER),
            {"query": VIEWER},
        ):
            assert await post(api, body) == (200, ANN), body
        other = VIEWER + " "
        for body in ({"query": other}, automatic(other, query=other)):
            status, answer = await post(api, body, RESPONSE)
            assert status == 400
            assert answer["errors"][0]["extensions"] == {"code": "QUERY_NOT_IN_SAFELIST"}
        _, answer = await post(api, automatic(other))
        assert answer["errors"][0]["message"] == "PersistedQueryNotFound"
        async with api.client().socket() as socket:
            (refused,) = [one async for one in socket.subscribe(other)]
            assert "Only registered documents" in refused["errors"][0]["message"]
            assert [one async for one in socket.subscribe(VIEWER)] == [ANN]


def test_manifests_come_in_two_forms(tmp_path: Path) -> None:
    plain, apollo = tmp_path / "plain.json", tmp_path / "apollo.json"
    plain.write_bytes(msgspec.json.encode({f"sha256:{sha256('{ a }')}": "{ a }", "b": "{ b }"}))
    operation = {"id": "c", "body": "{ c }", "name": "C", "type": "query"}
    format_of_apollo = {"format": "apollo-persisted-query-manifest", "version": 1}
    apollo.write_bytes(msgspec.json.encode({**format_of_apollo, "operations": [operation]}))
    assert load_documents([plain, apollo]) == {
        sha256("{ a }"): "{ a }",
        "b": "{ b }",
        sha256("{ b }"): "{ b }",
        "c": "{ c }",
        sha256("{ c }"): "{ c }",
    }


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b"\xff"])
def test_a_manifest_that_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "documents.json"
    file.write_bytes(content)
    with pytest.raises(DocumentsFileError, match=r"documents\.json"):
        load_documents([file])
    with pytest.raises(DocumentsFileError, match="cannot be read"):
        load_documents([tmp_path / "missing.json"])
