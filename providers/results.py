"""Fetching a picture from a URL that a provider sent: only from where the operator allows it.

A URL from outside could point into our own network. So the host must be on a list, the name is
looked up once, every address must be public, the connection goes to exactly that address, and
each redirect is checked in the same way.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from providers.base import (
    BadProviderAnswer,
    ProviderError,
    ProviderMisconfigured,
    ProviderTimeout,
    ProviderUnavailable,
)
from providers.http import check_picture, trusted_authorities

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from core.settings import Settings
    from providers.http import Limits

    Lookup = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_REDIRECTS = 3
TRIES = 3
PAUSE_S = 0.5
_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to connect: a checked address, and the name that its certificate must hold."""

    url: SplitResult
    host: str
    port: int
    address: str

    @property
    def pinned_url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return self.url._replace(netloc=f"{host}:{self.port}", fragment="").geturl()


class _Moved(Exception):
    """The server named another place."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


async def look_up(host: str, port: int) -> Sequence[str]:
    """All addresses of a name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class ResultFetcher:
    """Downloads the pictures of one provider."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        hosts: Sequence[str],
        loopback: bool = False,
        lookup: Lookup = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`hosts` are names, `*.name` for all below it, or `name:port`."""
        self._name = name
        self._limits = limits
        self._hosts = tuple(host.lower() for host in hosts)
        self._loopback = loopback
        self._lookup = lookup
        self._tls = tls or trusted_authorities()

    @classmethod
    def from_settings(cls, name: str, settings: Settings, limits: Limits) -> ResultFetcher:
        """As PROVIDER_RESULT_HOSTS and PROVIDER_RESULT_LOOPBACK say."""
        return cls(
            name,
            limits,
            hosts=settings.provider_result_hosts,
            loopback=settings.provider_result_loopback,
        )

    async def fetch(self, url: str) -> bytes:
        """Download one picture; it is paid for, so a failure of the network is tried again.

        Raises ProviderMisconfigured for a place that is not allowed, BadProviderAnswer for what is
        no picture, ProviderTimeout, ProviderUnavailable.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                return check_picture(self._name, await self._follow(url))
            except (ProviderUnavailable, ProviderTimeout):
                if not tries_left:
                    raise
            await asyncio.sleep(PAUSE_S)
        raise AssertionError

    async def _follow(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                return await self._get(await self._target(url))
            except _Moved as moved:
                url = urljoin(url, moved.url)
        raise BadProviderAnswer(f"{self._name}: the picture's address redirects without end")

    async def _target(self, url: str) -> _Target:
        """Check a URL and look its name up."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise BadProviderAnswer(f"{self._name} sent an address that is none") from None
        if parts.username or parts.password or not host:
            raise BadProviderAnswer(f"{self._name} sent an address that is none")
        is_here = self._loopback and host in ("127.0.0.1", "localhost", "::1")
        if not is_here and not self._is_listed(host, port, parts.scheme):
            raise ProviderMisconfigured(
                f"{self._name} has its picture at {parts.scheme}://{host}:{port}, which"
                " PROVIDER_RESULT_HOSTS does not list"
            )
        try:
            addresses = await self._lookup(host, port)
        except OSError:
            raise ProviderUnavailable(f"{self._name}: the name {host} is not found") from None
        for address in addresses:
            self._check_address(host, address)
        return _Target(parts, host, port, addresses[0])

    def _is_listed(self, host: str, port: int, scheme: str) -> bool:
        if scheme != "https":
            return False
        if f"{host}:{port}" in self._hosts:
            return True
        return port == _PORTS["https"] and any(
            host == listed or (listed.startswith("*.") and host.endswith(listed[1:]))
            for listed in self._hosts
        )

    def _check_address(self, host: str, address: str) -> None:
        """One private address among public ones is refused as well: the next look-up may differ."""
        for ip in _with_embedded(ipaddress.ip_address(address)):
            if self._loopback and ip.is_loopback:
                continue
            if not ip.is_global or ip.is_multicast:
                raise ProviderMisconfigured(
                    f"{self._name} has its picture at {host}, whose address is not public"
                )

    async def _get(self, target: _Target) -> bytes:
        # A client of its own: a kept connection would be reused for another name at one address,
        # whose certificate nobody checked.
        async with httpx.AsyncClient(
            verify=self._tls,
            timeout=httpx.Timeout(self._limits.silence_s, connect=self._limits.connect_s),
            trust_env=False,
        ) as client:
            request = client.build_request(
                "GET",
                target.pinned_url,
                headers={"host": target.url.netloc, "accept-encoding": "identity"},
                extensions={"sni_hostname": target.host},
            )
            try:
                response = await client.send(request, stream=True)
                try:
                    return await self._read(response, target.host)
                finally:
                    await response.aclose()
            except httpx.TimeoutException:
                raise ProviderTimeout(f"{self._name}: {target.host} fell silent") from None
            except httpx.HTTPError as error:
                raise ProviderUnavailable(
                    f"{self._name}: {target.host} sent no picture ({type(error).__name__})"
                ) from None

    async def _read(self, response: httpx.Response, host: str) -> bytes:
        if response.has_redirect_location:
            raise _Moved(response.headers["location"])
        if response.status_code != 200:
            raise self._status_error(response.status_code, host)
        received = bytearray()
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > self._limits.answer_bytes:
                raise BadProviderAnswer(
                    f"{self._name}: {host} sent more than {self._limits.answer_bytes} bytes"
                )
        return bytes(received)

    def _status_error(self, status: int, host: str) -> ProviderError:
        text = f"{self._name}: {host} answered {status} instead of a picture"
        return ProviderUnavailable(text) if status >= 500 else BadProviderAnswer(text)


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
