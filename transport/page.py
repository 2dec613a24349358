"""The page and GraphiQL: built files, served with a strict policy about what they may load."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.log import get_logger
from storage.base import StorageMisconfigured, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request

    from core.settings import Settings
    from resolvers.context import App

BUILT = Path(__file__).parent / "built"
"""Where `mintari.webbuild` puts them, in a checkout as in a wheel."""

_log = get_logger(__name__)
_SOME_KEY = "probes/origin.webp"
_ASSET = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Mintari</title>
<h1>The page has not been built</h1>
<p>The API works. In a checkout, <code>make page</code> builds the page; it needs the npm registry
once. An installed wheel brings it along.</p></html>
"""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


def page_routes(settings: Settings, folder: Path = BUILT) -> list[Route]:
    """`/` and what it loads; in development also `/graphiql`."""
    routes = _routes("/", _Page(folder / "page"))
    if settings.dev_mode:
        routes += _routes("/graphiql", _GraphiQL(folder / "graphiql"))
    return routes


async def picture_origins(app: App) -> list[str]:
    """Other origins that pictures come from: the API's public one, and the storage's own.

    The storage's is read from an address that it signs, so it holds for every kind of storage; no
    request to a bucket is made for it, and Supabase's answer is reused.
    """
    signed: dict[str, str] = {}
    try:
        signed = dict(await app.storage.sign([_SOME_KEY]))
    except (StorageUnavailable, StorageMisconfigured) as error:
        # The page works, and shows pictures once it is loaded again.
        _log.warning("the storage signs nothing: the page is served without its origin", why=error)
    urls = [urlsplit(url) for url in (app.settings.public_url, *signed.values())]
    return list(dict.fromkeys(f"{url.scheme}://{url.netloc}" for url in urls))


def page_policy(origins: Iterable[str]) -> str:
    """The page's Content-Security-Policy: nothing inline, nothing foreign but pictures.

    `blob:` is the photo that was just picked and what the camera sees. `connect-src 'self'` covers
    the websocket. No script can turn text into code: Trusted Types, and no policy makes any.
    """
    return _policy(
        {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "font-src": "'self'",
            "connect-src": "'self'",
            "img-src": " ".join(["'self'", "blob:", *origins]),
            "media-src": "'self' blob:",
            "require-trusted-types-for": "'script'",
        }
    )


def _policy(directives: Mapping[str, str]) -> str:
    always = {"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in {**directives, **always}.items())


# Its editor makes style elements as it runs, and workers; it exists on loopback only.
_GRAPHIQL_POLICY = _policy(
    {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "img-src": "'self' data: http: https:",
    }
)


class _Built:
    """A built app: its index, and assets whose names are hashes of their content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def policy(self, request: Request) -> str:
        """Its Content-Security-Policy."""
        raise NotImplementedError

    async def index(self, request: Request) -> Response:
        """The document; asked for again each time, because it names the current assets."""
        if not (self._folder / "index.html").is_file():
            return HTMLResponse(_NOT_BUILT, 503, headers=_HEADERS)
        headers = {
            **_HEADERS,
            "cache-control": "no-cache",
            "content-security-policy": await self.policy(request),
        }
        return _file(request, self._folder / "index.html", headers)

    async def icon(self, request: Request) -> Response:
        headers = {**_HEADERS, "cache-control": "public, max-age=86400"}
        return _file(request, self._folder / "icon.svg", headers)

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not _ASSET.fullmatch(name):
            return PlainTextResponse("There is no such file.", 404, headers=_HEADERS)
        headers = {**_HEADERS, "cache-control": "public, max-age=31536000, immutable"}
        return _file(request, self._folder / "assets" / name, headers)


class _Page(_Built):
    """The page."""

    async def policy(self, request: Request) -> str:
        return page_policy(await picture_origins(request.app.state.service))


class _GraphiQL(_Built):
    """GraphiQL."""

    async def policy(self, request: Request) -> str:
        del request
        return _GRAPHIQL_POLICY


def _routes(path: str, built: _Built) -> list[Route]:
    prefix = path.rstrip("/")
    return [
        Route(path, built.index),
        Route(f"{prefix}/icon.svg", built.icon),
        Route(f"{prefix}/assets/{{name}}", built.asset),
    ]


def _file(request: Request, path: Path, headers: Mapping[str, str]) -> Response:
    """The file, in the smallest form that was built and that the client takes."""
    if not path.is_file():
        return PlainTextResponse("There is no such file.", 404, headers=_HEADERS)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    accepted = _accepted_encodings(request)
    for encoding, suffix in _ENCODINGS:
        smaller = path.with_name(path.name + suffix)
        if encoding in accepted and smaller.is_file():
            extra = {"content-encoding": encoding, "vary": "accept-encoding"}
            return FileResponse(smaller, media_type=media_type, headers={**headers, **extra})
    vary = {"vary": "accept-encoding"}
    return FileResponse(path, media_type=media_type, headers={**headers, **vary})


def _accepted_encodings(request: Request) -> set[str]:
    """The names in Accept-Encoding; those with a quality of zero are refusals."""
    accepted: set[str] = set()
    for part in request.headers.get("accept-encoding", "").split(","):
        name, _, parameter = part.strip().partition(";")
        if not re.fullmatch(r"\s*q=0(\.0*)?\s*", parameter):
            accepted.add(name.strip().lower())
    return accepted
