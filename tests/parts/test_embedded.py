"""The embedded servers: real processes, made, broken and found again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import redis
from arq.connections import RedisSettings, create_pool
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

import mintari.embedded
from mintari.embedded import (
    TEST_SETTINGS,
    FolderUnusable,
    PostgresServer,
    RunningServer,
    ServerFailed,
    ValkeyServer,
    open_postgres,
    open_valkey,
)
from mintari.embedded.binaries import postgres_bin, valkey_server
from mintari.embedded.folders import SOCKET_PATH_MAX_BYTES, default_home
from mintari.embedded.identity import RunAs, can_reach, unprivileged_user
from tests.programs import running
from tests.servers import is_alive, server_folder, until

if TYPE_CHECKING:
    from collections.abc import Generator

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root may do")


@pytest.fixture
def folder() -> Generator[Path]:
    with server_folder() as made:
        yield made


def postgres(folder: Path) -> RunningServer:
    return open_postgres(folder, settings=TEST_SETTINGS)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def query(url: str, statement: str) -> object:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


def connect(url: str, *, timeout_s: float = 10) -> Redis:
    return Redis.from_url(url, socket_timeout=timeout_s)  # pyright: ignore[reportUnknownMemberType]


async def test_postgres_is_real_and_ours_whatever_the_environment_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    with postgres(folder) as server:
        version = await query(server.url, "SHOW server_version_num")
        assert 180000 <= int(str(version)) < 190000
        assert await query(server.url, "SELECT current_database()") == "mintari"
        # Case folding needs no locale of the machine.
        assert await query(server.url, "SELECT upper('é')") == "É"
        assert await query(server.url, "SHOW listen_addresses") == ""


async def test_valkey_serves_redis_clients_and_arq(folder: Path) -> None:
    with open_valkey(folder) as server, connect(server.url) as client:
        pool = await create_pool(RedisSettings.from_dsn(server.url))
        try:
            assert await pool.enqueue_job("paint", _job_id="a:1") is not None
            assert client.exists("arq:job:a:1") == 1
        finally:
            await pool.aclose()


async def test_postgres_keeps_its_data_over_a_restart(folder: Path) -> None:
    with postgres(folder) as server:
        await query(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
    with postgres(folder) as server:
        assert await query(server.url, "SELECT n FROM kept") == 7


@pytest.mark.parametrize(("save", "kept"), [(True, b"1"), (False, None)])
def test_valkey_keeps_its_data_over_a_clean_restart_if_asked_to(
    folder: Path, *, save: bool, kept: bytes | None
) -> None:
    with open_valkey(folder, save=save) as server, connect(server.url) as client:
        client.set("a", "1")
    with open_valkey(folder, save=save) as server, connect(server.url) as client:
        assert client.get("a") == kept


def test_a_damaged_valkey_dump_is_put_aside(folder: Path) -> None:
    with open_valkey(folder) as server, connect(server.url) as client:
        client.set("a", "1")
    dump = folder / "data" / "dump.rdb"
    dump.write_bytes(dump.read_bytes()[:-9] + b"nonsense!")
    with open_valkey(folder) as server, connect(server.url) as client:
        assert client.get("a") is None
    assert (folder / "data" / "dump.damaged").exists()


async def test_a_kill_while_the_database_is_made_leaves_nothing_half_done(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mintari.embedded import open_postgres\n"
        "with open_postgres(Path(sys.argv[1])): print('made')"
    )
    with running("-c", code, str(folder)) as program:
        until(lambda: any(folder.glob("data.new-*/base")))
        program.signal(signal.SIGKILL)
        program.wait()
    assert "data" not in names(folder)
    with postgres(folder) as server:
        assert await query(server.url, "SELECT 1") == 1
    assert names(folder) == ["data", "log", "run"]


def test_servers_die_with_a_parent_that_is_killed(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from mintari.embedded import open_postgres, open_valkey\n"
        "folder = Path(sys.argv[1])\n"
        "with open_postgres(folder / 'p') as p, open_valkey(folder / 'v') as v:\n"
        "    print('pids', p.pid, v.pid, flush=True); time.sleep(60)"
    )
    with running("-c", code, str(folder)) as program:
        pids = [int(word) for word in program.line_with("pids").split()[1:]]
        assert all(is_alive(pid) for pid in pids)
        backends = [child.pid for child in psutil.Process(pids[0]).children()]
        program.signal(signal.SIGKILL)
        until(lambda: not any(is_alive(pid) for pid in [*pids, *backends]))


async def test_a_server_that_outlived_its_parent_is_stopped_cleanly_first(folder: Path) -> None:
    with postgres(folder) as server:
        await query(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
        old = server.pid
        with postgres(folder) as second:
            until(lambda: not is_alive(old), within_s=1)
            assert await query(second.url, "SELECT n FROM kept") == 7
            log = (folder / "log").read_text()
            assert "received fast shutdown request" in log
            assert "database system was not properly shut down" not in log


async def test_a_killed_postgres_recovers_what_was_committed(folder: Path) -> None:
    with open_postgres(folder) as server:
        await query(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        with open_postgres(folder) as second:
            assert await query(second.url, "SELECT n FROM kept") == 7


async def test_a_stale_pid_file_that_names_a_stranger_harms_nobody(folder: Path) -> None:
    with postgres(folder) as server:
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
    with a_stranger() as stranger:
        pid_file = folder / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with postgres(folder) as server:
            assert await query(server.url, "SELECT 1") == 1
        assert stranger.poll() is None


@contextlib.contextmanager
def a_stranger() -> Generator[subprocess.Popen[bytes]]:
    """A process of the servers' user that has nothing to do with them."""
    who = unprivileged_user()
    stranger = subprocess.Popen(["/bin/sleep", "60"], user=None if who is None else who.uid)
    try:
        yield stranger
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_valkey_takes_over_from_one_that_was_left_behind(folder: Path) -> None:
    with open_valkey(folder) as server, connect(server.url) as client:
        client.set("a", "1")
        old = server.pid
        with open_valkey(folder) as second, connect(second.url) as again:
            assert not is_alive(old)
            assert again.get("a") == b"1"


