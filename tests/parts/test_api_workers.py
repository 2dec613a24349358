"""`mintari api --workers N`: several processes on one port, one death harms only its own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import httpx
import psutil

from core.auth import issue_token
from tests.client import Client
from tests.conftest import SECRET
from tests.programs import running
from tests.waiting import wait_until

if TYPE_CHECKING:
    from core.settings import Settings


async def test_processes_share_a_port_and_are_replaced(settings: Settings) -> None:
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "REDIS_PREFIX": settings.redis_prefix,
        "STORAGE_URL": settings.storage_url,
        "AUTH_SECRET": SECRET,
        "API_PORT": str(settings.api_port),
    }
    with running("-m", "mintari", "api", "--workers", "2", environment=environment) as program:

        async def serving() -> list[int]:
            """The processes, once both listen."""
            children = psutil.Process(program.pid).children(recursive=True)
            listening = [child.pid for child in children if _listens(child, settings.api_port)]
            return listening if len(listening) == 2 else []

        first = await wait_until(serving, within_s=90, what="two processes that listen")
        await _work(settings)
        os.kill(first[0], signal.SIGKILL)

        async def replaced() -> bool:
            now = await serving()
            return bool(now) and first[0] not in now and first[1] in now

        await wait_until(replaced, within_s=90, what="a process in its place")
        await _work(settings)
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
    assert not [pid for pid in first if psutil.pid_exists(pid)]


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        )
    except psutil.Error:
        return False


async def _work(settings: Settings) -> None:
    """New connections are answered, whichever process gets them."""
    client = Client(settings.public_url, issue_token(SECRET, user_id="ann", ttl_s=600))
    try:
        job_id = (await client.started(prompt="a lake", variantCount=1))["jobs"][0]["id"]
        for _ in range(8):
            async with httpx.AsyncClient(base_url=settings.public_url) as fresh:
                assert (await fresh.get("/healthz")).status_code == 200
        async for update in client.follow(job_id):
            assert update["state"] == "PENDING"
            await client.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=job_id)
            break
    finally:
        await client.aclose()
