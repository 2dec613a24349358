"""Fetching a picture from a URL that a provider sent: only from where the operator allows it.

A URL from outside could point into our own network. So the host must be on a list, its address is
checked (`core.outside`), and each redirect is checked in the same way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx

from core.outside import HTTPS_PORT, NotPublic, find_target, look_up, read_place
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
    from collections.abc import Sequence

    from core.outside import Lookup, Target
    from core.settings import Settings
    from providers.http import Limits


MAX_REDIRECTS = 3
TRIES = 3
PAUSE_S = 0.5


class _Moved(Exception):
    """The server named another place."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


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
        no picture, ProviderTimeout, ProviderUnavailable; none of them means that it is not there.
        """
        try:
            return await self._fetch(url)
        except ProviderError as error:
            raise error.without_outcome() from None

    async def _fetch(self, url: str) -> bytes:
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

    async def _target(self, url: str) -> Target:
        """Check a URL and look its name up."""
        try:
            place = read_place(url)
        except ValueError:
            raise BadProviderAnswer(f"{self._name} sent an address that is none") from None
        host, scheme = place.host, place.url.scheme
        is_here = self._loopback and place.is_this_machine
        if not is_here and not self._is_listed(host, place.port, scheme):
            raise ProviderMisconfigured(
                f"{self._name} has its picture at {scheme}://{host}:{place.port}, which"
                " PROVIDER_RESULT_HOSTS does not list"
            )
        try:
            return await find_target(place, loopback=self._loopback, lookup=self._lookup)
        except OSError:
            raise ProviderUnavailable(f"{self._name}: the name {host} is not found") from None
        except NotPublic:
            raise ProviderMisconfigured(
                f"{self._name} has its picture at {host}, whose address is not public"
            ) from None

    def _is_listed(self, host: str, port: int, scheme: str) -> bool:
        if scheme != "https":
            return False
        if f"{host}:{port}" in self._hosts:
            return True
        return port == HTTPS_PORT and any(
            host == listed or (listed.startswith("*.") and host.endswith(listed[1:]))
            for listed in self._hosts
        )

    async def _get(self, target: Target) -> bytes:
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
                headers={**target.headers, "accept-encoding": "identity"},
                extensions=target.extensions,
            )
            try:
                response = await client.send(request, stream=True)
                try:
                    return await self._read(response, target.place.host)
                finally:
                    await response.aclose()
            except httpx.TimeoutException:
                raise ProviderTimeout(f"{self._name}: {target.place.host} fell silent") from None
            except httpx.HTTPError as error:
                raise ProviderUnavailable(
                    f"{self._name}: {target.place.host} sent no picture ({type(error).__name__})"
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
