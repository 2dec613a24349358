"""A Cluster: which node has which keys, and a client that sends each command to the right one.

redis-py 5.3 has a client for Clusters, which does not fit: its pipelines take no transaction, no
script and no TIME; a pipeline that is cancelled loses its connection for good; one connection that
is lost closes those to all nodes; and it waits and tries again, while callers have a deadline of
2 s and a way to live without Redis. So commands go through redis-py's client of one node, one for
each node, and only the choice of the node is ours.

A command that is answered MOVED is sent again, to where it moved. ASK is not followed: while
a slot is being moved key by key, what has gone ahead counts as away.
Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ClusterDownError, DataError, MovedError
from redis.exceptions import ConnectionError as RedisConnectionError

from core.redis_pools import REDIS_DOWN
from core.redis_url import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis.asyncio.connection import ConnectionPool

    from core.redis_url import RedisUrl

    Command = tuple[tuple[Any, ...], Mapping[str, Any]]
    """As redis-py keeps it: the words, and options for parsing the answer."""

LOOK_AGAIN_S = 0.25
"""While a node is away, the others are asked this often who has taken over."""
ROUNDS = 4
"""How often a command is sent at most: nodes hear of a move one after another, and one that has not
heard yet sends clients back."""
_KEYLESS = frozenset({"PING", "TIME", "INFO", "SCRIPT", "CLUSTER"})


class Slots:
    """Which node has which slot: asked when first needed, and again once that proved wrong."""

    def __init__(self, url: RedisUrl, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self.nodes: frozenset[Node] = frozenset()
        """Those that have slots."""
        self._replicas: frozenset[Node] = frozenset()
        self._silent: set[Node] = set()
        """Those that did not answer when they were last asked: the others come first."""
        self._doubted = True
        self._looked_at_s = 0.0
        self._lock = asyncio.Lock()

    async def owner(self, slot: int) -> Node:
        """The node that has a slot. Raises what REDIS_DOWN names when nobody says so."""
        if self._doubted and time.monotonic() - self._looked_at_s >= LOOK_AGAIN_S:
            await self.look()
        node = self._owners[slot]
        if node is None:
            raise RedisConnectionError(f"no node of the Cluster is known to have slot {slot}")
        return node

    async def find(self, key: str) -> Node:
        """The node that has a key, asked now."""
        await self.look()
        return await self.owner(key_slot(key.encode()))

    def moved(self, slot: int, node: Node) -> None:
        """A node said where a slot is; others may have moved as well."""
        self._owners[slot] = node
        self.doubt()

    def doubt(self) -> None:
        """Something was not as it is known here."""
        self._doubted = True

    async def look(self) -> None:
        """Ask until one node answers; those who call together ask once."""
        began_s = time.monotonic()
        async with self._lock:
            if self._looked_at_s > began_s:
                return
            try:
                await self._ask_some()
            finally:
                self._looked_at_s = time.monotonic()

    async def _ask_some(self) -> None:
        known = {*self.nodes, *self._replicas, *self._url.nodes}
        problems: list[str] = []
        # At random: one that is cut off from the others must not be asked for ever.
        for node in sorted(known, key=lambda node: (node in self._silent, random.random())):  # noqa: S311
            try:
                self._learn(await self._ask(node), node)
            except REDIS_DOWN as error:
                self._silent.add(node)
                problems.append(f"{node}: {error}")
            else:
                self._silent.discard(node)
                return
        raise RedisConnectionError(f"no node says who has which keys ({'; '.join(problems)})")

    async def _ask(self, node: Node) -> list[Any]:
        client: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # **kwargs
            self._url.of(node),
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
        )
        async with client:
            found = await client.execute_command("CLUSTER SLOTS")
        if not found:
            raise RedisConnectionError("is in no Cluster that has slots")
        return found

    def _learn(self, found: list[Any], asked: Node) -> None:
        owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        replicas: set[Node] = set()
        for first, last, *servers in found:
            # A node that does not know its own name means the one that was asked for.
            nodes = [Node((one[0] or b"").decode() or asked.host, one[1]) for one in servers]
            owners[first : last + 1] = [nodes[0]] * (last + 1 - first)
            replicas.update(nodes[1:])
        self._owners, self._replicas = owners, frozenset(replicas)
        self.nodes = frozenset(node for node in owners if node)
        self._doubted = False


class Cluster(Redis):
    """A client of a Cluster with the methods of one node's, as far as they are used here.

    What names no key goes to all nodes, and the first answer counts. Messages are published to
    the node that has the channel's slot (sharded pub/sub, Redis 7), not to all.
    """

    def __init__(self, slots: Slots, pool_of: Callable[[Node], ConnectionPool], seed: Node) -> None:
        self._slots = slots
        self._pool_of = pool_of
        self._nodes: dict[Node, Any] = {}
        # For what redis-py asks of a pool that is no connection: how to encode.
        super().__init__(connection_pool=pool_of(seed))  # pyright: ignore[reportUnknownMemberType]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _ClusterPipeline:
        """A pipeline, split by nodes; what is to be a transaction must be in one slot."""
        del shard_hint
        return _ClusterPipeline(self, transaction=transaction)

    def publish(self, channel: Any, message: Any, **options: Any) -> Any:
        """Tell who listens to the channel at its node."""
        return self.execute_command("SPUBLISH", channel, message, **options)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command. Raises what it was answered, and what REDIS_DOWN names."""
        command = (args, options)
        if _key_of(args) is None:
            (answer,) = await self._send_to_all(command)
        else:
            (answer,) = await self.send([command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(
        self, commands: Sequence[Command], scripts: Iterable[Any] = (), *, transaction: bool = False
    ) -> list[Any]:
        """Send commands to their nodes at once; the answers in their order, errors among them.

        Raises what REDIS_DOWN names when a node is away; others have taken their part then.
        """
        answers: list[Any] = [None] * len(commands)
        rest = list(range(len(commands)))
        for _ in range(ROUNDS):
            groups = await self._by_node(commands, rest)
            if transaction and len(groups) > 1:
                raise DataError("a transaction has keys of several nodes")
            sent = (
                self._send_to(node, [commands[at] for at in places], scripts, transaction)
                for node, places in groups.items()
            )
            for places, found in zip(groups.values(), await _all(sent), strict=True):
                for at, answer in zip(places, found, strict=True):
                    answers[at] = answer
            rest = [at for at in rest if isinstance(answers[at], MovedError)]
            if not rest:
                break
        return answers

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to all nodes."""
        del close_connection_pool
        for client in self._nodes.values():
            await client.connection_pool.disconnect()

    async def _by_node(
        self, commands: Sequence[Command], places: Iterable[int]
    ) -> dict[Node, list[int]]:
        groups: dict[Node, list[int]] = {}
        slot = 0
        for at in places:
            key = _key_of(commands[at][0])
            # What names no key goes with what stands before it.
            slot = slot if key is None else key_slot(key)
            groups.setdefault(await self._slots.owner(slot), []).append(at)
        return groups

    async def _send_to_all(self, command: Command) -> list[Any]:
        await self._slots.owner(0)
        sent = (self._send_to(node, [command], (), False) for node in self._slots.nodes)
        return (await _all(sent))[0]

    async def _send_to(
        self, node: Node, commands: list[Command], scripts: Iterable[Any], transaction: bool
    ) -> list[Any]:
        client = await self._client(node)
        try:
            async with client.pipeline(transaction=transaction) as pipe:
                pipe.command_stack, pipe.scripts = list(commands), set(scripts)
                answers: list[Any] = await pipe.execute(raise_on_error=False)
        except MovedError as error:  # a transaction, as a whole
            answers = [error] * len(commands)
        except REDIS_DOWN:
            self._slots.doubt()
            raise
        for answer in answers:
            if isinstance(answer, MovedError):
                self._slots.moved(answer.slot_id, moved_to(answer, node))
            elif isinstance(answer, ClusterDownError):
                self._slots.doubt()
        return answers

    async def _client(self, node: Node) -> Any:
        if found := self._nodes.get(node):
            return found
        client = self._nodes[node] = Redis(connection_pool=self._pool_of(node))
        for gone in self._nodes.keys() - self._slots.nodes - {node}:
            await self._nodes.pop(gone).connection_pool.disconnect()
        return client


class _ClusterPipeline(Pipeline):
    def __init__(self, cluster: Cluster, *, transaction: bool) -> None:
        pool = cast("ConnectionPool", cluster.connection_pool)
        super().__init__(pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster

    def publish(self, channel: Any, message: Any, **options: Any) -> Any:
        """As `Cluster.publish`."""
        return cast("Any", self).execute_command("SPUBLISH", channel, message, **options)

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send all; the answers in their order."""
        commands = self.command_stack
        try:
            answers = await self._cluster.send(
                commands, self.scripts, transaction=self.is_transaction
            )
        finally:
            await self.reset()
        if raise_on_error:
            self.raise_first_error(commands, answers)
        return answers


def moved_to(error: MovedError, asked: Node) -> Node:
    """Where a slot has moved; a node that does not know its own name names none."""
    host = cast("str", cast("Any", error).host)
    return Node(host or asked.host, error.port)


async def _all(sent: Iterable[Any]) -> list[Any]:
    """What all of them return; raises the first error when all have ended."""
    coroutines = list(sent)
    if len(coroutines) == 1:
        return [await coroutines[0]]
    found = await asyncio.gather(*coroutines, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def _key_of(words: Sequence[Any]) -> bytes | None:
    """A command's first key; None for one that names none."""
    name = str(words[0]).partition(" ")[0]
    if name in _KEYLESS:
        return None
    key = words[3] if name in ("EVAL", "EVALSHA") else words[1]
    return key if isinstance(key, bytes) else str(key).encode()
