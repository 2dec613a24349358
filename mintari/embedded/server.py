"""One embedded server as a child process: what it is, and how to run it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Protocol, Self

from mintari.embedded.children import guarded
from mintari.embedded.errors import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from mintari.embedded.identity import RunAs

_POLL_S = 0.01


class Server(Protocol):
    """An embedded server's files, command line and address; starts nothing itself."""

    name: str
    program: str
    """What its processes are called."""
    url: str
    run_as: RunAs | None
    log_path: Path
    stop_signal: signal.Signals
    """Asks for a clean stop that does not wait for clients."""
    kill_signal: signal.Signals
    """Ends it at once, without harm to its data."""

    def prepare(self) -> None:
        """Make the data folder if there is none, stop a server that a killed run left behind.

        Blocks for up to some seconds. Raises EmbeddedError.
        """
        ...

    def command(self) -> Sequence[str]:
        """The server's command line, an absolute path first."""
        ...

    def environment(self) -> Mapping[str, str]:
        """The whole environment of the server: nothing of ours, secrets least of all."""
        ...

    def is_ready(self, pid: int) -> bool:
        """Whether the server that runs as process `pid` takes connections; never blocks long."""
        ...


def open_log(server: Server) -> int:
    """Open the server's log for appending and return its descriptor; starts anew above 8 MiB."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    if server.log_path.exists() and server.log_path.stat().st_size > 8 * 2**20:
        flags |= os.O_TRUNC
    return os.open(server.log_path, flags, 0o600)


def log_tail(path: Path, *, lines: int = 5) -> str:
    """The log's last lines, for messages."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


class RunningServer:
    """A server as a child of this process; a context manager that starts and stops it.

    Start it from the main thread: on Linux the server stops when the thread that started it ends.
    """

    def __init__(self, server: Server, *, start_deadline_s: float = 60) -> None:
        self.server = server
        self.url = server.url
        self._start_deadline_s = start_deadline_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.server.prepare()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process id. Raises ServerFailed when it does not run."""
        if self._process is None:
            raise ServerFailed(f"{self.server.name} is not running.")
        return self._process.pid

    def start(self) -> None:
        """Start the server at its address and wait until it takes connections.

        Raises ServerFailed with the end of its log.
        """
        log = open_log(self.server)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
                guarded(
                    self.server.command(),
                    death_signal=self.server.stop_signal,
                    run_as=self.server.run_as,
                ),
                env=self.server.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_deadline_s
        while not self.server.is_ready(process.pid):
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            self.kill()
            raise ServerFailed(
                f"{self.server.name} did not start. The end of {self.server.log_path}:\n"
                f"{log_tail(self.server.log_path)}"
            )

    def stop(self, *, deadline_s: float = 20) -> None:
        """Stop the server cleanly; after `deadline_s` seconds at once. Stopped already: fine."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)  # a paused server would not hear the next one
        self._process.send_signal(self.server.stop_signal)
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server at once, without a clean stop, as a crash would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(self.server.kill_signal)
        self._process.wait(10)
        self._process = None

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)
