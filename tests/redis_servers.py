"""Valkeys that belong together: a primary and its replica under a sentinel, and a Cluster."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot

from mintari.doctor import run_check
from mintari.embedded import RunningServer
from mintari.embedded.valkey import ValkeyServer
from tests.conftest import free_port
from tests.servers import server_folder, until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from core.settings import Settings

SERVICE = "pictures"
PRIMARIES = 3
OF_FIRST = "b"
"""A key whose slot (3300) is the first node's."""
SILENT_MS = 1000
"""After this a server counts as dead: no less, as this machine may be busy."""


PASSWORD = "p@ss w/rd"
SENTINELS_PASSWORD = "an:other"


class ValkeyOnPort(ValkeyServer):
    """A Valkey at a port of this machine, with a password, and with options of its own."""

    def __init__(self, folder: Path, *options: str, password: str = PASSWORD) -> None:
        super().__init__(folder, save=False)
        self.port = free_port()
        self._password = password
        self.url = f"redis://:{quote(password, safe='')}@127.0.0.1:{self.port}"
        self._options = options

    def command(self) -> Sequence[str]:
        """What comes later counts."""
        settings = {
            "--port": str(self.port),
            "--requirepass": self._password,
            "--masterauth": self._password,
            "--repl-diskless-sync-delay": "0",
        }
        return [*super().command(), *chain(*settings.items()), *self._options]

    def is_ready(self, pid: int) -> bool:
        """Whether it answers who has the password."""
        try:
            with client_of(self) as client:
                return client.ping()
        except redis.RedisError:
            return False


def client_of(server: ValkeyOnPort | RunningServer) -> Any:
    """A client of this server alone."""
    return cast("Any", redis.Redis).from_url(server.url)


def port_of(server: RunningServer) -> int:
    return int(server.url.rpartition(":")[2])


def doctors_line(settings: Settings) -> str:
    """What `mintari doctor` says of Redis."""
    lines: list[str] = []
    run_check(lines.append, "redis", settings)
    (line,) = lines
    return line


