"""Connecting to addresses that came from outside, and never into our own network.

A URL from outside could point to a machine of ours, also by a name whose address changes between
two look-ups. So a name is looked up once, every address must be public, and the connection goes to
exactly the address that was checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Lookup = Callable[[str, int], Awaitable[Sequence[str]]]

HTTPS_PORT = 443
_PORTS = {"https": HTTPS_PORT, "http": 80}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotPublic(Exception):
    """A name has an address that is not public."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL's parts; `host` in lower case, `port` 0 where there is none."""

    url: SplitResult
    host: str
    port: int

    @property
    def is_this_machine(self) -> bool:
        """Whether it names this machine."""
        return self.host in ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: a checked address, and the name that its certificate must hold."""

    place: Place
    address: str

    @property
    def pinned_url(self) -> str:
        """The URL with the address instead of the name."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        netloc = f"{host}:{self.place.port}"
        return self.place.url._replace(netloc=netloc, fragment="").geturl()

    @property
    def headers(self) -> dict[str, str]:
        """The name for the server behind the address."""
        return {"host": self.place.url.netloc}

    @property
    def extensions(self) -> dict[str, str]:
        """The name for its certificate, as httpx takes it."""
        return {"sni_hostname": self.place.host}


def read_place(url: str) -> Place:
    """Take a URL apart. Raises ValueError for one without a host, or with credentials."""
    parts = urlsplit(url)
    if parts.username or parts.password or not parts.hostname:
        raise ValueError("no host, or credentials")
    return Place(parts, parts.hostname.lower(), parts.port or _PORTS.get(parts.scheme, 0))


async def look_up(host: str, port: int) -> Sequence[str]:
    """All addresses of a name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def find_target(place: Place, *, loopback: bool = False, lookup: Lookup = look_up) -> Target:
    """Look a name up and check its addresses; `loopback` also allows this machine.

    Raises OSError when the name is not found, NotPublic.
    """
    try:
        addresses = await lookup(place.host, place.port)
    except UnicodeError:
        raise OSError(f"{place.host} cannot be a name") from None
    # One private address among public ones is refused as well: the next look-up may differ.
    if not all(_is_allowed(address, loopback=loopback) for address in addresses):
        raise NotPublic(f"{place.host} has an address that is not public")
    return Target(place, addresses[0])


def _is_allowed(address: str, *, loopback: bool) -> bool:
    return all(
        (loopback and ip.is_loopback) or (ip.is_global and not ip.is_multicast)
        for ip in _with_embedded(ipaddress.ip_address(address))
    )


def _with_embedded(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """An address, and the IPv4 address that an IPv6 one may carry inside."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped:
        return [ip.ipv4_mapped]
    embedded = [ip.sixtofour] if ip.sixtofour else []
    if ip in _NAT64:
        embedded.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return [ip, *embedded]
