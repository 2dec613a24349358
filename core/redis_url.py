"""What REDIS_URL says: one node, a primary that sentinels know, or a Cluster.

    redis://[user:password@]host[:6379][/0]               one node; rediss:// with TLS
    unix:///path[?db=0]                                    one node on this machine
    redis+sentinel://[user:password@]host[:26379],.../0?service=mymaster
    redis+cluster://[user:password@]host[:6379],...        some nodes of a Cluster, not all

A scheme says what answers there: with an option like `?cluster=true` a URL that lost it would
still be one, of a node that has a part of the keys. Others (limits, kombu) write it so as well.

Sentinels have accounts of their own: `&sentinel_username=...&sentinel_password=...`. Further
options are redis-py's (`ssl_ca_certs`, `health_check_interval`, ...).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

DEFAULT_SERVICE = "mymaster"
_OURS = ("service", "sentinel_username", "sentinel_password")


class Layout(Enum):
    """How Redis is run."""

    NODE = ""
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_PORTS = {Layout.SENTINEL: 26379, Layout.CLUSTER: 6379}


class Node(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """REDIS_URL in parts; `nodes` are the sentinels or the Cluster's, and empty for one node."""

    layout: Layout
    nodes: tuple[Node, ...]
    service: str
    _url: str = field(repr=False)
    _sentinel_account: str = field(repr=False)

    def of(self, node: Node | None = None) -> str:
        """The URL for redis-py of one server; without `node`, of the only one."""
        if node is None:
            return self._url
        parts = urlsplit(self._url)
        account, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{account}{at}{node}").geturl()

    def of_sentinel(self, node: Node) -> str:
        """The same of a sentinel, which has no databases, and accounts of its own."""
        parts = urlsplit(self._url)
        return parts._replace(netloc=f"{self._sentinel_account}{node}", path="").geturl()

    def __str__(self) -> str:
        return ", ".join(str(node) for node in self.nodes)


def parse_redis_url(url: str) -> RedisUrl:
    """Take REDIS_URL apart. Raises ValueError, which does not quote the URL."""
    scheme, _, layout_name = urlsplit(url).scheme.partition("+")
    layouts = {one.value: one for one in Layout}
    if scheme not in ("redis", "rediss", "unix") or layout_name not in layouts:
        raise ValueError(
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    layout = layouts[layout_name]
    if layout is Layout.NODE:
        return RedisUrl(layout, (), "", url, "")
    return _of_many(layout, scheme, urlsplit(url))


def _of_many(layout: Layout, scheme: str, parts: SplitResult) -> RedisUrl:
    account, at, places = parts.netloc.rpartition("@")
    nodes = tuple(_node(place, _PORTS[layout]) for place in places.split(",") if place)
    if not nodes or scheme == "unix":
        raise ValueError(f"must name hosts: redis+{layout.value}://host1,host2")
    query = dict(parse_qsl(parts.query))
    if layout is Layout.CLUSTER and (parts.path.strip("/0") or query.get("db", "0") != "0"):
        raise ValueError("names a database, and a Cluster has only 0")
    ours = {name: query.pop(name, "") for name in _OURS}
    plain = SplitResult(scheme, f"{account}{at}{nodes[0]}", parts.path, urlencode(query), "")
    return RedisUrl(
        layout,
        nodes,
        ours["service"] or DEFAULT_SERVICE,
        plain.geturl(),
        _account(ours["sentinel_username"], ours["sentinel_password"]),
    )


def _node(place: str, port: int) -> Node:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("has a host without a name")
    return Node(parts.hostname, parts.port or port)


def _account(username: str, password: str) -> str:
    if not (username or password):
        return ""
    return f"{quote(username, safe='')}:{quote(password, safe='')}@"