def test_a_killed_valkey_comes_back_at_its_address_and_empty(folder: Path) -> None:
    with open_valkey(folder, save=False) as server, connect(server.url) as client:
        client.set("a", "1")
        server.kill()
        with pytest.raises(ServerFailed, match="valkey is not running"):
            assert server.pid
        server.start()
        assert client.get("a") is None


def test_a_paused_valkey_does_not_answer_until_it_goes_on(folder: Path) -> None:
    with (
        open_valkey(folder) as server,
        connect(server.url, timeout_s=0.2) as impatient,
        connect(server.url) as patient,
    ):
        server.pause()
        with pytest.raises(RedisTimeoutError):
            impatient.get("a")
        server.resume()
        assert patient.get("a") is None


def test_a_paused_server_can_be_stopped(folder: Path) -> None:
    with open_valkey(folder) as server:
        pid = server.pid
        server.pause()
        started_at = time.monotonic()
        server.stop()
        assert not is_alive(pid)
        assert time.monotonic() - started_at < 5


def remove_short_folders(postgres_url: str, valkey_url: str) -> None:
    Path(postgres_url.partition("host=")[2].partition("&")[0]).rmdir()
    Path(valkey_url.removeprefix("unix://")).parent.rmdir()


@pytest.mark.parametrize("name", ["d" * 120, "with space, comma & ümlaut"])
async def test_any_data_folder_will_do(folder: Path, name: str) -> None:
    place = folder / name
    place.mkdir(mode=0o755)
    with postgres(place / "p") as server, open_valkey(place / "v") as valkey:
        assert await query(server.url, "SELECT 1") == 1
        pool = await create_pool(RedisSettings.from_dsn(valkey.url))
        await pool.aclose()
        socket = Path(valkey.url.removeprefix("unix://"))
        assert len(bytes(socket)) <= SOCKET_PATH_MAX_BYTES
        assert not socket.is_relative_to(place)
    # Short folders stay for the next start of the same data folder; this one has none.
    remove_short_folders(server.url, valkey.url)


def test_sockets_and_data_are_closed_to_others(folder: Path) -> None:
    with postgres(folder / "p"), open_valkey(folder / "v"):
        for server in ("p", "v"):
            for name in ("data", "run"):
                assert (folder / server / name).stat().st_mode & 0o777 == 0o700


def test_a_folder_with_something_else_in_it_is_left_alone(folder: Path) -> None:
    foreign = folder / "data"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("mine")
    with pytest.raises(FolderUnusable, match="not a PostgreSQL database of ours"):
        postgres(folder).__enter__()
    assert names(foreign) == ["letter.txt"]


