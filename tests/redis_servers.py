"""Valkeys that belong together: a primary and its replica under a sentinel, and a Cluster."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import redis

from mintari.embedded import RunningServer
from mintari.embedded.valkey import ValkeyServer
from tests.conftest import free_port
from tests.servers import server_folder, until

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

SERVICE = "pictures"
SILENT_MS = 1000
"""After this a server counts as dead: no less, as this machine may be busy."""


class ValkeyOnPort(ValkeyServer):
    """A Valkey at a port of this machine, with options of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, save=False)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = options

    def command(self) -> Sequence[str]:
        """What comes later counts."""
        options = ("--port", str(self.port), "--repl-diskless-sync-delay", "0", *self._options)
        return [*super().command(), *options]


def port_of(server: RunningServer) -> int:
    return int(server.url.rpartition(":")[2])


class Sentinel(ValkeyOnPort):
    """A sentinel that alone decides."""

    def __init__(self, folder: Path, primary: int) -> None:
        super().__init__(folder)
        self._file = folder / "sentinel.conf"
        self._primary = primary

    def prepare(self) -> None:
        """Sentinels write what they learn into their own file."""
        super().prepare()
        self._file.write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._primary} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} {SILENT_MS}\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )
        if self.run_as is not None:
            os.chown(self._file, self.run_as.uid, self.run_as.gid)

    def command(self) -> Sequence[str]:
        program, *options = super().command()
        return [program, str(self._file), "--sentinel", *options]


class SentinelSet:
    """A primary, a replica of it, and a sentinel; `url` is what REDIS_URL is to be."""

    def __init__(self, primary: RunningServer, replica: RunningServer, sentinel: Sentinel) -> None:
        self.primary, self.replica = primary, replica
        self.url = f"redis+sentinel://127.0.0.1:{sentinel.port}/0?service={SERVICE}"
        self._sentinel: Any = redis.Redis(port=sentinel.port)
        self._replica: Any = redis.Redis(port=port_of(replica))

    def wait_ready(self) -> None:
        """Wait until a fail-over would succeed."""
        until(lambda: len(self._sentinel.sentinel_slaves(SERVICE)) == 1)
        until(lambda: self._replica.info("replication")["master_link_status"] == "up")

    def wait_failed_over(self) -> None:
        """Wait until the replica has become the primary."""
        until(lambda: self._replica.info("replication")["role"] == "master")

    def followers(self, channel: str) -> int:
        """How many processes listen to a channel at the one that is primary after a fail-over."""
        ((_, count),) = self._replica.pubsub_numsub(channel)
        return count

    def close(self) -> None:
        self._sentinel.close()
        self._replica.close()


@contextmanager
def sentinel_set() -> Generator[SentinelSet]:
    """Servers of a test's own, ready to fail over."""
    with server_folder() as folder, ExitStack() as stack:
        first = ValkeyOnPort(folder / "first")
        second = ValkeyOnPort(folder / "second", "--replicaof", f"127.0.0.1 {first.port}")
        sentinel = Sentinel(folder / "sentinel", first.port)
        running = [stack.enter_context(RunningServer(one)) for one in (first, second, sentinel)]
        found = SentinelSet(running[0], running[1], sentinel)
        stack.callback(found.close)
        found.wait_ready()
        yield found
