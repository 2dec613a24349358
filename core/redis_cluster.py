"""A Cluster: which node has which keys, and a client that sends each command to the right one.

redis-py 5.3 has a client for Clusters, which does not fit: its pipelines take no transaction, no
script and no TIME; a pipeline that is cancelled loses its connection for good; one connection that
is lost closes those to all nodes; and it waits and tries again, while callers have a deadline of
2 s and a way to live without Redis. So commands go through redis-py's client of one node, one for
each node, and only the choice of the node is ours.

A command that is answered MOVED is sent again, to where it moved. While a slot is being moved key
by key, its old node has the channels all along, and says of keys that it does not have where they
would be (ASK): such a command goes there, and only it. One whose keys are at both for the moment
(TRYAGAIN) is sent again a little later.
Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, DataError, MovedError, TryAgainError
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
TRY_AGAIN_S = 0.05
"""A slot's keys that are at two nodes are expected to be together after this: a slot has few."""
_NOT_EXECUTED = (AskError, TryAgainError)
"""After these a command is sent again. A MovedError is an AskError."""
_ASKING: Command = (("ASKING",), {})
_KEYLESS = frozenset({"PING", "TIME", "INFO", "SCRIPT", "CLUSTER"})


class Slots:
    """Which node has which slot: asked when first needed, and again once that proved wrong."""

    def __init__(self, url: RedisUrl, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self.nodes: frozenset[Node] = frozenset()
        """Those that have slots, or are getting one."""
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

    def moved(self, slot: int, node: Node) -> None:
        """A node said where a slot is; others may have moved as well."""
        self._owners[slot] = node
        self.doubt()

    def goes(self, node: Node) -> None:
        """A slot is on its way to a node, which may be the first one that it gets."""
        self.nodes |= {node}

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


class _Door(NamedTuple):
    """Where commands go. `asking`: ahead of their slot, which takes a word with each of them."""

    node: Node
    asking: bool = False


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
        ahead: dict[int, Node] = {}
        for _ in range(ROUNDS):
            if any(isinstance(answers[at], TryAgainError) for at in rest):
                await asyncio.sleep(TRY_AGAIN_S)
            groups = await self._by_node(commands, rest, ahead)
            if transaction and len(groups) > 1:
                raise DataError("a transaction has keys of several nodes")
            sent = (
                self._send_to(to, [commands[at] for at in places], scripts, transaction)
                for to, places in groups.items()
            )
            for places, found in zip(groups.values(), await _all(sent), strict=True):
                for at, answer in zip(places, found, strict=True):
                    answers[at] = answer
            rest = [at for at in rest if isinstance(answers[at], _NOT_EXECUTED)]
            if not rest:
                break
            _note_ahead(ahead, {at: answers[at] for at in rest})
        return answers

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to all nodes."""
        del close_connection_pool
        for client in self._nodes.values():
            await client.connection_pool.disconnect()

    async def _by_node(
        self, commands: Sequence[Command], places: Iterable[int], ahead: Mapping[int, Node]
    ) -> dict[_Door, list[int]]:
        groups: dict[_Door, list[int]] = {}
        slot = 0
        for at in places:
            key = _key_of(commands[at][0])
            # What names no key goes with what stands before it.
            slot = slot if key is None else key_slot(key)
            door = _Door(ahead[at], True) if at in ahead else _Door(await self._slots.owner(slot))
            groups.setdefault(door, []).append(at)
        return groups

    async def _send_to_all(self, command: Command) -> list[Any]:
        await self._slots.owner(0)
        sent = (self._send_to(_Door(node), [command], (), False) for node in self._slots.nodes)
        return (await _all(sent))[0]

    async def _send_to(
        self, to: _Door, commands: list[Command], scripts: Iterable[Any], transaction: bool
    ) -> list[Any]:
        client = await self._client(to.node)
        kind = _AskingPipeline if to.asking else Pipeline
        try:
            async with kind(
                client.connection_pool, client.response_callbacks, transaction, None
            ) as pipe:
                pipe.command_stack, pipe.scripts = list(commands), set(scripts)
                answers: list[Any] = await pipe.execute(raise_on_error=False)
        except _NOT_EXECUTED as error:  # a transaction, as a whole
            answers = [error] * len(commands)
        except REDIS_DOWN:
            self._slots.doubt()
            raise
        for answer in answers:
            self._take_in(answer, to.node)
        return answers

    def _take_in(self, answer: Any, asked: Node) -> None:
        """Take in what an answer says about slots."""
        if isinstance(answer, AskError):
            # A node that does not know another's name means the one that was asked.
            answer.host = cast("str", cast("Any", answer).host) or asked.host
        if isinstance(answer, MovedError):
            self._slots.moved(answer.slot_id, _named(answer))
        elif isinstance(answer, AskError):
            self._slots.goes(_named(answer))
        elif isinstance(answer, ClusterDownError):
            self._slots.doubt()

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


class _AskingPipeline(Pipeline):
    """Says before each command that its slot is known to be elsewhere; else it is sent back."""

    async def _execute_pipeline(
        self, connection: Any, commands: Any, raise_on_error: bool
    ) -> list[Any]:
        asking = [one for command in commands for one in (_ASKING, command)]
        execute = cast("Any", super())._execute_pipeline
        return (await execute(connection, asking, raise_on_error))[1::2]

    async def _execute_transaction(
        self, connection: Any, commands: Any, raise_on_error: bool
    ) -> list[Any]:
        # Once: it counts until EXEC.
        await connection.send_command(*_ASKING[0])
        await connection.read_response()
        return await cast("Any", super())._execute_transaction(connection, commands, raise_on_error)


def _note_ahead(ahead: dict[int, Node], errors: Mapping[int, Exception]) -> None:
    """Note where commands go instead of to the node that has their slot."""
    for at, error in errors.items():
        if isinstance(error, MovedError):
            ahead.pop(at, None)
        elif isinstance(error, AskError):
            ahead[at] = _named(error)


def _named(error: AskError) -> Node:
    return Node(cast("Any", error).host, error.port)


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
