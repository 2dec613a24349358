"""One set of processes for all scenarios; the table when all have run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from db.migrate import upgrade
from mintari.embedded import TEST_SETTINGS, PostgresServer, RunningServer
from tests.chaos.form import BOTH, GEMINI
from tests.chaos.redis_proxy import RedisProxy
from tests.chaos.scenario import play
from tests.chaos.stack import Stack, StandIn, product_environment, python_environment
from tests.chaos.table import Row, markdown
from tests.conftest import free_port
from tests.servers import (
    PostgresForTests,
    create_database_from_template,
    server_folder,
    valkey_server,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.chaos.scenario import Scenario
    from tests.client import Client

CLOCKS_OFF_S = {"chaos-1": 5.0, "chaos-2": -5.0, "chaos-3": 0.0}
"""The workers, and how far their clocks are off in all scenarios: only the database's decides."""
ROWS = pytest.StashKey[list[Row]]()


class CrashSafePostgres(PostgresForTests):
    """What was committed survives the server's crash: it is in the kernel's hands."""

    def __init__(self, folder: Path) -> None:
        settings = {**TEST_SETTINGS, "synchronous_commit": "on"}
        self._postgres = PostgresServer(folder, settings=settings)
        RunningServer.__init__(self, self._postgres)


@dataclass(frozen=True)
class World:
    """Everything that a scenario can break."""

    postgres: RunningServer
    valkey: RunningServer
    proxy: RedisProxy
    stand_ins: Mapping[str, StandIn]
    stack: Stack
    rows: list[Row]

    def play(
        self, title: str, *, provider: str = GEMINI, latency_s: float = 0.3
    ) -> AbstractAsyncContextManager[Scenario]:
        """Begin a scenario; its line is called `title`."""
        return play(
            title, self.stack, self.stand_ins, self.rows, provider=provider, latency_s=latency_s
        )


@dataclass(frozen=True)
class StrictWorld:
    """Two APIs with the limits that users meet, and a worker with short deadlines."""

    stand_ins: Mapping[str, StandIn]
    stack: Stack
    rows: list[Row]

    def play(
        self, title: str, *, provider: str = GEMINI, latency_s: float = 0.1
    ) -> AbstractAsyncContextManager[Scenario]:
        """Begin a scenario; its line is called `title`."""
        return play(
            title, self.stack, self.stand_ins, self.rows, provider=provider, latency_s=latency_s
        )

    def clients(self, user_id: str) -> list[Client]:
        """One user's clients, of each API one."""
        return [self.stack.client(user_id, url) for url in self.stack.urls]


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """The lines of the table."""
    return request.config.stash.setdefault(ROWS, [])


@pytest.fixture(scope="session")
def chaos_folder() -> Generator[Path]:
    with server_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def stand_ins(chaos_folder: Path) -> Generator[Mapping[str, StandIn]]:
    environment = python_environment(chaos_folder / "cache")
    running = {provider: StandIn(provider, environment) for provider in BOTH}
    yield running
    for stand_in in running.values():
        stand_in.close()


@pytest.fixture(scope="session")
def chaos_postgres(chaos_folder: Path) -> Generator[CrashSafePostgres]:
    with CrashSafePostgres(chaos_folder / "postgres") as server:
        upgrade(server.url)
        yield server


@pytest.fixture(scope="session")
def chaos_valkey() -> Generator[RunningServer]:
    with valkey_server() as server:
        yield server


@pytest.fixture(scope="session")
def world(
    chaos_postgres: CrashSafePostgres,
    chaos_valkey: RunningServer,
    stand_ins: Mapping[str, StandIn],
    chaos_folder: Path,
    rows: list[Row],
) -> Generator[World]:
    """Servers of the suite's own, an API and three workers."""
    proxy = RedisProxy(chaos_valkey.url)
    environment = product_environment(
        database_url=chaos_postgres.url,
        redis_url=proxy.url,
        stand_ins=stand_ins,
        pictures=chaos_folder / "pictures",
        api_port=free_port(),
    )
    cache = python_environment(chaos_folder / "cache")
    stack = Stack({**environment, **cache}, clocks=CLOCKS_OFF_S)
    try:
        stack.start()
        yield World(chaos_postgres, chaos_valkey, proxy, stand_ins, stack, rows)
    finally:
        stack.stop()
        proxy.close()


@pytest.fixture(scope="session")
def strict_world(
    chaos_postgres: CrashSafePostgres,
    chaos_valkey: RunningServer,
    stand_ins: Mapping[str, StandIn],
    chaos_folder: Path,
    rows: list[Row],
) -> Generator[StrictWorld]:
    """Everything with the limits of real life, but for the deadlines."""
    name = "strict"
    url = asyncio.run(create_database_from_template(chaos_postgres, "template0", name))
    upgrade(url)
    environment = product_environment(
        database_url=url,
        redis_url=chaos_valkey.url,
        stand_ins=stand_ins,
        pictures=chaos_folder / name,
        api_port=free_port(),
    )
    changes = {
        **python_environment(chaos_folder / "cache"),
        "REDIS_PREFIX": name,
        "RATE_LIMIT_MAX_REQUESTS": "10",
        "MAX_ACTIVE_JOBS": "3",
        "MAX_CRASHES": "3",
        "GEN_TIMEOUT_MS": "2500",
        "WORKER_CONCURRENCY": "32",
        # Each fault by itself, however many there are.
        "GEN_BREAKER_FAILURES": "0",
    }
    stack = Stack({**environment, **changes}, clocks={name: 0.0})
    stack.add_api(free_port())
    try:
        stack.start()
        yield StrictWorld(stand_ins, stack, rows)
    finally:
        stack.stop()


@pytest.fixture(autouse=True)
def told_on_failure(request: pytest.FixtureRequest) -> Generator[None]:
    """What the processes wrote during a scenario; pytest shows it when the scenario failed."""
    yield
    for name in {"world", "strict_world"} & set(request.fixturenames):
        world: World | StrictWorld = request.getfixturevalue(name)
        for process in world.stack.processes:
            lines = [line for line in process.lines if "uvicorn.error" not in line]
            print(f"--- {process.name}", *lines[-25:], sep="\n")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    if rows := config.stash.setdefault(ROWS, []):
        terminalreporter.section("chaos")
        for line in markdown(rows):
            terminalreporter.write_line(line)
