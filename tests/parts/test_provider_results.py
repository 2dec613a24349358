"""Pictures behind URLs of providers: only from allowed hosts, only from public addresses."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from mintari.standins.painting import paint
from mintari.standins.running import running
from providers.base import (
    BadProviderAnswer,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
)
from providers.gemini import GeminiProvider
from providers.http import Limits
from providers.results import MAX_REDIRECTS, ResultFetcher
from tests.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence
    from pathlib import Path

    from starlette.requests import Request

HOST = "cdn.example.com"
PICTURE = paint(1, 64, 64)
LIMITS = Limits(connect_s=5, silence_s=5, answer_bytes=100_000)


class Site:
    """A server for pictures with a certificate for HOST, and what it was asked for."""

    def __init__(self, port: int, tls: ssl.SSLContext, visits: list[tuple[str, str]]) -> None:
        self.port = port
        self.tls = tls
        self.visits = visits
        self.looked_up: list[str] = []

    async def look_up(self, host: str, _port: int) -> Sequence[str]:
        self.looked_up.append(host)
        return ["127.0.0.1"]

    def fetcher(self, *hosts: str, **options: Any) -> ResultFetcher:
        listed = hosts or (f"{HOST}:{self.port}",)
        given: dict[str, Any] = {
            "hosts": listed,
            "loopback": True,
            "lookup": self.look_up,
            "tls": self.tls,
            **options,
        }
        return ResultFetcher("banana", LIMITS, **given)

    def url(self, path: str, host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for HOST, with its key."""
    return self_signed(tmp_path_factory.mktemp("tls"), HOST)


@pytest.fixture(scope="module")
def running_site(certificate: Path) -> Generator[Site]:
    visits: list[tuple[str, str]] = []

    async def picture(request: Request) -> Response:
        visits.append(("picture", request.headers["host"]))
        return Response(PICTURE, media_type="image/png")

    async def elsewhere(request: Request) -> Response:
        return RedirectResponse(request.query_params["to"])

    async def page(_request: Request) -> Response:
        return Response("<html>", media_type="image/png")

    async def broken(request: Request) -> Response:
        visits.append(("broken", request.headers["host"]))
        return Response(PICTURE if len(visits) > 1 else b"", 200 if len(visits) > 1 else 503)

    async def huge(_request: Request) -> Response:
        async def endless() -> AsyncGenerator[bytes]:
            yield PICTURE
            for _ in range(1000):
                yield bytes(10_000)

        return StreamingResponse(endless())

    application = Starlette(
        routes=[
            Route("/picture", picture),
            Route("/elsewhere", elsewhere),
            Route("/page", page),
            Route("/broken", broken),
            Route("/huge", huge),
        ]
    )
    with running(application, ssl_certfile=str(certificate)) as server:
        tls = ssl.create_default_context(cafile=certificate)
        yield Site(int(server.url.rpartition(":")[2]), tls, visits)


@pytest.fixture
def site(running_site: Site) -> Site:
    running_site.visits.clear()
    running_site.looked_up.clear()
    return running_site


async def error_of(fetcher: ResultFetcher, url: str) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await fetcher.fetch(url)
    return raised.value


async def test_an_allowed_host_is_asked_by_its_name_at_the_checked_address(site: Site) -> None:
    assert await site.fetcher().fetch(site.url("/picture")) == PICTURE

    assert site.visits == [("picture", f"{HOST}:{site.port}")]
    assert site.looked_up == [HOST]


async def test_the_certificate_must_be_the_names_own(site: Site) -> None:
    other = f"other.example.com:{site.port}"

    error = await error_of(site.fetcher(other), f"https://{other}/picture")

    assert isinstance(error, ProviderUnavailable)
    assert site.visits == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/picture",
        "https://cdn.example.com.evil.example/picture",
        "https://example.com/picture",
        "https://cdn.example.com:8443/picture",
        "http://cdn.example.com/picture",
        "ftp://cdn.example.com/picture",
        "file:///etc/passwd",
        "https://cdn.example.com@evil.example/picture",
        "https://[::1",
        "https://cdn.example.com:99999/",
        "https:///picture",
    ],
)
async def test_other_places_are_not_even_looked_up(site: Site, url: str) -> None:
    fetcher = site.fetcher("cdn.example.com", "*.pictures.example", loopback=False)

    error = await error_of(fetcher, url)

    assert isinstance(error, (ProviderMisconfigured, BadProviderAnswer))
    assert site.looked_up == []


async def test_a_star_stands_for_all_names_below(site: Site) -> None:
    fetcher = site.fetcher("*.pictures.example", loopback=False)

    await error_of(fetcher, "https://pictures.example/1")
    assert site.looked_up == []
    # Found, looked up, and then refused for its address.
    error = await error_of(fetcher, "https://eu.pictures.example/1")
    assert site.looked_up == ["eu.pictures.example"]
    assert "not public" in str(error)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
async def test_addresses_inside_are_refused_even_beside_public_ones(
    site: Site, address: str
) -> None:
    async def look_up(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.215.14", address]

    fetcher = site.fetcher("cdn.example.com", loopback=False, lookup=look_up)

    error = await error_of(fetcher, "https://cdn.example.com/picture")

    assert isinstance(error, ProviderMisconfigured)
    assert "not public" in str(error)


async def test_this_machine_is_only_for_those_who_say_so(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/picture"

    error = await error_of(site.fetcher(loopback=False), url)

    assert isinstance(error, ProviderMisconfigured)
    assert "PROVIDER_RESULT_HOSTS" in str(error)


async def test_a_redirect_is_followed_to_allowed_hosts_only(site: Site) -> None:
    fetcher = site.fetcher()

    assert await fetcher.fetch(site.url("/elsewhere?to=/picture")) == PICTURE
    error = await error_of(fetcher, site.url("/elsewhere?to=https://evil.example/"))

    assert isinstance(error, ProviderMisconfigured)
    assert "evil.example" in str(error)
    assert site.looked_up == [HOST] * 3


async def test_redirects_come_to_an_end(site: Site) -> None:
    loop = site.url("/elsewhere?to=")

    error = await error_of(site.fetcher(), loop)

    assert isinstance(error, BadProviderAnswer)
    assert len(site.looked_up) <= MAX_REDIRECTS + 1


async def test_what_is_no_picture_or_too_large_is_refused(site: Site) -> None:
    for path in ("/page", "/huge", "/nothing"):
        assert isinstance(await error_of(site.fetcher(), site.url(path)), BadProviderAnswer)


async def test_a_picture_that_is_paid_for_is_asked_for_again(site: Site) -> None:
    assert await site.fetcher().fetch(site.url("/broken")) == PICTURE


async def test_a_providers_own_certificate_must_hold_as_well(site: Site) -> None:
    provider = GeminiProvider("key", f"https://127.0.0.1:{site.port}", "model", LIMITS)

    with pytest.raises(ProviderMisconfigured, match=r"certificate.*GEMINI_BASE_URL"):
        await provider.check()

    await provider.aclose()
