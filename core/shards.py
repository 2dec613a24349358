"""Pub/sub in a Cluster: one connection to each node that has channels which are listened to.

A channel belongs to the node that has its slot, as a key does (sharded pub/sub, Redis 7): messages
do not go to all nodes, so more nodes carry more messages. When a slot moves, its old node says so
(`sunsubscribe`); when a node dies, its connection is lost. Either way it is asked anew who has
which slot, channels are listened to there, and the owner is told that messages were missed.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import hiredis
from redis.crc import key_slot

from core.log import get_logger
from core.pubsub import MAX_PAUSE_S, MIN_PAUSE_S, Subscriber
from core.redis import REDIS_DOWN, node_pool
from core.redis_cluster import Slots
from core.redis_url import Layout, RedisUrl, parse_redis_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis.asyncio.connection import ConnectionPool

    from core.redis_url import Node
    from core.settings import Settings

    OnMessage = Callable[[bytes, bytes], None]
    Told = Callable[[], None]

_log = get_logger(__name__)


def subscriber(
    settings: Settings,
    on_message: OnMessage,
    on_connected: Told = lambda: None,
    on_batch: Told = lambda: None,
) -> Subscriber | ShardedSubscriber:
    """The subscriber for this Redis: with one connection, or in a Cluster with one a node."""
    kind = Subscriber
    if parse_redis_url(settings.redis_url).layout is Layout.CLUSTER:
        kind = ShardedSubscriber
    return kind(settings, on_message, on_connected, on_batch)


class _Shard(Subscriber):
    """The connection to one node of a Cluster. `on_trouble`: it was lost, or channels moved."""

    def __init__(
        self, settings: Settings, node: Node, *told: Any, on_trouble: Callable[[_Shard], None]
    ) -> None:
        super().__init__(settings, *told)
        self.node = node
        self._on_trouble = on_trouble

    def _pool(self) -> ConnectionPool:
        return node_pool(self._settings, parse_redis_url(self._settings.redis_url), self.node)

    async def _session(self) -> None:
        try:
            await super()._session()
        finally:
            self._on_trouble(self)

    def _send(self, command: str, channels: list[str]) -> None:
        by_slot: defaultdict[int, list[str]] = defaultdict(list)
        for channel in channels:
            by_slot[key_slot(channel.encode())].append(channel)
        # One command may name channels of one slot only.
        for of_slot in by_slot.values():
            super()._send(f"S{command}", of_slot)

    def _handle(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._refused(str(reply))
        elif reply[0] == b"smessage":
            self._on_message(reply[1], reply[2])
        elif reply[0] == b"ssubscribe":
            self._confirm(reply[1].decode())
        elif reply[0] == b"sunsubscribe":
            self._left(reply[1].decode())

    def _left(self, channel: str) -> None:
        if channel in self._wanted:  # not because we said so: its slot has moved
            self._wanted.discard(channel)
            self._confirmed.discard(channel)
            self._ask_again()

    def _refused(self, error: str) -> None:
        if not error.startswith(("MOVED", "CLUSTERDOWN")):
            _log.error("redis refused a pub/sub command", error=error)
        # It does not say which channels it was: all that are not confirmed are asked for again.
        self._wanted &= self._confirmed
        self._release_waiters()
        self._ask_again()

    def _ask_again(self) -> None:
        self._announce_when_complete()
        self._on_trouble(self)


class ShardedSubscriber:
    """As `Subscriber`, in a Cluster. A connection is opened with a node's first channel."""

    def __init__(
        self, settings: Settings, on_message: OnMessage, on_connected: Told, on_batch: Told
    ) -> None:
        self._settings = settings
        self._told = on_message, self._on_link, on_batch
        self._on_connected = on_connected
        url: RedisUrl = parse_redis_url(settings.redis_url)
        self._slots = Slots(url, timeout_s=settings.redis_timeout_s)
        self._homes: dict[str, _Shard | None] = {}
        self._links: dict[_Shard, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._settled = False
        self._disturbed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether messages of all channels arrive right now."""
        return self._settled and all(shard.connected for shard in self._links)

    async def subscribe(self, channels: Iterable[str]) -> None:
        """As `Subscriber.subscribe`: returns when it is confirmed, or cannot be now."""
        asked = list(channels)
        for channel in asked:
            self._homes.setdefault(channel, None)
        if self._settled:
            try:
                await self._place(asked)
            except REDIS_DOWN:
                self._disturb()

    def unsubscribe(self, channels: Iterable[str]) -> None:
        """Stop listening to channels."""
        for channel in channels:
            if shard := self._homes.pop(channel, None):
                shard.unsubscribe([channel])

    async def run(self) -> None:
        """Connect, read, and find channels again that have moved, until cancelled."""
        self._settled, self._homes = False, dict.fromkeys(self._homes)
        self._links.clear()
        pause_s = MIN_PAUSE_S
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                began_s = loop.time()
                await self._arrange()
                await self._disturbed.wait()
                if loop.time() - began_s > MAX_PAUSE_S:
                    pause_s = MIN_PAUSE_S
                # Jitter: all processes lost the node at the same moment.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311
                pause_s = min(pause_s * 2, MAX_PAUSE_S)

    async def _arrange(self) -> None:
        """Listen to every channel where its slot is."""
        self._disturbed.clear()
        try:
            await self._slots.look()
            await self._place(list(self._homes))
        except REDIS_DOWN as error:
            _log.warning("redis cluster not found", error=type(error).__name__)
            self._disturbed.set()
            return
        for shard in [shard for shard in self._links if shard.node not in self._slots.nodes]:
            self._links.pop(shard).cancel()
        self._settled = not self._disturbed.is_set()
        self._on_link()

    async def _place(self, channels: Iterable[str]) -> None:
        """Listen to channels; raises what REDIS_DOWN names when that of some cannot be."""
        groups: defaultdict[_Shard, list[str]] = defaultdict(list)
        problem: Exception | None = None
        for channel in channels:
            try:
                node = await self._slots.owner(key_slot(channel.encode()))
            except REDIS_DOWN as error:
                problem = error
                continue
            if channel in self._homes:
                groups[self._move_in(channel, node)].append(channel)
        await asyncio.gather(*(shard.subscribe(group) for shard, group in groups.items()))
        if problem:
            raise problem

    def _move_in(self, channel: str, node: Node) -> _Shard:
        old, shard = self._homes[channel], self._shard(node)
        self._homes[channel] = shard
        if old is not None and old is not shard:
            old.unsubscribe([channel])
        return shard

    def _shard(self, node: Node) -> _Shard:
        for shard in self._links:
            if shard.node == node:
                return shard
        assert self._tasks is not None
        shard = _Shard(self._settings, node, *self._told, on_trouble=self._on_trouble)
        self._links[shard] = self._tasks.create_task(shard.run())
        return shard

    def _on_link(self) -> None:
        if self.connected:
            self._on_connected()

    def _on_trouble(self, shard: _Shard) -> None:
        if shard in self._links:
            self._disturb()

    def _disturb(self) -> None:
        self._settled = False
        self._slots.doubt()
        self._disturbed.set()
