"""How fast one client may ask: who sends too many waits, then is refused; nobody else is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from core.errors import RateLimited
from tests.conftest import free_port, running_api
from tests.parts.test_metrics import scraped
from tests.waiting import wait_until
from transport import pace
from transport.pace import Pace, client_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from core.settings import Settings
    from tests.client import Client
    from tests.conftest import Api

VIEWER = "{ viewer { id } }"
PER_S = 0.05
"""Two requests may come at once; one that is refused takes minutes to pay off."""
WITHIN_S = 60


@pytest.fixture
async def slow(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Api, None]:
    """An API on which one refused request is one too many."""
    monkeypatch.setattr(pace, "HOLD_S", 0.01)
    settings = make_settings(max_requests_per_s=PER_S, metrics_port=free_port())
    async with running_api(settings) as running:
        yield running


async def is_served(client: Client) -> bool:
    return (await client.ask(VIEWER)).status == 200


@pytest.mark.parametrize(
    "bad",
    [
        {"json": {"query": "{ nonsense }"}, "headers": {"accept": "application/json"}},
        {"json": {"query": "{"}},
        {"json": {"query": 3}},
        {"json": {"documentId": "unknown"}},
        {"content": b"{}", "headers": {"content-type": "text/plain"}},
        {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}},
        {"content": b"x" * 300_000, "headers": {"content-type": "application/json"}},
    ],
    ids=lambda bad: str(bad)[:40],
)
async def test_nonsense_makes_its_sender_late(slow: Api, bad: dict[str, Any]) -> None:
    ann = slow.client("ann")
    assert await is_served(ann)
    assert (await ann.http.post("/graphql", **bad)).status_code < 500
    answer = await ann.ask(VIEWER)
    assert answer.status == 429
    extensions = answer.error["extensions"]
    assert (extensions["code"], extensions["limit"]) == ("RATE_LIMITED", 1)
    assert int(answer.headers["retry-after"]) == extensions["retryAfterSeconds"] >= 60
    assert answer.headers["connection"] == "close"
    # To be refused for this adds nothing to it.
    again = (await ann.ask(VIEWER)).error["extensions"]["retryAfterSeconds"]
    assert again <= extensions["retryAfterSeconds"]
    # Neither another user of the same address, nor who has no token.
    assert await is_served(slow.client("bob"))
    assert (await slow.with_token(None).ask("{ styles { slug } }")).status == 200


async def test_who_has_no_token_is_its_address(slow: Api) -> None:
    nobody = slow.with_token(None)
    assert (await nobody.ask("{ nonsense }")).status == 200
    assert (await nobody.ask("{ styles { slug } }")).status == 429
    forged = slow.with_token("forged")
    assert (await forged.ask("{ styles { slug } }")).status == 429
    assert await is_served(slow.client("ann"))
    # Sockets say who they are after they are open.
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with slow.client("ann").socket():
            pass
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["retry-after"]) >= 60


async def test_too_many_good_requests_are_too_many(slow: Api) -> None:
    ann = slow.client("ann")
    statuses = [(await ann.ask(VIEWER)).status for _ in range(6)]
    # A test that takes twenty seconds has earned one more.
    assert statuses[:2] == [200, 200]
    assert 429 in statuses[2:4]


async def test_nonsense_on_sockets_counts_as_well(slow: Api) -> None:
    async with slow.client("ann").socket() as socket:
        (first,) = [one async for one in socket.subscribe("{ nonsense }")]
        assert first["errors"][0]["extensions"]["code"] == "INVALID_DOCUMENT"
        (second,) = [one async for one in socket.subscribe(VIEWER)]
        assert second["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        # The connection goes on: what it follows must not suffer.
        await socket.send({"type": "ping"})
        assert (await socket.receive())["type"] == "pong"
    assert (await slow.client("ann").ask(VIEWER)).status == 429
    async with slow.client("bob").socket() as socket:
        assert [one async for one in socket.subscribe(VIEWER)] == [
            {"data": {"viewer": {"id": "bob"}}}
        ]
        await socket.connection.send("[]")
        await asyncio.wait_for(socket.connection.wait_closed(), WITHIN_S)
    assert (await slow.client("bob").ask(VIEWER)).status == 429


async def test_requests_wait_before_they_are_refused(
    slow: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MAX_WAIT_S", 1e6)
    ann = slow.client("ann")
    await ann.ask("{ nonsense }")
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(ann.ask(VIEWER)) for _ in range(pace.MAX_WAITING + 1)]

        async def one_is_refused() -> bool:
            return any(one.done() for one in waiting)

        await wait_until(one_is_refused, within_s=WITHIN_S)
        assert await is_served(slow.client("bob"))
        (refused,) = [one for one in waiting if one.done()]
        assert refused.result().status == 429
        for one in waiting:
            one.cancel()
    found = await scraped(slow.service.settings)
    assert found.value("mintari_rate_limit_refusals_total", limit="PACE") == 1


async def test_waiting_ends() -> None:
    fast = Pace(per_s=1000)
    fast.count("ann", 20_100)
    assert 0 < fast.wait_s("ann") <= 0.1
    async with asyncio.timeout(WITHIN_S):
        await fast.turn("ann")
    assert fast.wait_s("bob") == 0


async def test_who_would_wait_for_too_long_is_told() -> None:
    slow = Pace(per_s=1)
    slow.count("ann", 20 + pace.MAX_WAIT_S + 50)
    with pytest.raises(RateLimited) as refused:
        await slow.turn("ann")
    assert 50 < refused.value.retry_after_s <= 60


async def test_clients_are_forgotten_those_who_owe_most_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "MAX_CLIENTS", 10)
    some = Pace(per_s=1)
    some.count("debtor", 1000)
    for number in range(100):
        some.count(f"client {number}")
    assert some.wait_s("debtor") > 900


def test_a_network_of_ipv6_is_one_client() -> None:
    assert client_at("2001:db8::1") == client_at("2001:db8:0:0:ffff::2")
    assert client_at("2001:db8::1") != client_at("2001:db8:0:1::1")
    assert client_at("192.0.2.1") != client_at("192.0.2.2")
    assert client_at(None) == "address None"
