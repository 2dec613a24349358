"""A websocket over TLS that the API itself speaks: nothing is written past the encryption."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import websockets

from core.auth import issue_token
from mintari.api import server_config
from tests.certificates import self_signed
from tests.conftest import SECRET, QuietServer
from tests.parts.test_sockets import VIEWER, hear, say

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from core.settings import Settings


@asynccontextmanager
async def speaking_tls(settings: Settings, certificate: Path) -> AsyncGenerator[str, None]:
    config = server_config(settings)
    config.ssl_certfile = str(certificate)
    server = QuietServer(config)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        await server.ready.wait()
        try:
            yield f"wss://localhost:{settings.api_port}/graphql"
        finally:
            server.should_exit = True
            await serving


async def test_operations_run_over_tls(settings: Settings, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "localhost")
    trust = ssl.create_default_context(cafile=certificate)
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    async with (
        speaking_tls(settings, certificate) as url,
        websockets.connect(url, ssl=trust, subprotocols=protocols) as socket,
    ):
        token = issue_token(SECRET, user_id="ann", ttl_s=600)
        payload = {"authorization": f"Bearer {token}"}
        await say(socket, type="connection_init", payload=payload)
        assert await hear(socket) == {"type": "connection_ack"}
        await say(socket, type="subscribe", id="1", payload=VIEWER)
        answer = await hear(socket)
        assert answer["payload"] == {"data": {"viewer": {"id": "ann"}}}
