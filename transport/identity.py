"""From a bearer token to the request that resolvers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.contextvars import bind_contextvars

from core.auth import bearer_token
from core.errors import RequestError, Unauthenticated
from core.log import user_tag
from resolvers.context import Request

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from core.auth import Verifier, Viewer
    from resolvers.context import App


async def identify(verifier: Verifier, connection: HTTPConnection) -> Request:
    """Who asks, by the Authorization header; without a viewer if there is none that holds."""
    app: App = connection.app.state.service
    token = bearer_token(connection.headers.get("authorization"))
    address = connection.client.host if connection.client else None
    request = Request(viewer=None, remote_address=address)
    return await apply_token(verifier, app, request, token)


async def apply_token(verifier: Verifier, app: App, request: Request, token: str | None) -> Request:
    """The request with the token's viewer, or with the reason why there is none."""
    if token is not None:
        request.viewer = None
        try:
            viewer = await verifier.verify(token)
        except RequestError as refusal:
            request.refusal = refusal
        else:
            apply_viewer(app, request, viewer)
    if request.viewer is not None:
        bind_contextvars(user=user_tag(request.viewer.user_id))
    return request


def apply_viewer(app: App, request: Request, viewer: Viewer) -> None:
    """Make a request this viewer's, whose token holds, unless it was revoked."""
    if app.revocations.covers(viewer):
        request.refusal = Unauthenticated("The token was revoked. Please sign in again.")
    else:
        request.viewer, request.refusal = viewer, None


def token_of_payload(payload: dict[str, object] | None) -> str | None:
    """The token in a connection_init payload: `authorization` (any case) or `token`."""
    for name, value in (payload or {}).items():
        if isinstance(value, str) and name.lower() == "authorization":
            return bearer_token(value) or value
        if isinstance(value, str) and name == "token":
            return value
    return None
