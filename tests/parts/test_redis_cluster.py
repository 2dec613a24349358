"""The client of a Cluster and its pub/sub, by themselves; whole grids: test_redis_layouts.py."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from arq.constants import job_key_prefix
from redis.crc import key_slot
from redis.exceptions import DataError, TryAgainError

from core import redis_cluster
from core.ids import new_id
from core.redis import REDIS_DOWN, open_redis, publishing_script
from core.redis_cluster import ROUNDS
from core.shards import subscriber
from jobs.channels import Channels
from jobs.doorbell import Doorbell, Ring, answer_doorbell
from mintari.embedded import RunningServer
from tests.redis_servers import (
    OF_FIRST,
    PRIMARIES,
    ValkeyOnPort,
    cluster_of_one,
    doctors_line,
    valkey_cluster,
)
from tests.servers import server_folder
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from core.settings import Settings
    from tests.redis_servers import ValkeyCluster

KEYS = [f"key-{number}" for number in range(24)]
"""On all nodes: with so few nodes that is sure."""
STORE = """
redis.call('SET', KEYS[1], ARGV[1])
return redis.call('{publish}', KEYS[1], ARGV[1])
"""


@pytest.mark.parametrize(("prefix", "slots_of_all"), [("mintari", 5), ("{mintari}", 1)])
def test_what_is_written_together_is_in_one_slot(prefix: str, slots_of_all: int) -> None:
    channels = Channels(prefix)
    ring = channels.ring(UUID(int=1), 0)
    together = (
        (channels.queue, channels.wake, channels.control, f"arq:job:{ring}", f"arq:retry:{ring}"),
        (channels.breaker("gemini"), channels.breaker("openai")),
        (channels.documents, f"{channels.documents}:a-hash"),
        (channels.job(UUID(int=1)),),
        (channels.job(UUID(int=2)),),
    )
    slots = [{key_slot(key.encode()) for key in keys} for keys in together]
    assert [len(of_some) for of_some in slots] == [1] * len(together)
    assert len(set[int]().union(*slots)) == slots_of_all


@pytest.fixture(scope="module")
def cluster() -> Generator[ValkeyCluster]:
    with valkey_cluster() as servers:
        yield servers


@pytest.fixture
async def settings(cluster: ValkeyCluster, make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(redis_url=cluster.url, redis_timeout_s=1)


@pytest.fixture
async def client(settings: Settings) -> AsyncGenerator[Any, None]:
    async with open_redis(settings) as redis:
        yield redis


async def test_a_pipeline_goes_to_all_nodes_and_answers_in_order(
    cluster: ValkeyCluster, client: Any
) -> None:
    assert {cluster.owner_of(key) for key in KEYS} == set(range(PRIMARIES))
    script = client.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
    async with client.pipeline(transaction=False) as pipe:
        for number, key in enumerate(KEYS):
            await script(keys=[key], args=[number], client=pipe)
            pipe.get(key)
        assert await pipe.execute() == [
            answer for number in range(len(KEYS)) for answer in (b"OK", str(number).encode())
        ]
    assert await client.get(KEYS[5]) == b"5"
    assert await client.ping()


async def test_a_script_alone_is_loaded_where_it_is_missing(client: Any) -> None:
    for key in KEYS:
        script = client.register_script("return KEYS[1]")
        assert await script(keys=[key]) == key.encode()


async def test_a_transaction_is_of_one_slot(client: Any) -> None:
    async with client.pipeline(transaction=True) as pipe:
        pipe.set("{a}1", 1)
        pipe.incr("{a}1")
        assert await pipe.execute() == [True, 2]
    async with client.pipeline(transaction=True) as pipe:
        for key in KEYS:
            pipe.set(key, 1)
        with pytest.raises(DataError, match="several nodes"):
            await pipe.execute()


@pytest.mark.parametrize("transaction", [False, True])
async def test_what_has_moved_is_found(
    cluster: ValkeyCluster, client: Any, transaction: bool
) -> None:
    key = f"{{moves-{transaction}}}"
    await client.set(key, 0)
    await asyncio.to_thread(cluster.move_slot, key, to=(cluster.owner_of(key) + 1) % PRIMARIES)
    async with client.pipeline(transaction=transaction) as pipe:
        pipe.incr(key)
        pipe.incr(f"{key}:other")
        # Once each, though it was sent twice.
        assert await pipe.execute() == [1, 1]


@pytest.mark.parametrize("transaction", [False, True])
async def test_what_is_on_its_way_is_found(
    cluster: ValkeyCluster, client: Any, transaction: bool
) -> None:
    slot = f"{{on-its-way-{transaction}}}"
    stays, ahead, new = (f"{slot}:{which}" for which in ("stays", "ahead", "new"))
    for key in (stays, ahead):
        await client.set(key, 10)
    source = cluster.owner_of(slot)
    target = (source + 1) % PRIMARIES
    with cluster.slot_on_its_way(slot, ahead, to=target):
        for key, was in ((stays, 10), (ahead, 10), (new, 0)):
            assert await client.incr(key) == was + 1
            async with client.pipeline(transaction=transaction) as pipe:
                pipe.incr(key)
                pipe.get(key)
                assert await pipe.execute() == [was + 2, str(was + 2).encode()]
        assert cluster.keys_at(source, slot) == {stays}
        assert cluster.keys_at(target, slot) == {ahead, new}
    assert [await client.incr(key) for key in (stays, ahead, new)] == [13, 13, 3]
    assert cluster.keys_at(target, slot) == {stays, ahead, new}


async def test_a_pipeline_is_split_by_where_keys_are_by_now(
    cluster: ValkeyCluster, client: Any
) -> None:
    slot = "{split by now}"
    stays, ahead = f"{slot}:stays", f"{slot}:ahead"
    script = client.register_script("return redis.call('INCR', KEYS[1]) .. ARGV[1]")
    alone = client.register_script("return redis.call('INCRBY', KEYS[1], 10)")
    await client.set(stays, 0)
    to = (cluster.owner_of(slot) + 1) % PRIMARIES
    with cluster.slot_on_its_way(slot, to=to):
        async with client.pipeline(transaction=False) as pipe:
            for key in (ahead, stays, *KEYS, ahead):
                pipe.set(key, 1)
                await script(keys=[key], args=["!"], client=pipe)
            assert await pipe.execute() == [True, b"2!"] * (len(KEYS) + 3)
        for key in (stays, ahead):
            assert await alone(keys=[key]) == 12
    assert [await client.get(key) for key in (stays, ahead)] == [b"12", b"12"]


async def test_keys_that_are_at_two_nodes_are_awaited(
    cluster: ValkeyCluster, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = "{two at once}"
    keys = [f"{slot}:stays", f"{slot}:ahead"]
    for key in keys:
        await client.set(key, 1)
    script = client.register_script("return redis.call('MGET', KEYS[1], KEYS[2])")
    to, before = (cluster.owner_of(slot) + 1) % PRIMARIES, cluster.refusals("TRYAGAIN")
    with cluster.slot_on_its_way(slot, keys[1], to=to):
        with pytest.raises(TryAgainError):
            await script(keys=keys)
        assert cluster.refusals("TRYAGAIN") == before + ROUNDS
        # From now on with more patience than this machine needs.
        monkeypatch.setattr(redis_cluster, "TRY_AGAIN_S", 5)
        waiting = asyncio.create_task(script(keys=keys))
        await wait_until(lambda: refused_more_than(cluster, before + ROUNDS))
    assert await waiting == [b"1", b"1"]
    assert cluster.refusals("TRYAGAIN") == before + ROUNDS + 1


async def refused_more_than(cluster: ValkeyCluster, times: int) -> bool:
    return cluster.refusals("TRYAGAIN") > times


async def test_rings_that_have_gone_ahead_are_heard(
    cluster: ValkeyCluster, settings: Settings, client: Any
) -> None:
    channels, rung = (
        Channels(settings.redis_prefix),
        [Ring(new_id(), number) for number in range(3)],
    )
    keys = [job_key_prefix + channels.ring(ring.job_id, ring.attempt) for ring in rung]
    heard: list[Ring] = []
    await Doorbell(client, channels).ring(rung)
    to = (cluster.owner_of(channels.queue) + 1) % PRIMARIES
    with cluster.slot_on_its_way(channels.queue, channels.queue, *keys, to=to):
        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(
                answer_doorbell(
                    settings,
                    channels,
                    start=lambda job_id, attempt: heard.append(Ring(job_id, attempt)),
                    free_slots=lambda: 9,
                    wake=asyncio.Event(),
                )
            )

            async def all_are_heard() -> bool:
                return len(heard) >= len(rung)

            await wait_until(all_are_heard)
            answering.cancel()
    assert sorted(heard, key=lambda ring: ring.attempt) == rung


async def test_a_new_node_is_sent_scripts_ahead_of_its_first_slot(
    make_settings: Callable[..., Settings],
) -> None:
    with valkey_cluster() as servers:
        settings = make_settings(redis_url=servers.url, redis_timeout_s=1)
        async with open_redis(settings) as opened:
            client: Any = opened
            to = await asyncio.to_thread(servers.add_primary)
            script = client.register_script("return redis.call('INCR', KEYS[1])")
            with servers.slot_on_its_way(OF_FIRST, to=to):
                assert await script(keys=[OF_FIRST]) == 1
            assert await script(keys=[OF_FIRST]) == 2
            assert servers.keys_at(to, OF_FIRST) == {OF_FIRST}


@asynccontextmanager
async def listening(settings: Settings) -> AsyncGenerator[tuple[Any, list[bytes]], None]:
    """A subscriber that runs, and the channels that it heard; b"" stands for a (re)connect."""
    told: list[bytes] = []
    ears = subscriber(settings, lambda channel, _: told.append(channel), lambda: told.append(b""))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ears.run())
        yield ears, told
        running.cancel()


async def connected(ears: Any) -> None:
    async def is_connected() -> bool:
        return ears.connected

    await wait_until(is_connected, what="the subscriptions")


async def heard(told: list[bytes], *channels: str) -> None:
    async def all_were() -> bool:
        return {channel.encode() for channel in channels} <= set(told)

    await wait_until(all_were, what="the messages")


async def test_messages_come_from_all_nodes(settings: Settings, client: Any) -> None:
    async with listening(settings) as (ears, told):
        await ears.subscribe(KEYS)
        await connected(ears)
        for key in KEYS:
            assert await client.publish(key, b"hello") == 1
        await heard(told, *KEYS)
        ears.unsubscribe(KEYS[:12])
        await nobody_listens(client, KEYS[:12])
        told.clear()
        for key in KEYS:
            await client.publish(key, b"again")
        await heard(told, *KEYS[12:])
        assert set(told) == {key.encode() for key in KEYS[12:]}


async def nobody_listens(client: Any, channels: list[str]) -> None:
    async def nobody_does() -> bool:
        return sum([await client.publish(channel, b"") for channel in channels]) == 0

    await wait_until(nobody_does, what="the end of the subscriptions")


async def test_a_channel_on_its_way_is_where_it_was(
    cluster: ValkeyCluster, settings: Settings, client: Any
) -> None:
    slot = "{a channel on its way}"
    first, second = f"{slot}:first", f"{slot}:second"
    store = publishing_script(client, STORE)
    async with listening(settings) as (ears, told):
        await ears.subscribe([first])
        await connected(ears)
        with cluster.slot_on_its_way(slot, to=(cluster.owner_of(slot) + 1) % PRIMARIES):
            await ears.subscribe([second])
            assert ears.connected
            for channel in (first, second):
                assert await client.publish(channel, b"") == 1
            await heard(told, first, second)
            told.clear()
            # A script goes to where its key is to be, and nobody listens there yet;
            assert await store(keys=[first], args=[b"news"]) == 0
        # when the slot has followed, all who listened are told to read again.
        await heard(told, "")
        await connected(ears)
        assert await client.get(first) == b"news"
        assert await store(keys=[first], args=[b"more"]) == 1
        await heard(told, first)


async def test_a_moved_channel_is_listened_to_where_it_went(
    cluster: ValkeyCluster, settings: Settings, client: Any
) -> None:
    channel = "a channel that moves"
    async with listening(settings) as (ears, told):
        await ears.subscribe([channel, *KEYS])
        await connected(ears)
        told.clear()
        to = (cluster.owner_of(channel) + 1) % PRIMARIES
        await asyncio.to_thread(cluster.move_slot, channel, to=to)
        # Messages may have been missed, and the owner is told so.
        await heard(told, "")
        await connected(ears)
        assert await client.publish(channel, b"") == 1
        await heard(told, channel)


@pytest.mark.parametrize("others", [[], KEYS])
async def test_a_channel_that_moved_unnoticed_is_found(
    cluster: ValkeyCluster, settings: Settings, client: Any, others: list[str]
) -> None:
    channel = f"a channel that moved, beside {len(others)}"
    async with listening(settings) as (ears, told):
        await ears.subscribe(others)
        await connected(ears)
        to = (cluster.owner_of(channel) + 1) % PRIMARIES
        await asyncio.to_thread(cluster.move_slot, channel, to=to)
        await ears.subscribe([channel])
        await connected(ears)
        assert await client.publish(channel, b"") == 1
        await heard(told, channel)


async def test_a_slot_that_nobody_had_for_a_while_is_found(
    cluster: ValkeyCluster, settings: Settings, client: Any
) -> None:
    channel = "a channel of nobody"
    async with listening(settings) as (ears, told):
        await ears.subscribe(KEYS)
        await connected(ears)
        with cluster.unserved(channel):
            await ears.subscribe([channel])
            assert not ears.connected
        await connected(ears)
        assert await client.publish(channel, b"") == 1
        await heard(told, channel)


async def test_a_node_that_dies_is_replaced(make_settings: Callable[..., Settings]) -> None:
    with valkey_cluster() as servers:
        settings = make_settings(redis_url=servers.url, redis_timeout_s=1)
        async with open_redis(settings) as opened, listening(settings) as (ears, told):
            client: Any = opened
            await ears.subscribe([OF_FIRST])
            await connected(ears)
            await client.set(OF_FIRST, 1)
            servers.primary.kill()
            with pytest.raises(REDIS_DOWN):
                await client.set(OF_FIRST, 2)
            told.clear()
            await asyncio.to_thread(servers.wait_failed_over)
            await heard(told, "")
            await connected(ears)
            assert await client.publish(OF_FIRST, b"") == 1
            await heard(told, OF_FIRST)


def test_the_doctor_knows_clusters(
    cluster: ValkeyCluster, make_settings: Callable[..., Settings]
) -> None:
    def said_of(url: str) -> str:
        return doctors_line(make_settings(redis_url=url))

    assert said_of(cluster.url).startswith("ok    redis       Valkey 9")
    assert "a node of a Cluster answers there" in said_of(cluster.nodes[0].url)
    with cluster.unserved("anything"):
        assert "the Cluster is down: 16383 of 16384 slots are served" in said_of(cluster.url)
    assert "127.0.0.1:1: Error 111 connecting" in said_of("redis+cluster://127.0.0.1:1")
    with server_folder() as folder, RunningServer(ValkeyOnPort(folder)) as alone:
        url = alone.url.replace("redis", "redis+cluster")
        assert "cluster support disabled" in said_of(url)


def test_the_doctor_misses_sharded_pubsub(make_settings: Callable[..., Settings]) -> None:
    with cluster_of_one("--rename-command", "SPUBLISH", "GONE") as node:
        url = node.url.replace("redis", "redis+cluster")
        line = doctors_line(make_settings(redis_url=url))
    assert line.startswith("FAIL")
    assert "no sharded pub/sub in Valkey 9" in line
