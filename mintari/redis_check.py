"""What `mintari doctor` says of Redis: what answers, and whether REDIS_URL says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from core.redis import REDIS_DOWN, open_redis
from core.redis_url import Layout, parse_redis_url

if TYPE_CHECKING:
    from core.settings import Settings

_ASK = {
    Layout.NODE: "Is Redis or Valkey up, and is the password in REDIS_URL right?",
    Layout.SENTINEL: "Are these sentinels (port 26379, not 6379), is `service` the name after"
    " `sentinel monitor`, and can the primary be reached from here at the address they tell?",
    Layout.CLUSTER: "Are these nodes of a Cluster (else: redis://), and can all of its nodes be"
    " reached from here at the addresses that CLUSTER SLOTS tells?",
}
_OTHER_MODES = {
    "sentinel": "a sentinel answers there: redis+sentinel://host:26379/0?service=mymaster",
    "cluster": "a node of a Cluster answers there: redis+cluster://host1:6379,host2:6379",
}
_SLOTS = 16384


class RedisProblem(Exception):
    """What is wrong with Redis, and what to do."""


async def check_redis(settings: Settings) -> str:
    """What answers. Raises RedisProblem."""
    layout = parse_redis_url(settings.redis_url).layout
    try:
        async with open_redis(settings) as redis:
            if layout is Layout.CLUSTER:
                return f"{await _check_cluster(redis, settings.redis_prefix)} in a Cluster"
            return await _check(redis)
    # The latter two: options of the URL that redis-py does not take.
    except (*REDIS_DOWN, TypeError, ValueError) as error:
        raise RedisProblem(f"{type(error).__name__}: {error}. {_ASK[layout]}") from error


async def _check(redis: Any) -> str:
    server: dict[str, Any] = await redis.info("server")
    mode = server.get("server_mode") or server.get("redis_mode", "")  # Valkey's word, Redis' word
    if advice := _OTHER_MODES.get(mode):
        raise RedisProblem(f"{advice}. Correct REDIS_URL")
    if (await redis.info("replication"))["role"] != "master":
        raise RedisProblem("a replica answers there, which takes no writes: name the primary")
    return _version(server)


async def _check_cluster(redis: Any, prefix: str) -> str:
    info: dict[str, str] = await redis.execute_command("CLUSTER INFO")
    if info["cluster_state"] != "ok":
        raise RedisProblem(
            f"the Cluster is down: {info['cluster_slots_ok']} of {_SLOTS} slots are served."
            " Bring its primaries back, or let replicas take over"
        )
    server: dict[str, Any] = await redis.info("server")
    # As publishing does, to nobody: this also fails where a user's ACL forbids it.
    try:
        await redis.publish(f"{prefix}:doctor", b"")
    except ResponseError as error:
        raise RedisProblem(
            f"no sharded pub/sub in {_version(server)} ({error}): a Cluster needs Redis 7 or"
            " Valkey, and SPUBLISH and SSUBSCRIBE allowed"
        ) from error
    return _version(server)


def _version(server: dict[str, Any]) -> str:
    name = "Valkey" if "valkey_version" in server else "Redis"
    return f"{name} {server.get('valkey_version') or server['redis_version']}"
