"""A revoked user: refused at once, open sockets closed within a second, a new token holds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import websockets

from mintari.revoke import revoke
from resolvers import revocations
from tests.client import FOLLOW
from tests.conftest import SECRET, running_api
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.client import Client, Socket
    from tests.conftest import Api

VIEWER = "{ viewer { id } }"


def issued(ago_s: float, user_id: str = "ann") -> str:
    now_s = time.time()
    return jwt.encode({"sub": user_id, "iat": now_s - ago_s, "exp": now_s + 600}, SECRET)


async def follow(client: Client, socket: Socket) -> None:
    generation = await client.started(prompt="a hill", variantCount=1)
    ids = [generation["jobs"][0]["id"]]
    payload = {"query": FOLLOW, "variables": {"ids": ids}}
    await socket.send({"id": "1", "type": "subscribe", "payload": payload})
    assert (await socket.receive())["type"] == "next"


async def end_of(socket: Socket) -> list[dict[str, Any]]:
    """What still comes until the server closes with 4403."""
    said: list[dict[str, Any]] = []
    with pytest.raises(websockets.ConnectionClosedError) as caught:
        while True:
            said.append(await socket.receive())
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4403
    return said


async def test_revocation_reaches_open_sockets_within_a_second(
    api: Api, settings: Settings
) -> None:
    ann, bob = api.with_token(issued(5)), api.client("bob")
    async with ann.socket() as socket, bob.socket() as others:
        await follow(ann, socket)
        await follow(bob, others)
        assert await revoke(settings, "ann") is True
        async with asyncio.timeout(1):
            (said,) = await end_of(socket)
        assert said["type"] == "error"
        assert said["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        # Nobody else is disturbed.
        await others.send({"type": "ping"})
        assert (await others.receive())["type"] == "pong"
    answer = await ann.ask(VIEWER)
    assert answer.status == 401
    assert "revoked" in answer.error["message"]
    upload = await ann.http.post("/uploads", content=b"x")
    assert upload.status_code == 401


async def test_an_old_token_opens_no_socket_and_a_new_one_holds(
    api: Api, settings: Settings
) -> None:
    old = issued(5)
    await revoke(settings, "ann")
    await wait_until(lambda: refused(api.with_token(old)))
    with pytest.raises(websockets.ConnectionClosedError):
        async with api.with_token(old).socket():
            pass
    new = api.with_token(issued(-2))
    assert (await new.ask(VIEWER)).data == {"viewer": {"id": "ann"}}
    async with new.socket():
        pass


async def refused(client: Client) -> bool:
    return (await client.ask(VIEWER)).status == 401


async def test_without_redis_it_takes_a_moment_longer(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    # Five seconds in earnest.
    monkeypatch.setattr(revocations, "READ_S", 0.5)
    async with running_api(settings) as api:
        ann = api.with_token(issued(5))
        assert not await refused(ann)
        # A Redis that is not there: only Postgres knows.
        away = make_settings(redis_url="redis://127.0.0.1:1/0", redis_prefix=settings.redis_prefix)
        assert await revoke(away, "ann") is False
        await wait_until(lambda: refused(ann), within_s=20)