class ClusterNode(ValkeyOnPort):
    """A node of a Cluster, with a port for talking to the others."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.bus = free_port()
        silent = ("--cluster-node-timeout", str(SILENT_MS))
        port = ("--cluster-port", str(self.bus))
        super().__init__(folder, "--cluster-enabled", "yes", *silent, *port, *options)


class Sentinel(ValkeyOnPort):
    """A sentinel that alone decides."""

    def __init__(self, folder: Path, primary: int) -> None:
        super().__init__(folder, password=SENTINELS_PASSWORD)
        self._file = folder / "sentinel.conf"
        self._primary = primary

    def prepare(self) -> None:
        """Sentinels write what they learn into their own file."""
        super().prepare()
        self._file.write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._primary} 1\n"
            f'sentinel auth-pass {SERVICE} "{PASSWORD}"\n'
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
        self.sentinel = sentinel
        self.url = (
            f"redis+sentinel://:{quote(PASSWORD, safe='')}@127.0.0.1:{sentinel.port}/0"
            f"?service={SERVICE}&sentinel_password={quote(SENTINELS_PASSWORD)}"
        )
        self._sentinel = client_of(sentinel)
        self._replica = client_of(replica)

    def wait_ready(self) -> None:
        """Wait until a fail-over would succeed."""
        until(lambda: len(self._sentinel.sentinel_slaves(SERVICE)) == 1)
        until(lambda: self._replica.info("replication")["master_link_status"] == "up")

    def wait_failed_over(self) -> None:
        """Wait until the replica has become the primary."""

        def is_primary() -> bool:
            try:
                return self._replica.info("replication")["role"] == "master"
            except redis.ConnectionError:
                # A sentinel that makes a server the primary ends its connections.
                return False

        until(is_primary)

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
        second = ValkeyOnPort(folder / "second", "--replicaof", "127.0.0.1", str(first.port))
        sentinel = Sentinel(folder / "sentinel", first.port)
        running = [stack.enter_context(RunningServer(one)) for one in (first, second, sentinel)]
        found = SentinelSet(running[0], running[1], sentinel)
        stack.callback(found.close)
        found.wait_ready()
        yield found


class ValkeyCluster:
    """Three primaries, and a replica of the first; `url` names the second only."""

    def __init__(self, nodes: Sequence[RunningServer], buses: Sequence[int]) -> None:
        self.nodes = nodes
        self.primary = nodes[0]
        """The one that has a replica."""
        self._buses = buses
        self.url = nodes[1].url.replace("redis", "redis+cluster")
        self._clients = [client_of(node) for node in nodes]

    def form(self) -> None:
        """Make one Cluster of the nodes; returns when all of them know it."""
        first, *others = self._clients
        for number, client in enumerate(self._clients[:PRIMARIES]):
            begin, end = (SLOTS * at // PRIMARIES for at in (number, number + 1))
            client.execute_command("CLUSTER ADDSLOTSRANGE", begin, end - 1)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node, bus in zip(self.nodes[1:], self._buses[1:], strict=True):
            first.execute_command("CLUSTER MEET", "127.0.0.1", port_of(node), bus)
        until(lambda: all(len(one.cluster("NODES")) == len(self.nodes) for one in self._clients))
        others[-1].execute_command("CLUSTER REPLICATE", self.id_of(0))
        until(lambda: all(self._is_well(one) for one in self._clients))
        until(lambda: others[-1].info("replication")["master_link_status"] == "up")

    def _is_well(self, client: Any) -> bool:
        info = client.cluster("INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_size"]) == PRIMARIES

    def add_primary(self) -> int:
        """Make of the replica a primary without slots; returns its number when all know of it."""
        number = len(self.nodes) - 1
        port = port_of(self.nodes[number])
        self._clients[number].execute_command("CLUSTER RESET")
        self._clients[0].execute_command("CLUSTER MEET", "127.0.0.1", port, self._buses[number])

        def is_known(client: Any) -> bool:
            known = client.cluster("NODES")
            added = known.get(f"127.0.0.1:{port}", {"flags": ""})
            return len(known) == len(self.nodes) and "master" in added["flags"]

        until(lambda: all(is_known(one) and self._is_well(one) for one in self._clients))
        return number

    def id_of(self, number: int) -> str:
        """The name by which nodes know each other."""
        return self._clients[number].execute_command("CLUSTER MYID").decode()

    def owner_of(self, channel: str) -> int:
        """The number of the node that has a channel's slot, as the third primary knows it."""
        slot = key_slot(channel.encode())
        for begin, end, (_, port, *_), *_ in self._clients[2].cluster("SLOTS"):
            if begin <= slot <= end:
                return [port_of(node) for node in self.nodes].index(port)
        raise AssertionError(f"nobody has slot {slot}")

    def followers(self, channel: str) -> int:
        """How many processes listen to a channel at the node that has its slot."""
        client = self._clients[self.owner_of(channel)]
        ((_, count),) = client.pubsub_shardnumsub(channel)
        return count

    def wait_failed_over(self) -> None:
        """Wait until the replica has the slots of the first node, and the others know."""
        until(lambda: self.owner_of(OF_FIRST) == len(self.nodes) - 1)
        until(lambda: all(self._is_well(one) for one in self._clients[1:]))

    def move_slot(self, channel: str, *, to: int) -> None:
        """Move a slot with its keys to another primary, as `valkey-cli --cluster reshard` does."""
        with self.slot_on_its_way(channel, to=to):
            pass

    @contextmanager
    def slot_on_its_way(self, channel: str, *ahead: str, to: int) -> Generator[None]:
        """A slot is being moved meanwhile, and these of its keys have gone ahead."""
        slot, origin = key_slot(channel.encode()), self.owner_of(channel)
        source, target = self._clients[origin], self._clients[to]
        target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self.id_of(origin))
        source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self.id_of(to))
        if ahead:
            self._move_keys(ahead, origin, to)
        yield
        while keys := self.keys_at(origin, channel):
            self._move_keys(keys, origin, to)
        primaries = self._clients[:PRIMARIES]
        others = [one for one in primaries if one not in (target, source)]
        # All are told, as valkey-cli does: whoever hears of it by gossip sends clients back.
        for client in (target, source, *others):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", self.id_of(to))

    def _move_keys(self, keys: Iterable[str], origin: int, to: int) -> None:
        self._clients[origin].execute_command(
            "MIGRATE",
            *("127.0.0.1", port_of(self.nodes[to]), "", 0, 5000),
            *("AUTH", PASSWORD, "KEYS", *keys),
        )

    def keys_at(self, number: int, channel: str) -> set[str]:
        """The keys of a channel's slot that a node has; a hundred of them."""
        slot = key_slot(channel.encode())
        return set(self._clients[number].execute_command("CLUSTER GETKEYSINSLOT", slot, 100))

    def refusals(self, kind: str) -> int:
        """How often the nodes have answered with this kind of error."""
        stats = (client.info("errorstats") for client in self._clients)
        return sum(of_one.get(f"errorstat_{kind}", {"count": 0})["count"] for of_one in stats)

    @contextmanager
    def unserved(self, channel: str) -> Generator[None]:
        """Nobody has the channel's slot meanwhile, which takes the whole Cluster down."""
        slot, owner = key_slot(channel.encode()), self._clients[self.owner_of(channel)]
        for client in self._clients[:PRIMARIES]:
            client.execute_command("CLUSTER DELSLOTS", slot)
        until(lambda: all(not self._is_well(one) for one in self._clients[:PRIMARIES]))
        yield
        owner.execute_command("CLUSTER ADDSLOTS", slot)
        until(lambda: all(self._is_well(one) for one in self._clients))

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextmanager
def cluster_of_one(*options: str) -> Generator[RunningServer]:
    """The least that is a Cluster."""
    with server_folder() as folder, RunningServer(ClusterNode(folder, *options)) as node:
        with client_of(node) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
            until(lambda: client.cluster("INFO")["cluster_state"] == "ok")
        yield node


@contextmanager
def valkey_cluster() -> Generator[ValkeyCluster]:
    """A Cluster of a test's own, ready to fail over."""
    with server_folder() as folder, ExitStack() as stack:
        servers = [ClusterNode(folder / str(at)) for at in range(PRIMARIES + 1)]
        running = [stack.enter_context(RunningServer(one)) for one in servers]
        cluster = ValkeyCluster(running, [one.bus for one in servers])
        stack.callback(cluster.close)
        cluster.form()
        yield cluster