def test_a_database_of_another_major_version_is_refused(folder: Path) -> None:
    with postgres(folder):
        pass
    (folder / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(FolderUnusable, match="made by PostgreSQL 17, this is 18: dump it"):
        postgres(folder).__enter__()


def test_a_file_in_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match=r"cannot be used \(File exists\)"):
        ValkeyServer(tmp_path / "file" / "v")


def test_a_server_that_cannot_start_says_so_with_the_end_of_its_log(folder: Path) -> None:
    with pytest.raises(ServerFailed, match=r"(?s)postgres did not start.*unrecognized.*no_such"):
        open_postgres(folder, settings={**TEST_SETTINGS, "no_such": "1"}).__enter__()


@as_root
def test_root_hands_over_to_a_user_that_exists(folder: Path) -> None:
    who = unprivileged_user()
    assert who is not None
    modes = {parent: parent.stat().st_mode for parent in folder.parents}
    with postgres(folder / "p") as server, open_valkey(folder / "v") as valkey:
        for pid in (server.pid, valkey.pid):
            process = psutil.Process(pid)
            assert set(process.uids()) == {who.uid}
            assert set(process.gids()) == {who.gid}
            assert "\nGroups:\t \n" in Path(f"/proc/{pid}/status").read_text()
    assert (folder / "p" / "data").stat().st_uid == who.uid
    assert (folder / "p").stat().st_uid == 0
    assert {parent: parent.stat().st_mode for parent in folder.parents} == modes


@as_root
def test_root_is_told_when_the_servers_user_cannot_reach_the_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(FolderUnusable, match="cannot be reached by the user"):
        PostgresServer(closed / "p")
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_roots_default_folder_is_one_that_the_servers_user_can_reach(folder: Path) -> None:
    who = unprivileged_user()
    (folder / "open").mkdir(mode=0o755)
    (folder / "closed").mkdir(mode=0o700)
    assert default_home(folder / "open", who) == folder / "open" / "mintari"
    assert default_home(folder / "closed", who) == Path("/var/lib/mintari")
    assert default_home(folder / "closed", None) == folder / "closed" / "mintari"


@as_root
def test_programs_in_a_closed_folder_are_copied_once(folder: Path, tmp_path: Path) -> None:
    closed, copies = tmp_path / "closed", folder / "copies"
    closed.mkdir(mode=0o700)
    for package in (postgres_bin(None).parents[1], valkey_server(None).parents[2]):
        subprocess.run(["cp", "-r", package, closed], check=True)
    code = (
        "import sys; from pathlib import Path\n"
        "from mintari.embedded.binaries import *\n"
        "from mintari.embedded.identity import *\n"
        "who, copies = unprivileged_user(), Path(sys.argv[1])\n"
        "print(postgres_bin(who, copies=copies), valkey_server(who, copies=copies))"
    )
    found: list[tuple[str, int]] = []
    for _ in range(2):
        with running("-c", code, str(copies), environment={"PYTHONPATH": str(closed)}) as program:
            assert program.wait() == 0, program.output
            line = program.lines[0]
            found.append((line, Path(line.split()[0]).stat().st_ino))
    assert found[0] == found[1]
    postgres_folder, valkey = map(Path, found[0][0].split())
    who = unprivileged_user()
    assert who is not None
    for file in (postgres_folder / "postgres", valkey):
        assert file.is_relative_to(copies)
        assert runs_as(who, file)
    assert [name.partition("-")[0] for name in names(copies)] == ["postgres", "valkey"]


def runs_as(who: RunAs, program: Path) -> bool:
    done = subprocess.run(
        [program, "--version"], user=who.uid, group=who.gid, extra_groups=[], check=False
    )
    return done.returncode == 0


@as_root
def test_a_normal_user_runs_both(folder: Path) -> None:
    who = unprivileged_user()
    assert who is not None
    for needed in (sys.executable, sys.base_prefix, redis.__file__, mintari.embedded.__file__):
        if not can_reach(Path(str(needed)).resolve(), who):
            pytest.skip(f"{needed} is in a folder that other users cannot reach")
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, who.uid, who.gid)
    code = (
        "import sys, redis; from pathlib import Path\n"
        "from mintari.embedded import open_postgres, open_valkey\n"
        "folder = Path(sys.argv[1])\n"
        "with open_postgres(folder / 'p') as p, open_valkey(folder / 'v') as v:\n"
        "    print(redis.Redis.from_url(v.url).ping(), (folder / 'p').stat().st_uid)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(home)],
        user=who.uid,
        group=who.gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", str(who.uid)], done.stderr
