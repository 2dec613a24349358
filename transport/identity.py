"""From a bearer token to the request that resolvers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.auth import bearer_token
from core.errors import Unauthenticated
from resolvers.context import Request

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from core.auth import Verifier


def identify(verifier: Verifier, connection: HTTPConnection) -> Request:
    """Who asks, by the Authorization header; without a viewer if there is none that holds."""
    token = bearer_token(connection.headers.get("authorization"))
    address = connection.client.host if connection.client else None
    return apply_token(verifier, Request(viewer=None, remote_address=address), token)


def apply_token(verifier: Verifier, request: Request, token: str | None) -> Request:
    """The request with the token's viewer, or with the reason why there is none."""
    if token is not None:
        try:
            request.viewer = verifier.verify(token)
            request.refusal = None
        except Unauthenticated as refusal:
            request.viewer = None
            request.refusal = refusal
    return request


def token_of_payload(payload: dict[str, object] | None) -> str | None:
    """The token in a connection_init payload: `authorization` (any case) or `token`."""
    for name, value in (payload or {}).items():
        if isinstance(value, str) and name.lower() == "authorization":
            return bearer_token(value) or value
        if isinstance(value, str) and name == "token":
            return value
    return None
