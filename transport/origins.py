"""Pages of other origins: which may ask, and what browsers are told with an answer to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from transport.negotiation import VARY

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXPOSED = ("retry-after", "x-request-id")


def cross_origin(allowed: Sequence[str]) -> Middleware:
    """What lets pages of these origins ask."""
    return Middleware(
        CORSMiddleware,
        allow_origins=allowed,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "graphql-require-preflight"],
        expose_headers=_EXPOSED,
    )


def headers_by_origin(allowed: Sequence[str]) -> dict[bytes | None, dict[str, str]] | None:
    """What that sets in answers to GraphQL requests, by their Origin header; None: without one.

    Of other origins it decides itself, and of all where any is allowed. None if it is not there,
    as no other origin is allowed.
    """
    if not allowed:
        return None
    varies = {"vary": f"{VARY}, Origin"}
    exposed = {"access-control-expose-headers": ", ".join(_EXPOSED)}
    named = () if "*" in allowed else allowed
    return {None: varies} | {
        origin.encode(): varies | exposed | {"access-control-allow-origin": origin}
        for origin in named
    }
