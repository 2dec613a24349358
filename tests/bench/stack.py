"""The servers behind the servers: one Valkey and one Postgres, and jobs in it that run."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.auth import issue_token
from core.ids import new_id
from core.settings import Settings
from core.vocabulary import ImageSize, ProgressKind
from db.engine import open_database
from db.generations import NewJob, insert_generation
from db.lifecycle import claim_overdue
from db.migrate import upgrade
from db.records import NewGeneration
from mintari.embedded import TEST_SETTINGS, PostgresServer, RunningServer
from tests.bench.machine import python, served
from tests.conftest import SECRET, free_port
from tests.servers import server_folder, valkey_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping
    from pathlib import Path

    from db.engine import Connection
    from db.records import JobRecord
    from tests.programs import Program

POSTGRES = {**TEST_SETTINGS, "track_commit_timestamp": "on", "shared_buffers": "256MB"}
USERS = 100
"""Whose jobs are watched; also the rights that subscriptions are grouped by."""
NO_LIMIT = "1000000000"


@dataclass(frozen=True)
class Stack:
    """Addresses of the servers, and the settings of our processes."""

    database_url: str
    postgres_folder: str
    valkey_url: str
    pictures: Path

    def environment(self, port: int, **changes: str) -> dict[str, str]:
        """Settings of a deployment whose limits are checked and never reached."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.valkey_url,
            "REDIS_PREFIX": f"bench-{secrets.token_hex(4)}",
            "STORAGE_URL": self.pictures.as_uri(),
            "AUTH_SECRET": SECRET,
            "API_PORT": str(port),
            "LOG_LEVEL": "WARNING",
            "RATE_LIMIT_MAX_REQUESTS": NO_LIMIT,
            "MAX_ACTIVE_JOBS": NO_LIMIT,
            "MAX_REQUESTS_PER_S": NO_LIMIT,
            "MAX_OPERATIONS_PER_USER": NO_LIMIT,
            "MAX_SOCKETS_PER_USER": NO_LIMIT,
            "MAX_SOCKETS_PER_ADDRESS": NO_LIMIT,
            **changes,
        }

    @property
    def valkey_socket(self) -> str:
        """The path of Valkey's socket."""
        return self.valkey_url.removeprefix("unix://")

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection, None]:
        """A transaction of the harness's own."""
        async with (
            open_database(self.settings(self.environment(0))) as database,
            database.transaction() as connection,
        ):
            yield connection

    def settings(self, environment: Mapping[str, str]) -> Settings:
        """What a process of ours reads from this environment."""
        values: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
        return Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue]


@contextlib.contextmanager
def running_stack() -> Generator[Stack]:
    """Start the servers, with an empty database at our schema."""
    with (
        server_folder() as folder,
        RunningServer(PostgresServer(folder, settings=POSTGRES)) as postgres,
        valkey_server() as valkey,
        server_folder() as pictures,
    ):
        upgrade(postgres.url)
        sockets = postgres.url.partition("host=")[2].partition("&")[0]
        yield Stack(postgres.url, sockets, valkey.url, pictures)


@contextlib.contextmanager
def our_api(environment: Mapping[str, str], *, core: int | str | None = None) -> Generator[Program]:
    """`mintari api` on the servers' core, or on this one."""
    port = int(environment["API_PORT"])
    with served(python("-m", "mintari", "api"), environment, port, core=core) as program:
        yield program


def user(number: int) -> str:
    """The number-th user of the benchmark."""
    return f"bench-{number % USERS}"


def token(number: int) -> str:
    """A bearer token of the number-th user."""
    return issue_token(SECRET, user_id=user(number), ttl_s=7200)


async def running_jobs(stack: Stack, count: int, *, model: str = "painter-1") -> list[JobRecord]:
    """Insert jobs that run; the n-th is the n-th user's."""
    settings = stack.settings(stack.environment(free_port()))
    made: list[JobRecord] = []
    async with open_database(settings) as database:
        for number in range(min(count, USERS)):
            jobs = [_new_job(variant) for variant in range(len(range(number, count, USERS)))]
            async with database.transaction() as connection:
                await insert_generation(connection, _new_generation(user(number), model), jobs)
        wanted = count
        while wanted:
            async with database.transaction() as connection:
                claimed = await claim_overdue(
                    connection, overdue_s=0, limit=wanted, worker="bench", lease_s=7200
                )
            assert claimed, "the jobs that were inserted are gone"
            made += [work.job for work in claimed]
            wanted -= len(claimed)
    by_user: dict[str, list[JobRecord]] = {user(number): [] for number in range(USERS)}
    for job in made:
        by_user[job.user_id].append(job)
    return [by_user[user(number)][number // USERS] for number in range(count)]


def _new_generation(user_id: str, model: str) -> NewGeneration:
    return NewGeneration(
        id=new_id(),
        user_id=user_id,
        prompt="a hill by the sea",
        prompt_delta=None,
        style="ghibli",
        style_version=1,
        size=ImageSize.SQUARE_512,
        upload_id=None,
        had_upload=False,
        variant_count=3,
        seed=None,
        seed_locked=False,
        fall_over=False,
        provider="local",
        model=model,
        assembled_prompt="a hill by the sea",
        negative_prompt="",
        prompt_hash=secrets.token_hex(32),
    )


def _new_job(variant: int) -> NewJob:
    return NewJob(
        id=new_id(),
        variant=variant,
        seed=1_234_567_890,
        progress_kind=ProgressKind.MEASURED,
    )
