"""The nginx that is shipped, in front of processes of this machine: without root, in one folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mintari.embedded import RunningServer
from mintari.embedded.folders import make_folder, make_server_folder
from mintari.embedded.identity import unprivileged_user
from tests.programs import ROOT
from tests.servers import server_folder

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

SHIPPED = ROOT / "deploy" / "nginx.conf"
_PLACES = (os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
"""Debian keeps it where only root's PATH leads."""
_MAIN = """
daemon off;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {shipped}
}}
"""
"""What the image's own nginx.conf does around the shipped file, with no path outside the folder."""


def shipped_configuration(url: str, apis: Mapping[str, int]) -> str:
    """The shipped file as it is, but for where it listens and where its APIs do."""
    place = urlsplit(url).netloc
    changed = SHIPPED.read_text()
    for old, new in [
        ("listen 8080;", f"listen {place};"),
        *((f"server {name}:8000 ", f"server 127.0.0.1:{port} ") for name, port in apis.items()),
    ]:
        assert changed.count(old) == 1, old
        changed = changed.replace(old, new)
    assert not re.search(r"server [a-z]", changed), "an API that has no address here"
    return changed


class Nginx:
    """Files and command line of one nginx."""

    name = "nginx"
    program = "nginx"
    stop_signal = signal.SIGTERM
    kill_signal = signal.SIGKILL

    def __init__(self, folder: Path, url: str, apis: Mapping[str, int]) -> None:
        self.run_as = unprivileged_user()
        self.url = url
        self._binary = nginx_binary()
        self._folder = make_server_folder(folder, self.run_as) / "run"
        self._configuration = _MAIN.format(shipped=shipped_configuration(url, apis))
        self.log_path = folder / "log"

    def prepare(self) -> None:
        """Write its configuration; the user who runs it owns the folder."""
        make_folder(self._folder, owner=self.run_as)
        path = self._folder / "nginx.conf"
        path.write_text(self._configuration)
        path.chmod(0o644)

    def command(self) -> Sequence[str]:
        return (self._binary, "-e", "stderr", "-p", f"{self._folder}/", "-c", "nginx.conf")

    def environment(self) -> Mapping[str, str]:
        return {}

    def is_ready(self, pid: int) -> bool:
        """Whether it takes connections."""
        parts = urlsplit(self.url)
        with socket.socket() as probe:
            return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


def nginx_binary() -> str:
    """Where nginx is. Its absence is a reason to skip, never in CI."""
    found = shutil.which("nginx", path=os.pathsep.join(_PLACES))
    if found is None:
        message = "no nginx on this machine (Debian: apt install nginx-light)"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def running_nginx(url: str, apis: Mapping[str, int]) -> Generator[RunningServer]:
    """nginx at `url`, a loopback address, in front of the ports of APIs, by their names there."""
    with server_folder() as folder, RunningServer(Nginx(folder, url, apis)) as server:
        yield server
