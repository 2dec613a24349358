"""One set of processes for all scenarios; the table when all have run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from db.migrate import upgrade
from mintari.embedded import TEST_SETTINGS, open_postgres
from tests.chaos.redis_proxy import RedisProxy
from tests.chaos.scenario import play
from tests.chaos.stack import Stack, StandIn, product_environment, python_environment
from tests.chaos.table import Row, markdown
from tests.conftest import free_port
from tests.servers import server_folder, valkey_server

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mintari.embedded import RunningServer
    from tests.chaos.scenario import Scenario

WORKERS = ("chaos-1", "chaos-2", "chaos-3")
CLOCKS_OFF_S = (5.0, -5.0, 0.0)
"""In all scenarios: only the database's clock decides anything."""
ROWS = pytest.StashKey[list[Row]]()


@dataclass(frozen=True)
class World:
    """Everything that a scenario can break."""

    postgres: RunningServer
    valkey: RunningServer
    proxy: RedisProxy
    stand_in: StandIn
    stack: Stack
    rows: list[Row]

    def play(self, title: str, *, latency_s: float = 0.3) -> AbstractAsyncContextManager[Scenario]:
        """Begin a scenario; its line is called `title`."""
        return play(title, self.stack, self.stand_in, self.rows, latency_s=latency_s)


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """The lines of the table."""
    return request.config.stash.setdefault(ROWS, [])


@pytest.fixture(scope="session")
def chaos_folder() -> Generator[Path]:
    with server_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def stand_in(chaos_folder: Path) -> Generator[StandIn]:
    running = StandIn(python_environment(chaos_folder / "cache"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def world(stand_in: StandIn, chaos_folder: Path, rows: list[Row]) -> Generator[World]:
    """Servers of the suite's own, an API and three workers."""
    # A crash of PostgreSQL, not of the machine: what was committed must be in the kernel's hands.
    settings = {**TEST_SETTINGS, "synchronous_commit": "on"}
    with open_postgres(chaos_folder / "postgres", settings=settings) as postgres:
        upgrade(postgres.url)
        with valkey_server() as valkey:
            proxy = RedisProxy(valkey.url)
            pictures = chaos_folder / "pictures"
            environment = product_environment(
                database_url=postgres.url,
                redis_url=proxy.url,
                stand_in_url=stand_in.url,
                pictures=pictures,
                api_port=free_port(),
            )
            cache = python_environment(chaos_folder / "cache")
            stack = Stack(
                {**environment, **cache}, clocks=dict(zip(WORKERS, CLOCKS_OFF_S, strict=True))
            )
            try:
                stack.start()
                yield World(postgres, valkey, proxy, stand_in, stack, rows)
            finally:
                stack.stop()
                proxy.close()


@pytest.fixture(autouse=True)
def told_on_failure(request: pytest.FixtureRequest) -> Generator[None]:
    """What the processes wrote during a scenario; pytest shows it when the scenario failed."""
    yield
    if "world" in request.fixturenames:
        world: World = request.getfixturevalue("world")
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
