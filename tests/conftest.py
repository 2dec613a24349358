"""Real servers for every test: a database cloned from a template, a Valkey per test process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import secrets
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvicorn
from PIL import Image
from skimage import data as photos

from core.auth import issue_token
from core.settings import Settings
from db.migrate import upgrade
from jobs.channels import Channels
from jobs.worker import Worker
from mintari.api import server_config
from mintari.service import open_kit
from tests.client import Client
from tests.servers import (
    create_database_from_template,
    drop_database,
    postgres_server,
    server_folder,
    valkey_server,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from jobs.kit import Kit
    from mintari.embedded import RunningServer
    from resolvers.context import App
    from tests.servers import PostgresForTests

TEMPLATE = "mintari_template"
SECRET = "a secret of the tests that is long enough for HS256 and HS384"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresForTests]:
    """One PostgreSQL per test process, with a migrated template database."""
    with postgres_server() as server:
        asyncio.run(create_database_from_template(server, "template0", TEMPLATE))
        upgrade(server.database_url(TEMPLATE))
        yield server


@pytest.fixture(scope="session")
def valkey() -> Generator[RunningServer]:
    """One Valkey per test process; tests differ in the prefix of their keys."""
    with valkey_server() as server:
        yield server


@pytest.fixture
async def database_url(postgres: PostgresForTests) -> AsyncGenerator[str, None]:
    """A migrated database of the test's own."""
    name = f"test_{next(_numbers)}"
    url = await create_database_from_template(postgres, TEMPLATE, name)
    yield url
    await drop_database(postgres, name)


@pytest.fixture
def pictures_folder() -> Generator[Path]:
    with server_folder() as folder:
        yield folder


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def make_settings(
    database_url: str, valkey: RunningServer, pictures_folder: Path
) -> Callable[..., Settings]:
    """Makes settings of the test's own; keyword arguments change them."""
    prefix = f"test-{secrets.token_hex(4)}"

    def make(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "database_url": database_url,
            "redis_url": valkey.url,
            "redis_prefix": prefix,
            "storage_url": pictures_folder.as_uri(),
            "auth_secret": SECRET,
            "webhook_secrets_keys": "0123456789abcdef" * 4,
            "api_port": free_port(),
            "local_processes": 2,
            # Tests send much that is refused, and want to know at once.
            "max_requests_per_s": 1_000_000,
            **changes,
        }
        return Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue]

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@dataclass(frozen=True)
class Api:
    """A running API, its parts, and clients for it."""

    url: str
    service: App
    clients: list[Client]

    def client(self, user_id: str = "ann") -> Client:
        """A client with a token of this user's."""
        token = issue_token(SECRET, user_id=user_id, ttl_s=600)
        return self.with_token(token)

    def with_token(self, token: str | None) -> Client:
        client = Client(self.url, token)
        self.clients.append(client)
        return client


@asynccontextmanager
async def running_api(settings: Settings) -> AsyncGenerator[Api, None]:
    """The API on a real port, in this event loop."""
    config = server_config(settings)
    config.timeout_graceful_shutdown = 1
    server = QuietServer(config)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        await server.ready.wait()
        api = Api(settings.public_url, cast("Any", config.app).state.service, [])
        try:
            yield api
        finally:
            for client in api.clients:
                await client.aclose()
            server.should_exit = True
            # Before a failure leaves the group, which would cut it off in the middle.
            await serving


class QuietServer(uvicorn.Server):
    """Says when it listens; leaves the test runner's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@pytest.fixture
async def api(settings: Settings) -> AsyncGenerator[Api, None]:
    """The API without a worker."""
    async with running_api(settings) as running:
        yield running


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncGenerator[Kit, None]:
    """A real worker in this event loop; drained at the end."""
    stop = asyncio.Event()
    async with open_kit(settings) as kit, asyncio.TaskGroup() as tasks:
        working = tasks.create_task(Worker(kit, Channels(settings.redis_prefix)).run(stop))
        try:
            yield kit
        finally:
            stop.set()
            await working


@pytest.fixture
async def worker(settings: Settings) -> AsyncGenerator[Kit, None]:
    async with running_worker(settings) as kit:
        yield kit


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A real photo, as JPEG with EXIF-free pixels: NASA's Eileen Collins, 512 x 512."""
    return jpeg(photos.astronaut())


def jpeg(pixels: Any) -> bytes:
    """Encode an array of pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
