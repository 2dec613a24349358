"""Two APIs behind the shipped nginx, and four workers: nodes die, a grid moves, nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import text

from core.auth import issue_token
from db.engine import open_database
from mintari.standins import banana
from mintari.standins.running import running
from mintari.standins.settings import SETTINGS
from tests.chaos.processes import Process
from tests.chaos.stack import python_environment
from tests.chaos.watch import Watch
from tests.client import Client
from tests.conftest import SECRET, free_port
from tests.nginx import nginx_binary, running_nginx
from tests.parts.observed import parse
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from core.settings import Settings
    from db.engine import Database
    from mintari.standins.running import RunningStandIn

LATENCY_S = 2.0
FRAMES = 4
"""One for each worker."""
_FRESH_CALL = text("""
    SELECT 1 FROM provider_calls
    WHERE worker_name = :worker AND outcome = 'STARTED' AND external_id IS NOT NULL
      AND started_at > clock_timestamp() - make_interval(secs => :young_s)
""")


class Node:
    """A process of the deployment, and the port at which it is watched."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self.monitor = f"http://127.0.0.1:{free_port()}"
        self.process = Process(
            name,
            ["-m", "mintari", name.partition("-")[0]],
            {
                **environment,
                "API_PORT": str(self.port),
                "WORKER_NAME": name,
                "METRICS_PORT": self.monitor.rpartition(":")[2],
            },
        )

    async def is_ready(self) -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
                return (await client.get(f"{self.monitor}/readyz")).status_code == 200
        except httpx.TransportError:
            assert self.process.is_running, "\n".join(self.process.lines)
            return False

    async def sockets(self) -> float:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            found = parse((await client.get(f"{self.monitor}/metrics")).text)
        return found.value("mintari_websockets")

    async def up(self) -> None:
        await wait_until(self.is_ready, within_s=90, what=f"{self.name} ready")


class Deployment:
    """Two APIs, four workers, and the address that clients know."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self.url = url
        self.apis = [Node(f"api-{number}", environment) for number in (1, 2)]
        self.workers = [Node(f"worker-{number}", environment) for number in range(1, 5)]

    async def start(self) -> None:
        for node in (*self.apis, *self.workers):
            node.process.start()
        for node in (*self.apis, *self.workers):
            await node.up()

    def stop(self) -> None:
        for node in (*self.apis, *self.workers):
            node.process.stop()

    async def lose(self, database: Database, worker: Node, watch: Watch) -> None:
        """Kill this worker, and the API that has the only socket, while both are at work."""

        async def is_waiting_for_a_picture() -> bool:
            values = {"worker": worker.name, "young_s": LATENCY_S / 2}
            async with database.read() as connection:
                return (await connection.execute(_FRESH_CALL, values)).first() is not None

        await wait_until(is_waiting_for_a_picture, within_s=30, what=f"a call of {worker.name}")
        api, other = await self.serving()
        worker.process.stop()
        api.process.stop()
        for _ in range(20):
            assert (await watch.client.job(watch.job_ids[0]))["state"] != "FAILED"

        async def has_moved() -> bool:
            return await other.sockets() == 1

        await wait_until(has_moved, within_s=30, what="the socket at the other API")
        for node in (worker, api):
            node.process.start()
            await node.up()

    async def serving(self) -> tuple[Node, Node]:
        """The API that has the only socket, and the other one."""
        first, second = self.apis
        return (first, second) if await first.sockets() == 1 else (second, first)


@pytest.fixture
def stand_in() -> Generator[RunningStandIn]:
    with running(banana.application()) as found:
        found.script(latency_s=LATENCY_S)
        yield found


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    nginx_binary()
    return make_settings(api_public_url=f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def deployment(
    settings: Settings, stand_in: RunningStandIn, tmp_path: Path
) -> Generator[Deployment]:
    environment = {
        **python_environment(tmp_path),
        **SETTINGS["banana"](stand_in.url),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "REDIS_PREFIX": settings.redis_prefix,
        "STORAGE_URL": settings.storage_url,
        "AUTH_SECRET": SECRET,
        "API_PUBLIC_URL": settings.public_url,
        "GEN_PROVIDER": "banana",
        "WORKER_CONCURRENCY": "1",
        "MAX_ACTIVE_JOBS": str(FRAMES),
        "GEN_MAX_VARIANTS": str(FRAMES),
    }
    found = Deployment(settings.public_url, environment)
    ports = {node.name: node.port for node in found.apis}
    with ExitStack() as stack:
        stack.enter_context(running_nginx(settings.public_url, ports))
        stack.callback(found.stop)
        yield found


async def test_grids_move_when_nodes_die(
    settings: Settings, deployment: Deployment, stand_in: RunningStandIn
) -> None:
    await deployment.start()
    ann = Client(deployment.url, issue_token(SECRET, user_id="ann", ttl_s=600))
    async with asyncio.timeout(180), aclosing(ann), open_database(settings) as database:
        for number, worker in enumerate(deployment.workers[:2]):
            wanted = {"prompt": f"hill {number}", "size": "SQUARE_512", "variantCount": FRAMES}
            watch = Watch(ann, [job["id"] for job in (await ann.started(**wanted))["jobs"]])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(watch.run())
                await deployment.lose(database, worker, watch)
            assert watch.faults == []
            assert watch.connections > 1
            for job_id in watch.job_ids:
                job = await ann.job(job_id)
                # The last that was seen is the last that there is.
                assert (job["state"], job["version"]) == ("SUCCESS", watch.sights[job_id].version)
                picture = await ann.http.get(job["image"]["url"])
                assert len(picture.content) == job["image"]["bytes"]
    # Two workers were killed while they waited for a picture; each was asked for once.
    assert len(stand_in.calls()) == 2 * FRAMES
