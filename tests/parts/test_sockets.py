"""graphql-transport-ws with a raw client, clause by clause of enisdenjo/graphql-ws' PROTOCOL.md."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import websockets
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.auth import issue_token
from tests.client import FOLLOW
from tests.conftest import SECRET, running_api
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from websockets.asyncio.client import ClientConnection

    from core.settings import Settings
    from tests.conftest import Api

VIEWER = {"query": "{ viewer { id } }"}
INVALID = [
    "",
    "x",
    "[]",
    "null",
    '"x"',
    "3",
    "{}",
    '{"type": 1}',
    '{"type": "start"}',
    '{"type": "connection_ack"}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": {}, "payload": {"query": "{ a }"}}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}',
    '{"type": "subscribe", "id": "1", "payload": "x"}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": "x"}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": 1}}',
    '{"type": "connection_init", "payload": "x"}',
    '{"type": "connection_init", "payload": []}',
    '{"type": "complete"}',
    '{"type": "complete", "id": 3}',
    '{"type": "ping", "payload": "x"}',
    "[" * 50_000,
    '{"type": "' + "é" * 500 + '"}',
]


@asynccontextmanager
async def raw(
    api: Api, protocol: str | None = "graphql-transport-ws", origin: str | None = None
) -> AsyncGenerator[ClientConnection, None]:
    url = api.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(
        url,
        subprotocols=[websockets.Subprotocol(protocol)] if protocol else None,
        origin=websockets.Origin(origin) if origin else None,
    ) as socket:
        yield socket


@asynccontextmanager
async def acknowledged(api: Api, user_id: str = "ann") -> AsyncGenerator[ClientConnection, None]:
    async with raw(api) as socket:
        token = issue_token(SECRET, user_id=user_id, ttl_s=600)
        await say(socket, type="connection_init", payload={"authorization": f"Bearer {token}"})
        assert await hear(socket) == {"type": "connection_ack"}
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(msgspec.json.encode(message).decode())


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        return msgspec.json.decode(await socket.recv())


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason of the close that comes next, before any other message."""
    with pytest.raises(websockets.ConnectionClosed) as caught:
        await hear(socket)
    assert caught.value.rcvd is not None, "no close frame: 1006"
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def works(socket: ClientConnection, operation_id: str = "works") -> None:
    await say(socket, id=operation_id, type="subscribe", payload=VIEWER)
    assert (await hear(socket))["type"] == "next"
    assert await hear(socket) == {"id": operation_id, "type": "complete"}


async def test_the_protocol_must_be_named(api: Api) -> None:
    for protocol in (None, "graphql-ws"):
        async with raw(api, protocol=protocol) as socket:
            assert await closed(socket) == (4406, "Subprotocol not acceptable")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_pages_of_other_sites_are_refused(api: Api, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with raw(api, origin=origin):
            pass
    assert caught.value.response.status_code == 403


async def test_our_own_pages_are_let_in(api: Api) -> None:
    async with raw(api, origin=api.url) as socket:
        await say(socket, type="connection_init")
        assert await hear(socket) == {"type": "connection_ack"}


@pytest.mark.parametrize("payload", [None, {}, {"other": 1}])
async def test_the_payload_of_init_is_optional(api: Api, payload: Any) -> None:
    async with raw(api) as socket:
        await say(socket, type="connection_init", payload=payload)
        assert await hear(socket) == {"type": "connection_ack"}


async def test_init_comes_once(api: Api) -> None:
    async with acknowledged(api) as socket:
        await say(socket, type="connection_init")
        assert await closed(socket) == (4429, "Too many initialisation requests")


async def test_init_must_come(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.connection.INIT_TIMEOUT_S", 0.05)
    async with raw(api) as socket:
        assert await closed(socket) == (4408, "Connection initialisation timeout")


async def test_nothing_before_the_acknowledgement(api: Api) -> None:
    async with raw(api) as socket:
        await say(socket, id="1", type="subscribe", payload=VIEWER)
        assert await closed(socket) == (4401, "Unauthorized")


@pytest.mark.parametrize("payload", [None, {"a": [1, {"b": "c"}]}])
async def test_ping_is_answered_with_its_payload(api: Api, payload: Any) -> None:
    async with raw(api) as socket:
        message = {"type": "ping"} if payload is None else {"type": "ping", "payload": payload}
        await say(socket, **message)
        assert await hear(socket) == {**message, "type": "pong"}
        await say(socket, **{**message, "type": "pong"})
        await say(socket, type="connection_init")
        assert await hear(socket) == {"type": "connection_ack"}


@pytest.mark.parametrize("text", INVALID, ids=lambda text: repr(text[:40]))
async def test_invalid_messages_close_with_4400(api: Api, text: str) -> None:
    async with acknowledged(api) as socket:
        await socket.send(text)
        code, reason = await closed(socket)
        assert code == 4400
        assert reason.startswith("Invalid message")


async def test_binary_messages_close_with_4400(api: Api) -> None:
    async with acknowledged(api) as socket:
        await socket.send(b'{"type": "ping"}')
        assert (await closed(socket))[0] == 4400


async def test_messages_have_a_size(api: Api) -> None:
    async with acknowledged(api) as socket:
        await say(socket, type="ping", payload={"x": "y" * 70_000})
        assert (await closed(socket))[0] == 1009


async def test_every_kind_of_operation(api: Api) -> None:
    async with acknowledged(api) as socket:
        await works(socket)
        mutation = 'mutation { startGeneration(input: {prompt: "a"}) { __typename } }'
        await say(socket, id="m", type="subscribe", payload={"query": mutation})
        assert await hear(socket) == {
            "id": "m",
            "type": "next",
            "payload": {"data": {"startGeneration": {"__typename": "GenerationStarted"}}},
        }
        assert await hear(socket) == {"id": "m", "type": "complete"}


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "query A { viewer { id } } query B { viewer { id } }", ""]
)
async def test_one_bad_document_harms_no_other_operation(api: Api, query: str) -> None:
    async with acknowledged(api) as socket:
        await say(socket, id="bad", type="subscribe", payload={"query": query})
        message = await hear(socket)
        assert (message["id"], message["type"]) == ("bad", "error")
        assert message["payload"][0]["message"]
        # After an error there is no complete, and the id is free again.
        await works(socket, "bad")


