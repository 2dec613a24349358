"""The Starlette application: routes, limits and what surrounds them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.auth import issue_token
from core.garbage import settle
from core.stopping import cancel_for_good
from core.tracing import open_tracing
from mintari.monitor import open_monitor
from mintari.scrape import Scrape
from mintari.service import open_app
from mintari.tokens import auth_mode, build_verifier
from transport.caps import Caps
from transport.correlation import Correlation
from transport.endpoints import open_operations
from transport.files import serve_file, serve_style_sample, upload_endpoint
from transport.health import healthz, readyz
from transport.http import FORM_OVERHEAD_BYTES, HttpEndpoint
from transport.origins import cross_origin, headers_by_origin
from transport.pace import Pace
from transport.page import page_routes
from transport.shortcut import Shortcut
from transport.sockets import Sockets
from transport.streams import Streams
from transport.subscriptions import Subscriptions
from transport.tracing import TracedRequests

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from core.auth import Verifier
    from core.settings import Settings
    from transport.operations import Operations

DEV_TOKEN_TTL_S = 24 * 3600
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""As the Host header names them."""


def build_asgi(settings: Settings) -> Starlette:
    """Build the application. Raises SetupError, DocumentsFileError, TracingMissing."""
    verifier = build_verifier(settings)
    tracing = open_tracing(settings, "api")
    operations = open_operations(settings, tracing)
    pace = Pace(settings.max_requests_per_s)
    http = HttpEndpoint(operations, verifier, pace, settings.upload_max_bytes)
    caps = Caps(settings.max_sockets_per_user, settings.max_sockets_per_address)
    max_upload_bytes = settings.upload_max_bytes + FORM_OVERHEAD_BYTES
    routes = [
        Route("/graphql", http),
        Route(
            "/uploads",
            upload_endpoint(verifier),
            methods=["POST"],
            max_body_size=max_upload_bytes,
        ),
        Route("/files/{key:path}", serve_file),
        Route("/styles/{slug}.webp", serve_style_sample),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        *page_routes(settings),
    ]
    allowed = settings.allowed_origins
    middleware = [cross_origin(allowed)] if allowed else []
    if settings.dev_mode:
        if auth_mode(settings) == "secret":
            routes.append(Route("/dev/token", _dev_token, methods=["POST"]))
        # DNS rebinding: a foreign page must not become "same origin" and fetch a token.
        middleware.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_HOSTS)))
    middleware.insert(0, Middleware(Correlation, tracing=tracing))
    if tracing.is_on:
        middleware.insert(0, Middleware(TracedRequests, tracing=tracing))
    else:
        middleware.insert(0, _shortcut(settings, operations, verifier, pace))

    @contextlib.asynccontextmanager
    async def lifespan(asgi: Starlette) -> AsyncGenerator[dict[str, object], None]:
        async with open_app(settings, tracing) as service, asyncio.TaskGroup() as tasks:
            asgi.state.service = service
            subscriptions = Subscriptions(operations.schema, service)
            sockets = Sockets(
                service,
                operations,
                subscriptions,
                verifier,
                caps,
                pace,
                allowed_hosts=LOCAL_HOSTS if settings.dev_mode else None,
            )
            streams = Streams(service, subscriptions, caps)
            parts = (subscriptions, sockets, streams)
            running = [tasks.create_task(one.run()) for one in parts]
            settle()
            scrape = Scrape(service.metrics, service.database, service.breakers, service.providers)
            async with open_monitor(settings, scrape, service.readiness):
                yield {"sockets": sockets, "streams": streams}
            await cancel_for_good(running)

    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


def _shortcut(
    settings: Settings, operations: Operations, verifier: Verifier, pace: Pace
) -> Middleware:
    # Traced requests go the long way, where their spans are.
    port = settings.api_port
    local = [name for host in LOCAL_HOSTS for name in (host, f"{host}:{port}")]
    return Middleware(
        Shortcut,
        operations=operations,
        verifier=verifier,
        pace=pace,
        hosts=local if settings.dev_mode else None,
        origins=headers_by_origin(settings.allowed_origins),
    )


async def _dev_token(request: Request) -> Response:
    """POST /dev/token: a token for the page and GraphiQL, in development only."""
    settings: Settings = request.app.state.service.settings
    token = issue_token(
        settings.auth_secret.get_secret_value(),
        user_id="dev",
        ttl_s=DEV_TOKEN_TTL_S,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )
    return JSONResponse({"token": token}, headers={"cache-control": "no-store"})