async def test_an_error_while_executing_is_part_of_the_result(api: Api) -> None:
    async with raw(api) as socket:
        await say(socket, type="connection_init")
        await hear(socket)
        await say(socket, id="1", type="subscribe", payload=VIEWER)
        message = await hear(socket)
        assert message["type"] == "next"
        assert message["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert await hear(socket) == {"id": "1", "type": "complete"}


async def test_an_id_runs_once_at_a_time(api: Api) -> None:
    job_id = (await api.client("ann").started(prompt="a", variantCount=1))["jobs"][0]["id"]
    payload = {"query": FOLLOW, "variables": {"ids": [job_id]}}
    async with acknowledged(api) as socket:
        await say(socket, id="grid", type="subscribe", payload=payload)
        assert (await hear(socket))["type"] == "next"
        await say(socket, id="grid", type="subscribe", payload=payload)
        assert await closed(socket) == (4409, "Subscriber for grid already exists")


async def test_complete_stops_an_operation_and_frees_its_id(api: Api) -> None:
    job_id = (await api.client("ann").started(prompt="a", variantCount=1))["jobs"][0]["id"]
    payload = {"query": FOLLOW, "variables": {"ids": [job_id]}}
    async with acknowledged(api) as socket:
        for _ in range(3):
            await say(socket, id="grid", type="subscribe", payload=payload)
            assert (await hear(socket))["id"] == "grid"
            await say(socket, id="grid", type="complete")
        await say(socket, id="unknown", type="complete")
        await works(socket)

    async def nobody() -> bool:
        return api.service.feed.listener_count == 0

    await wait_until(nobody, what="the end of all subscriptions")


async def test_operations_have_a_number(api: Api) -> None:
    job_id = (await api.client("ann").started(prompt="a", variantCount=1))["jobs"][0]["id"]
    payload = {"query": FOLLOW, "variables": {"ids": [job_id]}}
    async with acknowledged(api) as socket:
        for number in range(101):
            await say(socket, id=str(number), type="subscribe", payload=payload)
        kinds = [await hear(socket) for _ in range(101)]
        refused = [message for message in kinds if message["type"] == "error"]
        assert [message["id"] for message in refused] == ["100"]
        assert refused[0]["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        await say(socket, id="0", type="complete")
        await works(socket, "100")


async def test_a_hundred_operations_of_a_socket_are_told_the_same_each_in_order(api: Api) -> None:
    ann = api.client("ann")
    job_id = (await ann.started(prompt="a", variantCount=1))["jobs"][0]["id"]
    payload = {"query": FOLLOW, "variables": {"ids": [job_id]}}
    told: dict[str, list[Any]] = {str(number): [] for number in range(100)}
    async with acknowledged(api) as socket:
        for operation_id in told:
            await say(socket, id=operation_id, type="subscribe", payload=payload)
        for _ in told:
            message = await hear(socket)
            told[message["id"]].append(message["payload"]["data"]["jobProgress"]["state"])
        await ann.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=job_id)
        for _ in range(2 * len(told)):
            message = await hear(socket)
            news = message["type"] == "next" and message["payload"]["data"]["jobProgress"]["state"]
            told[message["id"]].append(news or message["type"])
        assert told == {key: ["PENDING", "CANCELLED", "complete"] for key in told}
        await works(socket, "0")


async def test_messages_have_a_rate(api: Api) -> None:
    async with acknowledged(api) as socket:
        for _ in range(250):
            await say(socket, type="pong")
        code, reason = await closed(socket)
        assert code == 1008
        assert "200 messages" in reason


async def test_sockets_have_a_number(make_settings: Callable[..., Settings]) -> None:
    limits = {"max_sockets_per_user": 2, "max_sockets_per_address": 3}
    async with running_api(make_settings(**limits)) as api:
        async with acknowledged(api), acknowledged(api):
            async with raw(api) as third:
                payload = {"authorization": f"Bearer {api.client('ann').token}"}
                await say(third, type="connection_init", payload=payload)
                assert await closed(third) == (1013, "2 sockets per user are allowed; close some")
            async with acknowledged(api, "bob") as bob, raw(api) as fourth:
                code, reason = await closed(fourth)
                assert (code, reason) == (1013, "3 sockets per address are allowed; close some")
                await works(bob)
        # What was closed is not counted any more.
        async with acknowledged(api) as again:
            await works(again)


async def test_a_user_has_a_number_of_operations_on_all_sockets(
    make_settings: Callable[..., Settings],
) -> None:
    async with (
        running_api(make_settings(max_operations_per_user=2)) as api,
        acknowledged(api) as one,
        acknowledged(api) as two,
        acknowledged(api, "bob") as bob,
    ):
        job_id = (await api.client("ann").started(prompt="a", variantCount=1))["jobs"][0]["id"]
        follow = {"query": FOLLOW, "variables": {"ids": [job_id]}}
        for socket in (one, two):
            await say(socket, type="subscribe", id="1", payload=follow)
            assert (await hear(socket))["type"] == "next"
        await say(two, type="subscribe", id="2", payload=follow)
        refused = await hear(two)
        assert refused["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        assert "2 operations at once" in refused["payload"][0]["message"]
        await works(bob)
        await say(two, type="complete", id="1")
        await say(two, type="subscribe", id="2", payload=follow)
        assert (await hear(two))["type"] == "next"


async def test_a_server_that_stops_says_so(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings()) as api:
        socket = await websockets.connect(
            api.url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        )
        await say(socket, type="connection_init")
        await hear(socket)
    assert (await closed(socket))[0] == 1012


async def test_an_expired_token_ends_the_socket_after_a_word(api: Api) -> None:
    job_id = (await api.client("ann").started(prompt="a", variantCount=1))["jobs"][0]["id"]
    token = issue_token(SECRET, user_id="ann", ttl_s=2)
    async with raw(api) as socket:
        await say(socket, type="connection_init", payload={"authorization": f"Bearer {token}"})
        assert await hear(socket) == {"type": "connection_ack"}
        payload = {"query": FOLLOW, "variables": {"ids": [job_id]}}
        await say(socket, id="grid", type="subscribe", payload=payload)
        assert (await hear(socket))["type"] == "next"
        told = await hear(socket)
        assert (told["id"], told["type"]) == ("grid", "error")
        assert told["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert await closed(socket) == (4403, "Forbidden: the token has expired")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
near_misses = st.fixed_dictionaries(
    {"type": st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete", "next"])},
    optional={"id": json_values, "payload": json_values},
)
operations = st.fixed_dictionaries(
    {
        "query": st.text(max_size=20)
        | st.sampled_from(["{ viewer { id } }", "query($id: ID!) { job(id: $id) { id } }", FOLLOW])
    },
    optional={
        "variables": st.dictionaries(st.sampled_from(["id", "ids", "x"]), json_values),
        "operationName": st.none() | st.text(max_size=8),
        "extensions": st.dictionaries(st.sampled_from(["cost", "persistedQuery"]), json_values),
    },
)
subscribes = st.fixed_dictionaries(
    {"type": st.just("subscribe"), "id": st.text("ab", min_size=1, max_size=2)},
    optional={"payload": operations},
)


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    frames=st.lists(
        st.text(max_size=60) | st.binary(max_size=60) | json_values | near_misses | subscribes,
        max_size=6,
    )
)
async def test_whatever_comes_in_the_end_is_in_order(api: Api, frames: list[Any]) -> None:
    async with acknowledged(api) as socket:
        code = await answer_to(socket, frames)
    assert code in (None, 4400, 4409, 4429)


async def answer_to(socket: ClientConnection, frames: list[Any]) -> int | None:
    """The code that the socket is closed with; None if it still answers a ping."""
    try:
        for frame in frames:
            as_it_is = isinstance(frame, str | bytes)
            await socket.send(frame if as_it_is else msgspec.json.encode(frame).decode())
        await say(socket, type="ping", payload={"last": True})
        while (message := await hear(socket)) != {"type": "pong", "payload": {"last": True}}:
            assert "'INTERNAL'" not in repr(message)
    except websockets.ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else 1006
    return None
